package vaultauth

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// waiting bounds how long a test waits for an event.
const waiting = 20 * time.Second

// keeping is a keeper at work.
type keeping struct {
	*Keeper
	told chan error
	stop func()
}

// keep starts a keeper with short times.
func keep(t *testing.T, v config.Vault) *keeping {
	t.Helper()
	k := &keeping{told: make(chan error, 1000)}
	var err error
	k.Keeper, err = NewKeeper(v, os.Getenv, slog.New(slog.DiscardHandler), func(err error) { k.told <- err })
	require.NoError(t, err)
	k.times = keeperTimes{
		retryMin: 10 * time.Millisecond, retryMax: 100 * time.Millisecond, refusedMax: 100 * time.Millisecond,
		file: 10 * time.Millisecond, revoke: time.Second,
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx)
	}()
	k.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(k.stop)
	return k
}

// await returns once n requests of that kind arrived.
func await(t *testing.T, s *fakevault.Server, n int, method, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waiting)
	defer cancel()
	require.NoError(t, s.Await(ctx, n, func(r fakehttp.Request) bool {
		return r.Method == method && r.Path == "/v1/"+path && r.Status != 0
	}))
}

// next returns what the keeper tells next.
func (k *keeping) next(t *testing.T) error {
	t.Helper()
	select {
	case err := <-k.told:
		return err
	case <-time.After(waiting):
		require.Fail(t, "the keeper is silent")
		return nil
	}
}

// untilTold returns once the keeper tells of success, or of that error.
func (k *keeping) untilTold(t *testing.T, want error) {
	t.Helper()
	for err := k.next(t); !errors.Is(err, want); err = k.next(t) {
	}
}

// TestKeeperRenews: a token that came from elsewhere is renewed at two thirds of its
// time, and not given back at the end.
func TestKeeperRenews(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	t.Setenv("VAULT_TOKEN", s.PolicyToken("", 2*time.Second))
	k := keep(t, config.Vault{Address: s.URL})
	require.NoError(t, k.next(t))
	began := time.Now()
	await(t, s, 1, "PUT", "auth/token/renew-self")
	assert.Greater(t, time.Since(began), 500*time.Millisecond)
	await(t, s, 2, "PUT", "auth/token/renew-self")
	k.stop()
	assert.Zero(t, s.Count("PUT", "revoke-self"))
}

// TestKeeperLogsInAgain: before a login's lease ends there is another; the last one is
// given back, none before.
func TestKeeperLogsInAgain(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	nomad := fakenomad.New(t)
	s.Enable("", "jwt-nomad", "jwt")
	element, err := pem.Encode(nomad.Region("").Active().Public())
	require.NoError(t, err)
	require.NoError(t, s.WriteConfig("", "jwt-nomad", map[string]any{"jwt_validation_pubkeys": []string{string(element)}}))
	_, err = s.Client().Logical().Write("auth/jwt-nomad/role/harvest", map[string]any{
		"role_type": "jwt", "user_claim": "nomad_job_id", "bound_audiences": []string{"vault.io"}, "token_ttl": 1,
	})
	require.NoError(t, err)
	name := fixture.File(t, nomad.Region("").Token(fakenomad.Workload{}))
	k := keep(t, config.Vault{Address: s.URL, Auth: &config.Auth{Method: "jwt", Mount: "jwt-nomad", Role: "harvest", TokenFile: name}})
	require.NoError(t, k.next(t))
	first := k.client.Token()
	require.NoError(t, k.next(t))
	second := k.client.Token()
	assert.NotEqual(t, first, second)
	assert.Zero(t, s.Count("PUT", "revoke-self"))

	// Where the login is locked out, its lease is renewed meanwhile.
	s.Inject(fakehttp.On("PUT", "auth/jwt-nomad/login", fakehttp.Status(400, "error validating token")))
	await(t, s, 1, "PUT", "auth/token/renew-self")
	assert.Equal(t, second, k.client.Token())
	s.ClearFaults()
	k.untilTold(t, nil)
	k.stop()
	assert.Equal(t, 1, s.Count("PUT", "revoke-self"))
	for _, r := range s.Requests() {
		if r.Path == "/v1/auth/jwt-nomad/login" {
			assert.Empty(t, r.Header.Get("X-Vault-Token"), "a login shows no token")
		}
	}
}

