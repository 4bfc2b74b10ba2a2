package vaultapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nothing is at a path only where Vault says so: what else is missing, or says something like
// it, is an error, since a mount would be written as if it were empty.
func TestLookupOfWhatIsNotThere(t *testing.T) {
	const noEngine = `{"errors":["No auth engine at jwt-nomad/"]}`
	for name, c := range map[string]struct {
		path    string
		status  int
		body    string
		nothing bool
	}{
		"an empty list of errors":                        {"auth/jwt-nomad/config", 404, `{"errors":[]}`, true},
		"another 404":                                    {"auth/jwt-nomad/config", 404, `{"errors":["no handler for route"]}`, false},
		"a proxy's 404":                                  {"auth/jwt-nomad/config", 404, `not found`, false},
		"no auth engine, of an engine":                   {"sys/auth/jwt-nomad", 400, noEngine, true},
		"no auth engine, of something else":              {"auth/jwt-nomad/config", 400, noEngine, false},
		"no auth engine, of all engines":                 {"sys/auth", 400, noEngine, false},
		"no auth engine, with a status of another error": {"sys/auth/jwt-nomad", 403, noEngine, false},
		"another bad request about an engine":            {"sys/auth/jwt-nomad", 400, `{"errors":["bad path"]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/v1/"+c.path, r.URL.Path)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			client, err := api.NewClient(&api.Config{Address: server.URL})
			require.NoError(t, err)
			fields, err := (&Session{API: client, Path: "jwt-nomad"}).Lookup(t.Context(), c.path)
			assert.Nil(t, fields)
			assert.Equal(t, c.nothing, err == nil, err)
		})
	}
}
