package vaultauth

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
)

// TestVaultEnvironment: what a block says wins over the environment, and nothing about
// another Vault's address, namespace or TLS gets into a labelled block with an address.
func TestVaultEnvironment(t *testing.T) {
	fakevault.ClearEnvironment(t)
	t.Setenv("VAULT_ADDR", "https://env.example.com:8200")
	t.Setenv("VAULT_AGENT_ADDR", "https://agent.example.com:8200")
	t.Setenv("VAULT_NAMESPACE", "env")
	t.Setenv("VAULT_TOKEN", "env-token")
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	t.Setenv("VAULT_TLS_SERVER_NAME", "env.example.com")
	jwt := &config.Auth{Method: "jwt"}
	for name, test := range map[string]struct {
		block                     config.Vault
		address, namespace, token string
		skipsVerification         bool
		serverName                string
	}{
		"no block":              {config.Vault{}, "https://agent.example.com:8200", "env", "env-token", true, "env.example.com"},
		"unlabelled":            {config.Vault{Address: "https://v"}, "https://v", "env", "env-token", true, "env.example.com"},
		"unlabelled, namespace": {config.Vault{Address: "https://v", Namespace: "n"}, "https://v", "n", "env-token", true, "env.example.com"},
		"labelled":              {config.Vault{Name: "eu", Address: "https://v"}, "https://v", "", "env-token", false, ""},
		"labelled, all":         {config.Vault{Name: "eu", Address: "https://v", Namespace: "n", TLS: jwks.TLS{ServerName: "s"}}, "https://v", "n", "env-token", false, "s"},
		"labelled, no address":  {config.Vault{Name: "eu"}, "https://agent.example.com:8200", "env", "env-token", true, "env.example.com"},
		"no token":              {config.Vault{Auth: &config.Auth{Method: "none"}}, "https://agent.example.com:8200", "env", "", true, "env.example.com"},
		"auth":                  {config.Vault{Name: "eu", Address: "https://v", Auth: jwt}, "https://v", "", "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := NewClient(test.block)
			require.NoError(t, err)
			assert.Equal(t, test.address, client.Address())
			assert.Equal(t, test.namespace, client.Namespace())
			assert.Equal(t, test.token, client.Token())
			config := client.CloneConfig().HttpClient.Transport.(*http.Transport).TLSClientConfig
			assert.Equal(t, test.skipsVerification, config.InsecureSkipVerify)
			assert.Equal(t, test.serverName, config.ServerName)
			assert.EqualValues(t, tls.VersionTLS12, config.MinVersion)
		})
	}
}

// TestVaultTLS: a labelled block reaches a Vault with a CA of its own, although the
// environment names another.
func TestVaultTLS(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.NewInProcess()
	s.ListenTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate()}), 0o600))
	t.Setenv("VAULT_TLS_SERVER_NAME", "elsewhere.example.com")
	for _, v := range []config.Vault{{Name: "eu", Address: s.URL}, {Name: "eu", Address: s.URL, TLS: jwks.TLS{CACert: ca}}} {
		client, err := NewClient(v)
		require.NoError(t, err)
		client.SetToken(fakevault.RootToken)
		_, err = client.Sys().ListAuthWithContext(t.Context())
		if v.TLS.CACert == "" {
			require.Error(t, err)
		} else {
			require.NoError(t, err)
		}
	}
	_, err := NewClient(config.Vault{Name: "eu", Address: s.URL, TLS: jwks.TLS{CACert: "missing.pem"}})
	require.ErrorContains(t, err, "missing.pem")
}

func TestVaultToken(t *testing.T) {
	fakevault.ClearEnvironment(t)
	client, err := NewClient(config.Vault{})
	require.NoError(t, err)
	require.ErrorIs(t, useToken(client), errNoToken)

	t.Setenv("VAULT_SKIP_VERIFY", "perhaps")
	_, err = NewClient(config.Vault{})
	require.ErrorContains(t, err, "VAULT_SKIP_VERIFY")
}

// TestRevokeAfterCancel: a token is given back even when the command was interrupted.
func TestRevokeAfterCancel(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("s3cr3t\n"), 0o600))
	s.EnableAppRole("", "approle", "harvest", "s3cr3t")
	v := config.Vault{Address: s.URL, Auth: &config.Auth{Method: "approle", RoleID: "harvest", SecretIDFile: secret}}
	client, err := NewClient(v)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	end, err := LogIn(ctx, v, client)
	require.NoError(t, err)
	cancel()
	end()
	assert.Equal(t, 1, s.Count("PUT", "auth/token/revoke-self"))
	for _, r := range s.Requests() {
		if r.Path == "/v1/auth/approle/login" {
			assert.Empty(t, r.Header.Get("X-Vault-Token"))
		}
	}
}

// TestAddress: an address that is none names the setting and itself, and no password.
func TestAddress(t *testing.T) {
	for name, test := range map[string]struct {
		variable, value string
		block           config.Vault
		want            string // "": it is one
	}{
		"without a scheme":               {"VAULT_ADDR", "vault.example.com:8200", config.Vault{}, `VAULT_ADDR is "vault.example.com:8200", without a scheme: write https:// before it`},
		"a number, and no scheme":        {"VAULT_ADDR", "127.0.0.1:8200", config.Vault{}, `VAULT_ADDR is "127.0.0.1:8200", without a scheme: write https:// before it`},
		"another scheme":                 {"VAULT_ADDR", "ftp://v", config.Vault{}, `VAULT_ADDR is "ftp://v": want a URL such as https://vault.example.com:8200`},
		"an agent's":                     {"VAULT_AGENT_ADDR", "agent:8100", config.Vault{}, `VAULT_AGENT_ADDR is "agent:8100", without a scheme: write https:// before it`},
		"in a block":                     {"VAULT_ADDR", "https://v", config.Vault{Address: "v:8200"}, `the address of the vault block is "v:8200", without a scheme: write https:// before it`},
		"with a password":                {"VAULT_ADDR", "https://user:secret@v:8200", config.Vault{}, "VAULT_ADDR holds a user name or password, which would end up in logs; leave it out"},
		"with a password, and no scheme": {"VAULT_ADDR", "user:secret@v:8200", config.Vault{}, "VAULT_ADDR holds a user name or password, which would end up in logs; leave it out"},
		"a token":                        {"VAULT_ADDR", "hvs.CAESIJ0abcdefghijklmnop", config.Vault{}, `VAULT_ADDR is "[redacted]", without a scheme: write https:// before it`},
		"a socket":                       {"VAULT_ADDR", "unix:///run/vault.sock", config.Vault{}, ""},
		"one":                            {"VAULT_ADDR", "http://127.0.0.1:8200", config.Vault{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fakevault.ClearEnvironment(t)
			t.Setenv(test.variable, test.value)
			_, err := NewClient(test.block)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.want)
			}
		})
	}
}
