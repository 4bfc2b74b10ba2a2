package jwks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoPrivateKeyInErrors: a server that fails with a private key in its hands doesn't get
// it into our log.
func TestNoPrivateKeyInErrors(t *testing.T) {
	const secret = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	jwk := `{"kty":"OKP","crv":"Ed25519","d":"` + secret + `"}`
	quoted, err := json.Marshal(map[string]string{"error": jwk})
	require.NoError(t, err)
	twice, err := json.Marshal(map[string]string{"error": string(quoted)})
	require.NoError(t, err)
	for name, body := range map[string]string{
		"a key": jwk, "a set": `{"keys":[` + jwk + `]}`, "spaces": `{"k" : "` + secret + `"}`, "a key in a string": string(quoted), "in a string of a string": string(twice),
		"cut short": jwk[:len(jwk)-10], "PEM": "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n", "old PEM": "-----BEGIN RSA PRIVATE KEY-----\n" + secret,
	} {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{http.StatusInternalServerError, http.StatusOK} {
				for _, contentType := range []string{"application/json", "application/" + body} {
					server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
						w.Header()["Content-Type"] = []string{strings.ReplaceAll(contentType, "\n", " ")}
						w.WriteHeader(status)
						_, _ = w.Write([]byte(body))
					})
					_, err := new(Client).fetch(t.Context(), server.URL)
					require.Error(t, err)
					assert.NotContains(t, strings.ToLower(err.Error()), strings.ToLower(secret[:12]))
				}
			}
		})
	}
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `"d" is missing`, http.StatusTeapot) })
	_, err = new(Client).fetch(t.Context(), server.URL)
	require.ErrorContains(t, err, `"d" is missing`)
}

// TestNoProxyPasswordInErrors: the address of a proxy is the environment's, with the
// password in it.
func TestNoProxyPasswordInErrors(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	t.Cleanup(proxy.Close)
	for name, address := range map[string]string{
		"that refuses": strings.Replace(proxy.URL, "//", "//ann:hunter2@", 1), "nobody's": "http://ann:hunter2@127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			client := &Client{HTTPClient: &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(address) }}}}
			_, err := client.fetch(t.Context(), "https://nomad.example.com")
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	const malformed = "http://ann:hunter2%zz@proxy:3128"
	client := &Client{HTTPClient: &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", malformed) // as net/http says it of the environment's
	}}}}
	_, err := client.fetch(t.Context(), "https://nomad.example.com")
	require.ErrorContains(t, err, "//…@proxy:3128")
	assert.NotContains(t, err.Error(), "hunter2")
}
