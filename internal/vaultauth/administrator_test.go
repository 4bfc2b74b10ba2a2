package vaultauth

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
)

// What is said of where the administrator's token goes is where its client sends it.
func TestAdministratorGoesWhereTheClientGoes(t *testing.T) {
	for name, test := range map[string]struct {
		block string
		env   map[string]string
		want  string
	}{
		"nothing is said":             {"", nil, "https://127.0.0.1:8200"},
		"VAULT_ADDR":                  {"", map[string]string{"VAULT_ADDR": "http://127.0.0.1:1"}, "http://127.0.0.1:1"},
		"an agent":                    {"", map[string]string{"VAULT_AGENT_ADDR": "http://127.0.0.1:2"}, "http://127.0.0.1:2"},
		"an agent, and VAULT_ADDR":    {"", map[string]string{"VAULT_AGENT_ADDR": "http://127.0.0.1:2", "VAULT_ADDR": "http://127.0.0.1:1"}, "http://127.0.0.1:2"},
		"an agent, and a block's own": {"http://127.0.0.1:1", map[string]string{"VAULT_AGENT_ADDR": "http://127.0.0.1:2", "VAULT_ADDR": "http://127.0.0.1:1"}, "http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"VAULT_ADDR", "VAULT_AGENT_ADDR"} {
				t.Setenv(variable, test.env[variable])
			}
			getenv := func(name string) string {
				if name == "VAULT_TOKEN" {
					return "root"
				}
				return test.env[name]
			}
			cfg := &config.Config{Vaults: []config.Vault{{Address: test.block}}, Mounts: []config.Mount{{Path: "jwt-nomad"}}}
			a, err := Administer(cfg, "", getenv)
			require.NoError(t, err)
			client, err := NewClient(cfg.Vaults[0])
			require.NoError(t, err)
			assert.Equal(t, test.want, client.Address())
			assert.Equal(t, "The token of VAULT_TOKEN is used, for "+test.want+" alone.", a.String())
		})
	}
}
