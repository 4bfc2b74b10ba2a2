package vaultauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// JWTLogin logs in to Vault with a JWT from a file, such as the workload identity that
// Nomad keeps at secrets/nomad_<name>.jwt. The file is read at each login, since Nomad
// renews it.
type JWTLogin struct {
	Mount     string // path of the JWT auth method, such as "jwt-nomad"
	Role      string // "" is the mount's default role
	TokenFile string
}

var _ api.AuthMethod = JWTLogin{}

// Login implements api.AuthMethod. Use it by way of client.Auth().Login.
func (l JWTLogin) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	jwt, err := readSecret(ctx, l.TokenFile)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"jwt": jwt}
	if l.Role != "" {
		body["role"] = l.Role
	}
	path := "auth/" + strings.Trim(l.Mount, "/") + "/login"
	secret, err := client.Logical().WriteWithContext(ctx, path, body)
	if err != nil {
		return nil, fmt.Errorf("login at %s with the JWT of %s: %w", path, l.TokenFile, loginError(client, err, jwt))
	}
	return secret, nil
}

// loginError turns what vault/api says of a failed login into what happened, bounded and
// fit for a terminal. The error shows none of the secrets, which are those that the login
// was tried with: a server may repeat them.
func loginError(c *api.Client, err error, secrets ...string) error {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return vaultapi.Unreachable(c, err, secrets...)
	}
	if !vaultapi.IsVaults(response) {
		return vaultapi.NotVaults(response, secrets...)
	}
	return fmt.Errorf("Vault answered %d: %s", response.StatusCode, vaultapi.Said(response, secrets...))
}
