package jwks

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documents of testdata/reports have the shapes that people reported of their issuers; the
// number of each is its test's.

// A .NET issuer writes "oth": [] beside public members: no further primes, and nothing lost.
func TestReport01EmptyPrimes(t *testing.T) {
	document := string(readTestdata(t, "reports/01-oth-empty.json"))
	set := parsed(t, []byte(document))
	assert.Equal(t, []string{"rsa-1"}, keyIDs(set))
	assert.Empty(t, set.Warnings)

	replaced := func(private string) error {
		_, err := Parse([]byte(strings.Replace(document, `"oth": []`, private, 1)))
		return err
	}
	for _, private := range []string{`"d": ""`, `"p": []`, `"qi": {}`, `"oth": ""`} {
		err := replaced(private)
		require.ErrorIs(t, err, ErrMalformed, private)
		assert.NotContains(t, err.Error(), "lost")
	}
	for _, private := range []string{`"oth": [{}]`, `"oth": [null]`, `"oth": {"r": ""}`, `"d": "AQ"`} {
		require.ErrorIs(t, replaced(private), ErrPrivateKey, private)
	}
	require.NoError(t, replaced(`"d": null`), "null is as good as absent")

	// What is lost matters more than what is empty, wherever it stands.
	require.ErrorIs(t, replaced(`"d": "", "p": "AQ"`), ErrPrivateKey)
}

// Janssen and Gluu have a word of their own in "key_ops", beside a signature's "use" and "alg".
func TestReport02OwnOperations(t *testing.T) {
	document := string(readTestdata(t, "reports/02-key-ops-connect.json"))
	set := parsed(t, []byte(document))
	assert.Contains(t, keyIDs(set), "connect_0f1d_sig_rs256")
	assert.Contains(t, keyIDs(set), "connect_77aa_sig_es256")
	require.Len(t, set.Skipped, strings.Count(document, `"use": "enc"`), "%v", set.Skipped)
	require.NotEmpty(t, set.Warnings)
	assert.Contains(t, set.Warnings[0], `keys 0, 1`)
	assert.Contains(t, set.Warnings[0], `"connect"`)

	for name, words := range map[string]string{
		"registered":       `"sign"`,
		"beside its own":   `"connect", "decrypt"`,
		"in other letters": `"VERIFY"`,
		"no word":          `""`,
		"none":             ``,
	} {
		t.Run(name, func(t *testing.T) {
			set := parsed(t, []byte(strings.Replace(document, `"connect"`, words, 1)))
			require.NotEmpty(t, set.Skipped)
			assert.Equal(t, ReasonOperations, set.Skipped[0].Reason)
		})
	}
}

