package setup

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/vaultsync"
)

// plainClient is a client as a program makes it that says nothing of redirects.
func plainClient(t *testing.T, address string) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: address, HttpClient: &http.Client{}, MaxRetries: -1})
	require.NoError(t, err)
	c.ClearNamespace()
	c.SetToken(fakevault.RootToken)
	return c
}

// A write that is redirected to nowhere wasn't done, and vault/api says nothing.
func TestSetupNotDoneByRedirect(t *testing.T) {
	for name, test := range map[string]struct {
		to   func(r *http.Request, self, other string) (int, string)
		says string
	}{
		"twice": {func(r *http.Request, self, _ string) (int, string) {
			return http.StatusTemporaryRedirect, self + r.URL.Path
		}, "of redirects one is followed"},
		"by 308": {func(r *http.Request, self, _ string) (int, string) {
			return http.StatusPermanentRedirect, self + r.URL.Path
		}, "which isn't followed"},
		"nowhere": {func(*http.Request, string, string) (int, string) { return http.StatusFound, "" }, "names no place to go to"},
		"to a login page": {func(_ *http.Request, _, other string) (int, string) { return http.StatusFound, other + "/login" },
			"for another path"},
	} {
		t.Run(name, func(t *testing.T) {
			v, other := fakevault.New(t), fakevault.New(t)
			m := vaultsync.NewMount(plainClient(t, v.URL), "jwt-new")
			plan, err := NewPlan(t.Context(), m, Setup{})
			require.NoError(t, err)
			v.Inject(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
				if r.Method == http.MethodGet {
					next(w, r)
					return
				}
				status, to := test.to(r, v.URL, other.URL)
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(status)
			})
			_, err = Apply(t.Context(), m, plan)
			require.ErrorContains(t, err, `mount "jwt-new": `)
			require.ErrorContains(t, err, test.says)
			assert.Empty(t, other.Requests())
		})
	}
}
