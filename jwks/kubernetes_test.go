package jwks

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekubernetes"
)

// podOf returns what a pod of the cluster would ask with, whose token is in that file.
func podOf(t *testing.T, s *fakekubernetes.Server, tokenFile string) kubernetesSource {
	t.Helper()
	client, err := TLS{CACert: s.CAFile(t)}.HTTPClient()
	require.NoError(t, err)
	c := &Client{HTTPClient: client}
	if tokenFile != "" {
		c.Token = TokenFile(tokenFile)
	}
	return kubernetesSource{s.URL, c}
}

// The kubelet renews a token by turning a link, and the old one ends: each request has the new one.
func TestReport16KubernetesTokenRotates(t *testing.T) {
	s := fakekubernetes.New(t)
	volume := t.TempDir()
	first := s.Issue("", time.Hour)
	k := podOf(t, s, fakekubernetes.Project(t, volume, first))
	set, err := k.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
	assert.True(t, set.Unindexed)

	second := s.Issue("", time.Hour)
	fakekubernetes.Project(t, volume, second)
	s.Revoke(first)
	s.Rotate()
	a, err := k.Poll(t.Context(), Query{})
	require.NoError(t, err)
	assert.Len(t, a.Set.Keys, 2)
	assert.Equal(t, 1, s.Answered(first))
	assert.Equal(t, 1, s.Answered(second))
}

// What discovery says of the keys' place is nobody's business: the token would go there.
func TestReport16KubernetesDiscovery(t *testing.T) {
	elsewhere := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	s := fakekubernetes.New(t)
	s.Announce("https://oidc.example.com/id/1", elsewhere.URL+"/openid/v1/jwks")
	name := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(name, []byte(s.Issue("", time.Hour)), 0o600))
	k := podOf(t, s, name)
	m, err := k.Discover(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Metadata{Issuer: "https://oidc.example.com/id/1", Algorithms: []string{"RS256"}}, m)
	_, err = k.Fetch(t.Context())
	require.NoError(t, err)
	assert.Empty(t, elsewhere.got)
}

func TestReport16KubernetesRefusals(t *testing.T) {
	s := fakekubernetes.New(t)
	other := fakekubernetes.New(t)
	name := filepath.Join(t.TempDir(), "token")
	for what, test := range map[string]struct {
		token string
		bound bool
		code  int
		says  string
	}{
		"expired":                {s.Issue("", -time.Second), true, http.StatusUnauthorized, "it has expired"},
		"for another audience":   {s.Issue("vault", time.Hour), true, http.StatusUnauthorized, "is for another audience"},
		"of another cluster":     {other.Issue("", time.Hour) + "x", true, http.StatusUnauthorized, "is of another cluster"},
		"the role isn't bound":   {s.Issue("", time.Hour), false, http.StatusForbidden, "system:service-account-issuer-discovery"},
		"no token":               {"", true, http.StatusForbidden, "none is sent: give the file of one"},
		"not bound and no token": {"", false, http.StatusForbidden, "none is sent"},
	} {
		t.Run(what, func(t *testing.T) {
			s.Bind(test.bound)
			k := podOf(t, s, "")
			if test.token != "" {
				require.NoError(t, os.WriteFile(name, []byte(test.token+"\n"), 0o600))
				k = podOf(t, s, name)
			}
			_, fetched := k.Fetch(t.Context())
			_, polled := k.Poll(t.Context(), Query{})
			_, discovered := k.Discover(t.Context())
			for _, err := range []error{fetched, polled, discovered} {
				var status *StatusError
				require.ErrorAs(t, err, &status)
				assert.Equal(t, test.code, status.StatusCode)
				assert.Contains(t, err.Error(), test.says)
				if test.token != "" {
					assert.NotContains(t, err.Error(), test.token)
				}
			}
		})
	}
}

func TestKubernetesWithoutItsCA(t *testing.T) {
	s := fakekubernetes.New(t)
	name := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(name, []byte(s.Issue("", time.Hour)), 0o600))
	_, err := Kubernetes(s.URL, &Client{Token: TokenFile(name)}).Fetch(t.Context())
	require.ErrorContains(t, err, "give the CA certificate")
	for _, address := range []string{"http://k8s.example.com", "http://localhost:1"} {
		_, err = Kubernetes(address, &Client{Token: TokenFile(name), AllowPlaintext: true}).Fetch(t.Context())
		require.ErrorIs(t, err, ErrTokenNotSent)
	}
	_, err = Kubernetes("https://x/?a=b", nil).Fetch(t.Context())
	require.ErrorContains(t, err, "has a query")
	assert.Equal(t, "GET https://x/k/openid/v1/jwks", fmt.Sprint(Kubernetes("https://x/k/", nil)))
}

func TestWithIssuer(t *testing.T) {
	const issuer = "https://issuer.example.com"
	for _, s := range []Source{URL("https://x", nil), File("f"), Static(""), Kubernetes("", nil)} { // none is asked
		d, ok := WithIssuer(s, issuer).(Discoverer)
		require.True(t, ok)
		m, err := d.Discover(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Metadata{Issuer: issuer}, m)
	}
	bad, ok := WithIssuer(Static(""), "a\nb").(Discoverer)
	require.True(t, ok)
	_, err := bad.Discover(t.Context())
	require.Error(t, err)
	_, polls := WithIssuer(File("f"), issuer).(Poller)
	assert.True(t, polls)
	_, polls = WithIssuer(Static(""), issuer).(Poller)
	assert.False(t, polls)
}