// OpenAM, ForgeRock and Keycloak publish one key in a member for each algorithm.
func TestReport04OneKeyManyAlgorithms(t *testing.T) {
	set := parsed(t, readTestdata(t, "reports/04-one-key-many-algs.json"))
	require.Len(t, set.Keys, 1)
	assert.ElementsMatch(t, []string{"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}, set.Keys[0].Algorithms)
	assert.Empty(t, set.Warnings, "nothing is wrong")
}

// A "kid" that is a whole number is its digits.
func TestReport08NumericKeyID(t *testing.T) {
	document := string(readTestdata(t, "reports/08-kid-number.json"))
	set := parsed(t, []byte(document))
	assert.Equal(t, []string{"1", "2"}, keyIDs(set))
	require.Len(t, set.Warnings, 1, "one for both")
	assert.Contains(t, set.Warnings[0], `keys 0, 1: "kid" is a number`)

	assert.Empty(t, parsed(t, []byte(keySet(rsaMember(0, fields{"kid": 7, "use": "enc"}), rsaMember(1, nil)))).Warnings, "of a key that is left out")
	for written, kid := range map[string]string{"-17": "-17", "0": "0", "12345678901234567890123": "12345678901234567890123"} {
		set := parsed(t, []byte(strings.Replace(document, `"kid": 1`, `"kid": `+written, 1)))
		assert.Equal(t, []string{kid, "2"}, keyIDs(set))
	}
	for _, written := range []string{"1.0", "1e3", "1E3", "true", "[1]"} {
		set := parsed(t, []byte(strings.Replace(document, `"kid": 1`, `"kid": `+written, 1)))
		require.Len(t, set.Skipped, 1, written)
		assert.Equal(t, ReasonMalformed, set.Skipped[0].Reason)
	}
}

// Keycloak before 20 leaves out the zeros that a coordinate begins with.
func TestReport09ShortCoordinates(t *testing.T) {
	document := string(readTestdata(t, "reports/09-p521-short-x.json"))
	set := parsed(t, []byte(document))
	require.Len(t, set.Keys, 1)
	require.NoError(t, Judge(set.Keys[0]))
	require.Len(t, set.Warnings, 1)
	assert.Contains(t, set.Warnings[0], "key 0: ")
	assert.Contains(t, set.Warnings[0], "leading zeros")
	assert.Contains(t, set.Warnings[0], "upgraded")

	// With its zero it is the same key, and nothing to remark.
	const short = `"x": "oLQ2Xms3-jBso48lOF8ovaXemnW7nmS_tblf8_yVI4KSuqQk7AAhVLsOrEwPKi4O2HK6VuLPiPOtuNpQ6alhDtE"`
	require.Contains(t, document, short)
	x := append([]byte{0}, decode(strings.Split(short, `"`)[3])...)
	whole := parsed(t, []byte(strings.Replace(document, short, `"x": "`+encode(x)+`"`, 1)))
	assert.Equal(t, set.Keys, whole.Keys)
	assert.Empty(t, whole.Warnings)

	for name, x := range map[string][]byte{
		"cut off at its end": x[1:65], "cut off twice": x[2:], "another": append([]byte{7}, x[2:]...), "a zero too many": append([]byte{0}, x...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(strings.Replace(document, short, `"x": "`+encode(x)+`"`, 1)))
			none := new(NoKeysError)
			require.ErrorAs(t, err, &none)
			assert.Equal(t, ReasonPoint, none.Skipped[0].Reason)
			assert.Contains(t, none.Skipped[0].Detail, "a coordinate of P-521 has 66")
		})
	}
}

// A vendor's export starts with a byte-order mark.
func TestReport12ByteOrderMark(t *testing.T) {
	document := readTestdata(t, "reports/12-bom-jwks.json")
	require.True(t, strings.HasPrefix(string(document), "\xef\xbb\xbf{"))
	set := parsed(t, document)
	assert.Len(t, set.Keys, 1)
	_, err := Parse(append([]byte("\xef\xbb\xbf"), document...))
	require.ErrorIs(t, err, ErrMalformed)
	regions, err := parseRegions([]byte("\xef\xbb\xbf[\"eu\"]"))
	require.NoError(t, err)
	assert.Equal(t, []string{"eu"}, regions)
	discovery, err := parseDiscovery([]byte("\xef\xbb\xbf{\"issuer\": \"https://id.example.com\"}"))
	require.NoError(t, err)
	assert.Equal(t, "https://id.example.com", discovery.issuer)
}

// Object stores repeat in Content-Encoding what an upload said, and it is no coding.
func TestReport10ContentEncoding(t *testing.T) {
	document := readTestdata(t, "reports/10-good.json")
	for name, test := range map[string]struct {
		encoding []string
		body     []byte
		refusal  string
	}{
		"aws-chunked":            {[]string{"aws-chunked"}, document, ""},
		"a charset":              {[]string{"utf-8"}, document, ""},
		"a media type":           {[]string{"application/json; charset=utf-8"}, document, ""},
		"several":                {[]string{"aws-chunked,", " UTF-8, identity"}, document, ""},
		"gzip beside it":         {[]string{"aws-chunked, gzip"}, compress(document), ""},
		"gzip in another header": {[]string{"aws-chunked", "GZIP"}, compress(document), ""},
		"gzip that isn't":        {[]string{"aws-chunked, gzip"}, document, "reading the reply"},
		"brotli beside it":       {[]string{"aws-chunked, br"}, document, `encoded as "br"`},
		"gzip twice":             {[]string{"gzip, gzip"}, compress(compress(document)), `encoded as "gzip, gzip"`},
		"still in chunks":        {[]string{"aws-chunked"}, append([]byte("400;chunk-signature=0\r\n"), document...), "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header()["Content-Encoding"] = test.encoding
				_, _ = w.Write(test.body)
			})
			requireReport(t, server.URL, test.refusal)
		})
	}
}

