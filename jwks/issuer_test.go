package jwks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

func TestIssuer(t *testing.T) {
	other := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the other origin was asked") })
	var document, base string
	mux := http.NewServeMux()
	mux.HandleFunc("/id/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) { serve(document)(w, r) })
	mux.HandleFunc("/keys", serve(keySet(rsaMember(0, fields{"kid": "a"}))))
	base = newServer(t, mux.ServeHTTP).URL
	discovery := func(issuer, keys string) string {
		return fmt.Sprintf(`{"issuer": %q, "jwks_uri": %q, "response_types_supported": ["code"]}`, issuer, keys)
	}

	tests := map[string]struct {
		issuer   string
		document string
		message  string
	}{
		"plain":            {base + "/id", discovery(base+"/id", base+"/keys"), ""},
		"odd algorithms":   {base + "/id", `{"id_token_signing_alg_values_supported": "RS256", ` + discovery(base+"/id", base+"/keys")[1:], ""},
		"with a slash":     {base + "/id/", discovery(base+"/id/", base+"/keys"), ""},
		"a slash too many": {base + "/id/", discovery(base+"/id", base+"/keys"), "is for issuer"},
		"a slash too few":  {base + "/id", discovery(base+"/id/", base+"/keys"), "is for issuer"},
		"another issuer":   {base + "/id", discovery("https://accounts.example.com\n", base+"/keys"), "is for issuer"},
		"no issuer":        {base + "/id", `{"jwks_uri": "` + base + `/keys"}`, "is for issuer"},
		"Issuer":           {base + "/id", strings.Replace(discovery(base+"/id", base+"/keys"), "issuer", "Issuer", 1), "is for issuer"},
		"issuer twice":     {base + "/id", `{"issuer": "x", ` + discovery(base+"/id", base+"/keys")[1:], "duplicate key"},
		"no jwks_uri":      {base + "/id", discovery(base+"/id", ""), "no jwks_uri"},
		"relative":         {base + "/id", discovery(base+"/id", "/keys"), "jwks_uri"},
		"another origin":   {base + "/id", discovery(base+"/id", other.URL+"/keys"), "another origin"},
		"another scheme":   {base + "/id", discovery(base+"/id", strings.Replace(base, "http", "https", 1)+"/keys"), "another origin"},
		"with a user":      {base + "/id", discovery(base+"/id", strings.Replace(base, "//", "//me:hunter2@", 1)+"/keys"), "user name"},
		"html":             {base + "/id", "<html>", "HTML"},
		"array":            {base + "/id", "[]", "not a JSON object"},
		"not found":        {base, "", "oidc_issuer"},
		"query":            {base + "/id?a=b", "", "query"},
		"plaintext":        {"http://issuer.example.com", "", ErrPlaintext.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			document = test.document
			set, err := Issuer(test.issuer, nil).Fetch(t.Context())
			if test.message == "" {
				require.NoError(t, err)
				assert.Equal(t, []string{"a"}, keyIDs(set))
				return
			}
			require.ErrorContains(t, err, test.message)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.True(t, text.IsPrintable(err.Error()))
		})
	}
}

func TestURL(t *testing.T) {
	server := newServer(t, serve(keySet(rsaMember(0, fields{"kid": "a"}))))
	source := URL(server.URL, nil)
	set, err := source.Fetch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, keyIDs(set))
	assert.Empty(t, source.RegionName())
}

// The query of an address may be what lets its reader in.
func TestQueryIsNotShown(t *testing.T) {
	gone := newServer(t, http.NotFound)
	closed := newServer(t, http.NotFound)
	closed.Close()
	elsewhere := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://other.example.com/keys?sig=canary", http.StatusFound)
	})
	for _, address := range []string{
		gone.URL, closed.URL, elsewhere.URL, "http://keys.example.com", "ftp://keys.example.com", "https://me:canary@keys.example.com", "https://",
	} {
		source := URL(address+"/keys?sig=canary&region=canary", nil)
		_, err := source.Fetch(t.Context())
		require.Error(t, err)
		assert.NotContains(t, err.Error()+fmt.Sprint(source), "canary")
	}
	assert.Contains(t, Nomad{Address: "https://nomad.example.com", Region: "eu"}.String(), "region eu")
	assert.Equal(t, "https://nomad.example.com/keys?region=eu", shownAddress("https://nomad.example.com/keys?region=eu"))
}
