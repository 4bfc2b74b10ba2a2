package vaultsync

import (
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

// toActive is a standby that doesn't forward: it sends everybody to the active node.
func toActive(active string) fault.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		fault.Redirect(http.StatusTemporaryRedirect, active+r.URL.Path)(w, r, next)
	}
}

// throughHTTP returns the mount as api.DefaultConfig reaches it, by whose client redirects
// are left to vault/api.
func throughHTTP(t *testing.T, s *fakevault.Server) *Mount {
	t.Helper()
	config := api.DefaultConfig()
	config.Address, config.MaxRetries, config.HttpClient.Transport = s.URL, 0, s.Server.Client().Transport
	c, err := api.NewClient(config)
	require.NoError(t, err)
	c.ClearNamespace()
	c.SetToken(fakevault.RootToken)
	return NewMount(c, "jwt-nomad")
}

// A redirect is followed once, with the token, as Vault's own command does; not a second
// time, and not from https to http.
func TestStandbyRedirects(t *testing.T) {
	t.Run("to the active node", func(t *testing.T) {
		standby, active := fakevault.New(t), fakevault.New(t)
		active.Enable("", "jwt-nomad", "jwt")
		standby.Inject(toActive(active.URL))
		report, err := throughHTTP(t, standby).Sync(t.Context(), desired(publish("a", "k1")), Options{Settle: 100 * time.Millisecond})
		require.NoError(t, err)
		assert.Equal(t, 1, report.Written)
		assert.Equal(t, []string{"a k1"}, trustedNames(active))
		assert.Empty(t, standby.Keys("", "jwt-nomad"))
		assert.Equal(t, 1, active.Count("PUT", configPath), "a write that is redirected is carried out once")
		for _, r := range active.Requests() {
			assert.Equal(t, fakevault.RootToken, r.Header.Get("X-Vault-Token"))
		}
	})
	t.Run("not twice", func(t *testing.T) {
		first, second, third := fakevault.New(t), fakevault.New(t), fakevault.New(t)
		first.Inject(toActive(second.URL))
		second.Inject(toActive(third.URL))
		report, err := throughHTTP(t, first).Sync(t.Context(), desired(publish("a", "k1")), Options{})
		require.ErrorContains(t, err, "307")
		assert.Zero(t, report.Written)
		assert.Empty(t, third.Requests(), "the token goes no further")
		assert.Len(t, second.Requests(), 1)
	})
	t.Run("not to http", func(t *testing.T) {
		active := fakevault.New(t)
		standby := fakevault.NewInProcess()
		standby.ListenTLS()
		t.Cleanup(standby.Close)
		standby.Inject(toActive(active.URL))
		_, err := throughHTTP(t, standby).Sync(t.Context(), desired(publish("a", "k1")), Options{})
		require.ErrorContains(t, err, "protocol downgrade")
		assert.Empty(t, active.Requests(), "the token isn't sent in the clear")
	})
	t.Run("from https to another https", func(t *testing.T) {
		standby, other := fakevault.NewInProcess(), fakevault.NewInProcess()
		for _, s := range []*fakevault.Server{standby, other} {
			s.ListenTLS()
			t.Cleanup(s.Close)
		}
		other.Enable("", "jwt-nomad", "jwt")
		standby.Inject(toActive(other.URL))
		_, err := throughHTTP(t, standby).Sync(t.Context(), desired(publish("a", "k1")), Options{Settle: 100 * time.Millisecond})
		require.NoError(t, err)
		assert.Equal(t, []string{"a k1"}, trustedNames(other))
	})
}

// Nodes that answer for themselves: standbys and nodes of a replica.
func TestStandbyRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		code  int
		words string
	}{
		"standby without an active node": {http.StatusInternalServerError, "Vault failed with status 500"},
		"standby's health":               {http.StatusTooManyRequests, "429"},
		"performance standby":            {473, "Vault answered with status 473"},
		"disaster recovery":              {472, "Vault answered with status 472"},
		"lags behind":                    {http.StatusPreconditionFailed, "hasn't caught up with the last write yet (412)"},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			synced(t, m, desired(publish("a", "k1")), Options{})
			v.ClearRequests()
			v.Inject(fault.On("", "", fault.Status(test.code, "local node not active")))
			for _, do := range []func() (*MountReport, error){
				func() (*MountReport, error) { return m.Plan(t.Context(), desired(publish("a", "k1", "k2")), Options{}) },
				func() (*MountReport, error) { return m.Sync(t.Context(), desired(publish("a", "k1", "k2")), Options{}) },
			} {
				report, err := do()
				require.ErrorContains(t, err, test.words)
				require.ErrorContains(t, err, "mount jwt-nomad")
				assert.Zero(t, report.Written)
			}
			assert.Zero(t, v.Count("PUT", ""))
			assert.Equal(t, []string{"a k1"}, trustedNames(v))
			v.ClearFaults()
			synced(t, m, desired(publish("a", "k1", "k2")), Options{})
		})
	}
}
