package fakevault_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fakevault/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Run("enterprise", func(t *testing.T) {
		s := fakevault.New(t)
		conformance.Run(t, s.Client(), s.UnsealKey())
	})
	t.Run("community", func(t *testing.T) {
		s := fakevault.New(t)
		s.SetCommunity(true)
		conformance.Run(t, s.Client(), s.UnsealKey())
	})
}

const config = "auth/jwt-nomad/config"

// newMount is a Vault with one JWT mount that trusts one key.
func newMount(t *testing.T) (*fakevault.Server, string) {
	t.Helper()
	s := fakevault.New(t)
	s.Enable("", "jwt-nomad", "jwt")
	key := element(t, fakenomad.NewKey("EdDSA"))
	require.NoError(t, s.WriteConfig("", "jwt-nomad", map[string]any{"jwt_validation_pubkeys": []string{key}}))
	return s, key
}

func element(t *testing.T, k *fakenomad.Key) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func status(err error) int {
	if e, ok := errors.AsType[*api.ResponseError](err); ok {
		return e.StatusCode
	}
	return 0
}

func TestNamespaces(t *testing.T) {
	s, key := newMount(t)
	other := element(t, fakenomad.NewKey("EdDSA"))
	s.Enable("team-a/", "jwt-nomad", "jwt")
	c := s.Client()
	c.SetNamespace("team-a")
	_, err := c.Logical().Write(config, map[string]any{"jwt_validation_pubkeys": []string{other}})
	require.NoError(t, err)
	require.Equal(t, []string{key[:len(key)-1]}, s.Keys("", "jwt-nomad"))
	require.Equal(t, []string{other[:len(other)-1]}, s.Keys("team-a", "jwt-nomad"))
	require.Equal(t, "team-a", s.Requests()[0].Namespace)

	c = s.ClientWith(s.Token("team-a", fakevault.Grants{config: {"read"}}))
	_, err = c.Logical().Read(config)
	require.Equal(t, http.StatusForbidden, status(err), "not in the root namespace")
	c.SetNamespace("team-a")
	_, err = c.Logical().Read(config)
	require.NoError(t, err)

	c = s.ClientWith(s.Token("", fakevault.Grants{"team-a/" + config: {"read"}}))
	c.SetNamespace("team-a")
	_, err = c.Logical().Read(config)
	require.NoError(t, err, "a token of the root namespace reaches down")
}

func TestFaults(t *testing.T) {
	other := element(t, fakenomad.NewKey("EdDSA"))
	write := map[string]any{"jwt_validation_pubkeys": []string{other}}

	t.Run("status", func(t *testing.T) {
		s, _ := newMount(t)
		s.Inject(fakehttp.On("GET", config, fakehttp.Times(2, fakehttp.Status(503, "Vault is sealed"))))
		for _, want := range []int{503, 503, 0} {
			_, err := s.Client().Logical().Read(config)
			require.Equal(t, want, status(err))
		}
		require.Equal(t, 3, s.Count("GET", config))
	})
	t.Run("a lost answer", func(t *testing.T) {
		s, _ := newMount(t)
		s.Inject(fakehttp.On("PUT", config, fakehttp.DropAfter()))
		_, err := s.Client().Logical().Write(config, write)
		require.Error(t, err)
		require.Equal(t, []string{other[:len(other)-1]}, s.Keys("", "jwt-nomad"))
	})
	t.Run("a lost request", func(t *testing.T) {
		s, key := newMount(t)
		s.Inject(fakehttp.On("PUT", config, fakehttp.Drop()))
		_, err := s.Client().Logical().Write(config, write)
		require.Error(t, err)
		require.Equal(t, []string{key[:len(key)-1]}, s.Keys("", "jwt-nomad"))
	})
	t.Run("another writer", func(t *testing.T) {
		s, key := newMount(t)
		s.Inject(fakehttp.On("GET", config, fakehttp.Times(1, fakehttp.Then(func() {
			require.NoError(t, s.WriteConfig("", "jwt-nomad", write))
		}))))
		for _, want := range []string{key, other} {
			secret, err := s.Client().Logical().Read(config)
			require.NoError(t, err)
			require.Equal(t, []any{want[:len(want)-1]}, secret.Data["jwt_validation_pubkeys"])
		}
	})
	t.Run("sealed", func(t *testing.T) {
		s, _ := newMount(t)
		s.Seal()
		_, err := s.Client().Logical().Read(config)
		require.ErrorContains(t, err, "Vault is sealed")
		s.Unseal()
		_, err = s.Client().Logical().Read(config)
		require.NoError(t, err)
	})
	t.Run("too large", func(t *testing.T) {
		s, _ := newMount(t)
		s.SetMaxEntry(300)
		_, err := s.Client().Logical().Write(config, write)
		require.Equal(t, http.StatusInternalServerError, status(err))
		require.ErrorContains(t, err, "put failed due to value being too large")
	})
	t.Run("held", func(t *testing.T) {
		s, _ := newMount(t)
		release, done := make(chan struct{}), make(chan error, 1)
		s.Inject(fakehttp.On("PUT", config, fakehttp.Hold(release)))
		go func() {
			_, err := s.Client().Logical().Write(config, write)
			done <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Await(ctx, 1, func(r fakehttp.Request) bool { return r.Method == "PUT" }))
		require.Equal(t, 0, s.Requests()[0].Status, "not answered yet")
		close(release)
		require.NoError(t, <-done)
	})
}

func TestMachineLogins(t *testing.T) {
	s, _ := newMount(t)
	require.NoError(t, s.Client().Sys().PutPolicy("harvest", `path "`+config+`" { capabilities = ["read", "update"] }`))
	s.EnableAppRole("", "approle", "role", "secret", "harvest")
	s.EnableKubernetes("", "k8s/prod", "harvest", "a.b.c", "harvest")

	for path, body := range map[string][2]map[string]any{
		"auth/approle/login":  {{"role_id": "role", "secret_id": "secret"}, {"role_id": "role", "secret_id": "wrong"}},
		"auth/k8s/prod/login": {{"role": "harvest", "jwt": "a.b.c"}, {"role": "harvest", "jwt": "x"}},
	} {
		secret, err := s.ClientWith("").Logical().Write(path, body[0])
		require.NoError(t, err)
		_, err = s.ClientWith(secret.Auth.ClientToken).Logical().Read(config)
		require.NoError(t, err)
		_, err = s.ClientWith("").Logical().Write(path, body[1])
		require.Error(t, err)

		s.Revoke(secret.Auth.ClientToken)
		_, err = s.ClientWith(secret.Auth.ClientToken).Logical().Read(config)
		require.Equal(t, http.StatusForbidden, status(err))
	}
}

func TestInProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		s.Enable("", "jwt-nomad", "jwt")
		token := s.PolicyToken("", time.Hour, "root")
		c := s.ClientWith(token)
		start := time.Now()
		s.Inject(fakehttp.On("GET", "lookup-self", fakehttp.Delay(30*time.Minute)))
		c.SetClientTimeout(0)
		_, err := c.Auth().Token().LookupSelf()
		require.NoError(t, err)
		require.Equal(t, 30*time.Minute, time.Since(start))
		time.Sleep(31 * time.Minute)
		_, err = c.Logical().Read(config)
		require.Equal(t, http.StatusForbidden, status(err), "the token has run out")

		s.Inject(fakehttp.Drop())
		_, err = c.Logical().Read(config)
		require.ErrorIs(t, err, fakehttp.ErrDropped)
	})
}
