package vaultauth

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/api"
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
	path := "auth/" + strings.Trim(l.Mount, "/")
	secret, err := client.Logical().WriteWithContext(ctx, path+"/login", body)
	if err != nil {
		failed := attempt{"jwt", path, l.Role, l.TokenFile}
		return nil, fmt.Errorf("login at %s/login with the JWT of %s: %w", path, l.TokenFile, failed.explain(client, err, jwt))
	}
	return secret, nil
}
