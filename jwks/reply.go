package jwks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// maxExcerpt is how many bytes of a remote's text an error may show.
const maxExcerpt = 256

// readReply checks a response and reads its body.
func readReply(response *http.Response) (*reply, error) {
	if response.TLS != nil && response.TLS.Version < tls.VersionTLS12 {
		return nil, fmt.Errorf("the server speaks %s; 1.2 is the oldest that is trusted", tls.VersionName(response.TLS.Version))
	}
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{StatusCode: response.StatusCode, Body: excerpt(response.Body)}
	}
	if err := checkContent(response.Header); err != nil {
		return nil, err
	}
	// The transport has decompressed by now: the bound is on what comes out.
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxDocument+1))
	switch {
	case err != nil:
		return nil, &bodyError{err}
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

// checkContent refuses what says that it isn't JSON. It is lenient otherwise: static
// servers label a .json file, or one without an extension, in many ways.
func checkContent(header http.Header) error {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return fmt.Errorf("the reply is encoded as %q, which was not asked for", text.Line(encoding, 32))
	}
	content := header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(content)
	if err != nil { // a bad parameter says nothing about the type
		mediaType, _, _ = strings.Cut(content, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	switch mediaType {
	case "", "application/json", "text/json", "text/plain", "application/octet-stream", "binary/octet-stream":
		return nil
	case "text/html", "application/xhtml+xml":
		return &contentError{"an HTML page instead of JSON: is this the address of a web page or of a login?"}
	}
	if strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json") {
		return nil
	}
	if !mediaTypeName().MatchString(mediaType) {
		return &contentError{"the reply is no JSON, and its Content-Type is none"}
	}
	return &contentError{fmt.Sprintf("the reply is %q, not JSON", text.Line(mediaType, 64))}
}

// mediaTypeName is the form of a media type (RFC 6838 section 4.2).
var mediaTypeName = onFirstUse(`^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$`)

// excerpt returns the beginning of a body, cleaned. One that seems to hold a private key
// isn't shown: the server has lost it, and our log needn't spread it.
func excerpt(body io.Reader) string {
	said, _ := io.ReadAll(io.LimitReader(body, 4*maxExcerpt)) // as far as it could be read
	if privateText().Match(said) {
		return "(not shown: it seems to hold a private key)"
	}
	return text.Line(string(said), maxExcerpt)
}

// privateText is a member of privateMembers, in a string too, or a PEM header.
var privateText = onFirstUse(`"(?:` + strings.Join(privateMembers, "|") + `)\\*"\s*:|PRIVATE KEY`)