// Good JSON is labelled as a page, or twice.
func TestReport11ContentType(t *testing.T) {
	document := string(readTestdata(t, "reports/10-good.json"))
	const page = "\n <!DOCTYPE html><html>"
	for name, test := range map[string]struct {
		types   []string
		body    string
		refusal string
	}{
		"a page":             {[]string{"text/html; charset=utf-8"}, document, ""},
		"a page with a mark": {[]string{"text/html"}, "\xef\xbb\xbf" + document, ""},
		"a script":           {[]string{"text/javascript"}, document, ""},
		"twice":              {[]string{"application/json, application/json"}, document, ""},
		"in two headers":     {[]string{"application/json", "application/jwk-set+json; charset=utf-8"}, document, ""},
		"a comma in quotes":  {[]string{`application/json; profile="a, \"b\", image/png"`}, document, ""},
		"both":               {[]string{"application/json, text/html"}, document, ""},
		"really a page":      {[]string{"text/html"}, page, "HTML page"},
		"both, and a page":   {[]string{"application/json, text/html"}, page, "HTML page"},
		"a page without end": {[]string{"text/html"}, page + strings.Repeat(" ", MaxDocument), "HTML page"},
		"a style":            {[]string{"text/css"}, "body {}", `"text/css", not JSON`},
		"an image":           {[]string{"image/png"}, document, `"image/png", not JSON`},
		"an image in a list": {[]string{"application/json, image/png"}, document, `"image/png", not JSON`},
		"an empty page":      {[]string{"text/html"}, "", "HTML page"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = test.types
				_, _ = io.WriteString(w, test.body)
			})
			requireReport(t, server.URL, test.refusal)
		})
	}
}

// requireReport fetches a key set of one key, or is refused in these words.
func requireReport(t *testing.T, address, refusal string) {
	t.Helper()
	set, err := new(Client).fetch(t.Context(), address)
	if refusal != "" {
		require.ErrorContains(t, err, refusal)
		return
	}
	require.NoError(t, err)
	assert.Len(t, set.Keys, 1)
}

// A server answers 406 unless it may send anything.
func TestReport13NotAcceptable(t *testing.T) {
	document := readTestdata(t, "reports/10-good.json")
	var server *httptest.Server
	strict := func(w http.ResponseWriter, r *http.Request) {
		switch accept := r.Header.Get("Accept"); {
		case r.URL.Path == "/never", !strings.Contains(accept, "*/*"):
			http.Error(w, "Not Acceptable", http.StatusNotAcceptable)
		case r.URL.Path == "/.well-known/openid-configuration":
			serve(`{"issuer": "`+server.URL+`", "jwks_uri": "`+server.URL+`/keys"}`)(w, r)
		case r.URL.Path == "/v1/regions":
			serve(`["eu"]`)(w, r)
		default:
			serve(string(document))(w, r)
		}
	}
	server = newServer(t, strict)
	for _, source := range []Source{URL(server.URL, nil), Issuer(server.URL, nil), Nomad{Address: server.URL}} {
		set, err := source.Fetch(t.Context())
		require.NoError(t, err, "%v", source)
		assert.Len(t, set.Keys, 1)
	}
	_, err := Nomad{Address: server.URL}.Regions(t.Context())
	require.NoError(t, err)
	_, err = URL(server.URL+"/never", nil).Fetch(t.Context())
	require.ErrorContains(t, err, "look at the server's settings")
}

// TLS ends at a proxy that the issuer doesn't know of, so it names its keys by http.
func TestReport14PlaintextKeys(t *testing.T) {
	var document string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved/.well-known/openid-configuration" {
			http.Redirect(w, r, "http://"+r.Host+"/keys", http.StatusFound)
			return
		}
		assert.Equal(t, "/.well-known/openid-configuration", r.URL.Path, "nothing else is asked for")
		serve(document)(w, r)
	}))
	t.Cleanup(server.Close)
	client := &Client{HTTPClient: server.Client()}
	reported := string(readTestdata(t, "reports/14-discovery-http-jwks-uri.json"))
	refusal := func(keys string) string {
		document = strings.NewReplacer("https://127.0.0.1:8912/", server.URL+"/", "http://127.0.0.1:8912/jwks", keys).Replace(reported)
		_, err := Issuer(server.URL+"/", client).Fetch(t.Context())
		require.ErrorContains(t, err, "another origin")
		assert.NotErrorIs(t, err, ErrPlaintext, "or a hint offers plaintext")
		return err.Error()
	}
	for _, host := range []string{strings.TrimPrefix(server.URL, "https://"), "127.0.0.1", "127.0.0.1:8080"} {
		said := refusal("http://" + host + "/jwks?a=b")
		assert.Contains(t, said, "a proxy ends TLS")
		assert.Contains(t, said, "give "+server.URL+"/jwks?… as the URL of a key set")
	}
	said := refusal("http://keys.example.com/jwks")
	assert.Contains(t, said, "anyone on the path chooses the keys")
	assert.NotContains(t, said, "as the URL of a key set")

	_, err := Issuer(server.URL+"/moved", client).Fetch(t.Context())
	require.ErrorContains(t, err, "plain HTTP, where anyone on the path chooses the keys")
	assert.NotContains(t, err.Error(), "give that address")
}

