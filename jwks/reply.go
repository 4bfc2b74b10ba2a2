package jwks

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// maxExcerpt is how many bytes of a remote's text an error may show.
const maxExcerpt = 256

// readReply checks a response and reads its body. Of a body that is an error's, hide takes out what
// isn't to be shown.
func readReply(response *http.Response, hide func(string) string) (*reply, error) {
	if response.TLS != nil && response.TLS.Version < tls.VersionTLS12 {
		return nil, fmt.Errorf("the server speaks %s; 1.2 is the oldest that is trusted", tls.VersionName(response.TLS.Version))
	}
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{StatusCode: response.StatusCode, Body: excerpt(response.Body, hide)}
	}
	isLabelled, err := checkContent(response.Header)
	if err != nil {
		return nil, err
	}
	content, err := withoutCoding(response)
	if err != nil {
		return nil, err
	}
	// The bound is on what comes out of a decompression, the transport's or ours.
	body, err := io.ReadAll(io.LimitReader(content, MaxDocument+1))
	switch {
	case err != nil:
		return nil, &bodyError{err}
	case !isLabelled && !looksLikeJSON(body):
		return nil, notLabelled(response.Header)
	case len(body) > MaxDocument:
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, MaxDocument)
	}
	return &reply{body: body, index: nomadIndex(response.Header)}, nil
}

// bodyError is a body that broke off. It isn't tried again: a server that announces more
// than it sends does so each time.
type bodyError struct{ err error }

func (e *bodyError) Error() string {
	if errors.Is(e.err, io.ErrUnexpectedEOF) {
		return "the reply broke off before its end: " + e.err.Error()
	}
	return "reading the reply: " + e.err.Error()
}

func (e *bodyError) Unwrap() error { return e.err }

// contentError is a reply that says itself that it is no key set.
type contentError struct{ what string }

func (e *contentError) Error() string { return e.what }
func (e *contentError) Unwrap() error { return ErrMalformed }

// contentCodings are those of the registry (RFC 9110 section 16.6.1) but "identity", which is none.
var contentCodings = []string{
	"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "x-compress", "x-gzip", "zstd",
}

// withoutCoding returns the body as it is without its Content-Encoding. Object stores repeat there
// what an upload said: "aws-chunked", a charset or a media type. These are no codings, and drop out
// of the list. A gzip that is left beside one was asked for; the transport decodes it only where it
// stands alone.
func withoutCoding(response *http.Response) (io.Reader, error) {
	var codings []string
	for _, name := range listed(response.Header, "Content-Encoding") {
		if slices.Contains(contentCodings, name) {
			codings = append(codings, name)
		}
	}
	switch {
	case len(codings) == 0:
		return response.Body, nil
	case len(codings) > 1 || codings[0] != "gzip" && codings[0] != "x-gzip":
		return nil, fmt.Errorf("the reply is encoded as %q, which was not asked for", strings.Join(codings[:min(len(codings), 4)], ", "))
	}
	decoded, err := gzip.NewReader(response.Body)
	if err != nil {
		return nil, &bodyError{err}
	}
	return decoded, nil
}

// listed returns the elements of a header that is a list, in lower case and without parameters.
// What proxies add is in a header of its own, or after a comma.
func listed(header http.Header, name string) []string {
	var elements []string
	value := quotedString().ReplaceAllString(strings.Join(header.Values(name), ","), "")
	for element := range strings.SplitSeq(value, ",") {
		element, _, _ = strings.Cut(element, ";")
		if element = strings.ToLower(strings.TrimSpace(element)); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}

// quotedString is the value of a parameter in quotes, which may hold commas (RFC 9110 section
// 5.6.4).
var quotedString = text.Pattern(`"(?:[^"\\]|\\.)*"`)

// checkContent refuses what is labelled as something else than JSON, and reports whether it is
// labelled as JSON. Static servers label a .json file, or one without an extension, in many ways,
// and what calls itself a text may be one: its first byte tells.
func checkContent(header http.Header) (isLabelled bool, err error) {
	isLabelled = true
	for _, mediaType := range listed(header, "Content-Type") {
		switch {
		case mediaType == "application/json", mediaType == "text/json", mediaType == "text/plain",
			mediaType == "application/octet-stream", mediaType == "binary/octet-stream",
			strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"):
		case !mediaTypeName().MatchString(mediaType):
			return false, &contentError{"the reply is no JSON, and its Content-Type is none"}
		case strings.HasPrefix(mediaType, "text/"), mediaType == mediaXHTML:
			isLabelled = false
		default:
			return false, notJSONType(mediaType)
		}
	}
	return isLabelled, nil
}

const mediaXHTML = "application/xhtml+xml"

// looksLikeJSON reports whether an object or an array begins here.
func looksLikeJSON(body []byte) bool {
	body = bytes.TrimLeft(withoutMark(body), " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// notLabelled refuses a text that neither is labelled as JSON nor looks like it.
func notLabelled(header http.Header) error {
	types := listed(header, "Content-Type")
	if slices.Contains(types, "text/html") || slices.Contains(types, mediaXHTML) {
		return &contentError{"an HTML page instead of JSON: is this the address of a web page or of a login?"}
	}
	return notJSONType(types[0])
}

func notJSONType(mediaType string) error {
	return &contentError{fmt.Sprintf("the reply is %q, not JSON", text.Line(mediaType, 64))}
}

// mediaTypeName is the form of a media type (RFC 6838 section 4.2).
var mediaTypeName = text.Pattern(`^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$`)

// excerpt returns the beginning of a body, cleaned. One that seems to hold a private key
// isn't shown: the server has lost it, and our log needn't spread it.
func excerpt(body io.Reader, hide func(string) string) string {
	said, _ := io.ReadAll(io.LimitReader(body, 4*maxExcerpt)) // as far as it could be read
	if privateText().Match(said) {
		return "(not shown: it seems to hold a private key)"
	}
	return text.Line(hide(string(said)), maxExcerpt)
}

// privateText is a member of privateMembers, in a string too, or a PEM header.
var privateText = text.Pattern(`"(?:` + strings.Join(privateMembers, "|") + `)\\*"\s*:|PRIVATE KEY`)