// TestKeeperRefused: a 403 makes one new login, further ones ever later ones.
func TestKeeperRefused(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	s.EnableAppRole("", "approle", "harvest", "s3cr3t")
	k := keep(t, config.Vault{Address: s.URL, Auth: &config.Auth{Method: "approle", RoleID: "harvest", SecretIDFile: fixture.File(t, "s3cr3t")}})
	k.times.refusedMax = time.Hour
	k.times.retryMin = time.Hour / 2
	require.NoError(t, k.next(t))
	refused := &vaultsync.MountError{Err: vaultsync.ErrForbidden}
	k.Report(errors.New("something else"))
	k.Report(refused)
	require.NoError(t, k.next(t))
	assert.Equal(t, 2, s.Count("PUT", "approle/login"))
	k.Report(refused) // it waits now
	k.stop()
	assert.Equal(t, 2, s.Count("PUT", "approle/login"))
	assert.Equal(t, 1, s.Count("PUT", "revoke-self"))
}

// A 403 of something before Vault says nothing of the token: no other is asked for.
func TestKeeperRefusedByAnother(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	s.EnableAppRole("", "approle", "harvest", "s3cr3t")
	k := keep(t, config.Vault{Address: s.URL, Auth: &config.Auth{Method: "approle", RoleID: "harvest", SecretIDFile: fixture.File(t, "s3cr3t")}})
	require.NoError(t, k.next(t))
	mount := vaultsync.NewMount(k.Client(), "jwt-nomad")
	s.Inject(fakehttp.On("GET", "auth/jwt-nomad/config", fakehttp.Answer(403, "text/html", "<html>blocked</html>")))
	_, err := mount.Read(t.Context())
	require.ErrorContains(t, err, "status 403 isn't Vault's")
	require.NotErrorIs(t, err, vaultsync.ErrForbidden)
	k.Report(err)
	s.ClearFaults()
	_, err = mount.Read(t.Context())
	require.ErrorIs(t, err, vaultsync.ErrForbidden, "Vault's own: the role gives no policy")
	k.Report(err)
	require.NoError(t, k.next(t))
	k.stop()
	assert.Equal(t, 2, s.Count("PUT", "approle/login"), "the first, and that after Vault's own 403")
}

// Where an agent adds the token, none is sent, asked about, renewed or given back, whatever the
// environment has.
func TestKeeperOfNoToken(t *testing.T) {
	fakevault.ClearEnvironment(t)
	t.Setenv("VAULT_TOKEN", "env-token")
	s := fakevault.New(t)
	v := config.Vault{Address: s.URL, Auth: &config.Auth{Method: "none"}}
	k := keep(t, v)
	require.NoError(t, k.next(t))
	k.Report(&vaultsync.MountError{Err: vaultsync.ErrForbidden})
	require.NoError(t, k.next(t), "there is no other")
	client, err := NewClient(v)
	require.NoError(t, err)
	end, err := LogIn(t.Context(), v, client)
	require.NoError(t, err)
	for _, c := range []*vaultsync.Mount{vaultsync.NewMount(k.Client(), "jwt-nomad"), vaultsync.NewMount(client, "jwt-nomad")} {
		_, err = c.Read(t.Context())
		require.Error(t, err)
	}
	end()
	k.stop()
	require.NotEmpty(t, s.Requests())
	for _, r := range s.Requests() {
		assert.Equal(t, "/v1/auth/jwt-nomad/config", r.Path)
		assert.Empty(t, r.Header.Get("X-Vault-Token"))
	}
}

// TestKeeperFile: a token file is read again when it changes, and Vault away or sealed is
// waited for.
func TestKeeperFile(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	name := fixture.File(t, "")
	k := keep(t, config.Vault{Address: s.URL, Auth: &config.Auth{Method: "token_file", TokenFile: name}})
	require.ErrorContains(t, k.next(t), "empty")
	<-k.first
	s.Seal()
	first := s.Token("", fakevault.Grants{"*": {"read"}})
	fixture.Replace(t, name, first)
	for err := k.next(t); ; err = k.next(t) {
		require.Error(t, err)
		if vaultsync.Kind(err) == "sealed" && s.Count("GET", "lookup-self") > 0 {
			break
		}
	}
	s.Unseal()
	k.untilTold(t, nil)
	assert.Equal(t, first, k.client.Token())

	// A token that may not ask about itself is taken at its word, until a sync is refused.
	s.Revoke(first)
	k.Report(&vaultsync.MountError{Err: vaultsync.ErrForbidden})
	k.untilTold(t, errRefused)
	second := s.Token("", fakevault.Grants{"*": {"read"}})
	fixture.Replace(t, name, second)
	k.untilTold(t, nil)
	assert.Equal(t, second, k.client.Token())
}