// Vault as a provider without api_addr names itself by a path.
func TestReport15RelativeIssuer(t *testing.T) {
	const path = "/v1/identity/oidc/provider/default"
	document := string(readTestdata(t, "reports/15-vault-relative-discovery.json"))
	keys := string(readTestdata(t, "reports/15-vault-keys.json"))
	mux := http.NewServeMux()
	mux.HandleFunc(path+pathDiscovery, func(w http.ResponseWriter, r *http.Request) { serve(document)(w, r) })
	mux.HandleFunc(path+"/.well-known/keys", serve(keys))
	server := newServer(t, mux.ServeHTTP)
	refusal := func() string {
		_, err := Issuer(server.URL+path, nil).Fetch(t.Context())
		require.ErrorContains(t, err, "is for issuer")
		return err.Error()
	}
	offer := server.URL + path + "/.well-known/keys"
	said := refusal()
	assert.Contains(t, said, "give the URL of its key set instead, "+offer+";")
	assert.NotContains(t, said, "exactly as it names itself", "that would be refused")
	set, err := URL(offer, nil).Fetch(t.Context())
	require.NoError(t, err, "what is offered works")
	assert.Len(t, set.Keys, 1)

	// An address that only the issuer's neighbours reach.
	document = `{"issuer": "http://10.0.0.1:8200` + path + `", "jwks_uri": "` + offer + `"}`
	said = refusal()
	assert.Contains(t, said, "exactly as it names itself")
	assert.Contains(t, said, offer)
	// Nothing of another origin is offered.
	document = `{"issuer": "default", "jwks_uri": "https://keys.example.com/keys"}`
	said = refusal()
	assert.NotContains(t, said, "example.com")
	assert.Contains(t, said, "public address")
	// The right issuer, and a relative address of its keys.
	document = `{"issuer": "` + server.URL + path + `", "jwks_uri": "` + path + `/.well-known/keys"}`
	_, err = Issuer(server.URL+path, nil).Fetch(t.Context())
	require.ErrorContains(t, err, "give "+offer+" as the URL of a key set")
}

// Kubernetes serves its keys to service accounts alone.
func TestReport16KubernetesLogin(t *testing.T) {
	status := func(code int, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {},\n  \"status\": \"Failure\",\n  \"message\": \""+message+"\"\n}")
		}
	}
	anonymous := status(http.StatusForbidden, `forbidden: User \"system:anonymous\" cannot get path`)
	refusal := func(handler http.HandlerFunc, path string) string {
		server := newServer(t, handler)
		_, err := URL(server.URL+path, nil).Fetch(t.Context())
		require.Error(t, err)
		if path == "" {
			_, err = Issuer(server.URL, nil).Fetch(t.Context())
			require.Error(t, err)
		}
		return err.Error()
	}
	for _, path := range []string{pathKubernetesKeys, ""} {
		said := refusal(anonymous, path)
		assert.Contains(t, said, "token of a service account")
		assert.Contains(t, said, "system:service-account-issuer-discovery")
		assert.NotContains(t, said, "needs no token")

		said = refusal(status(http.StatusUnauthorized, "Unauthorized"), path)
		assert.Contains(t, said, "token of a service account")
		assert.Contains(t, said, "kubectl get --raw")
		assert.NotContains(t, said, "system:unauthenticated", "which isn't asked where nobody is anonymous")
	}
	said := refusal(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "/jwks")
	assert.Contains(t, said, "wants a login")
	assert.NotContains(t, said, "needs no token")
}
