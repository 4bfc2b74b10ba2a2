package vaultauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/kubernetes"
	"github.com/hashicorp/vault/api/cliconfig"
	"golang.org/x/sync/singleflight"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// maxLogin bounds one login, so that one Vault out of reach doesn't cost the others the
// whole of -timeout.
const maxLogin = 30 * time.Second

// maxRevoke bounds giving a token back.
const maxRevoke = 5 * time.Second

// kubernetesToken is where Kubernetes puts a service account's token.
const kubernetesToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path

// LogIn gives the client a token. The returned function ends what a login has begun.
func LogIn(ctx context.Context, v config.Vault, client *api.Client) (end func(), err error) {
	end = func() {}
	switch {
	case v.Auth == nil:
		return end, useToken(client)
	case v.Auth.IsNone():
		return end, nil
	case !v.Auth.LogsIn():
		token, err := readSecret(ctx, v.Auth.TokenFile)
		client.SetToken(token)
		return end, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxLogin)
	defer cancel()
	secret, err := authenticate(ctx, v, client)
	if err != nil {
		return end, err
	}
	client.SetToken(secret.Auth.ClientToken)
	return func() { revoke(ctx, client, maxRevoke) }, nil
}

// authenticate logs in by the auth block's method. The secret has a token.
func authenticate(ctx context.Context, v config.Vault, client *api.Client) (*api.Secret, error) {
	method, shown, err := loginMethod(ctx, v.Auth)
	if err != nil {
		return nil, err
	}
	secret, err := method.Login(ctx, client)
	if err == nil && (secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "") {
		return nil, fmt.Errorf("login to Vault by %s: it gave no token", v.Auth.Method)
	}
	if err != nil {
		if v.Auth.Method != "jwt" { // which explains itself
			failed := attempt{v.Auth.Method, "auth/" + strings.Trim(cmp.Or(v.Auth.Mount, v.Auth.Method), "/"), v.Auth.Role,
				cmp.Or(v.Auth.SecretIDFile, v.Auth.TokenFile, kubernetesToken)}
			err = failed.explain(client, err, shown)
		}
		return nil, fmt.Errorf("login to Vault by %s: %w", v.Auth.Method, err)
	}
	return secret, nil
}

// revoke gives a token back, so that a cron job doesn't leave one behind with each run.
// Vault's default policy permits it; where it doesn't, the token expires by itself.
func revoke(ctx context.Context, client *api.Client, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	client.SetMaxRetries(0)
	_ = client.Auth().Token().RevokeSelfWithContext(ctx, "")
}

// readSecret is vaultapi.ReadTokenFile. Nothing ends the reading of a file on a server that is
// away: so each file has one such reading at a time, which is left alone when ctx ends.
func readSecret(ctx context.Context, file string) (string, error) {
	notRead := func() error {
		return fmt.Errorf("token file %s: not read to its end: is it a pipe that nobody writes to? %w", file, ctx.Err())
	}
	select {
	case read := <-reading.DoChan(file, func() (any, error) { return vaultapi.ReadTokenFile(ctx, file) }):
		if errors.Is(read.Err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
			return "", notRead()
		}
		secret, _ := read.Val.(string)
		return secret, read.Err
	case <-ctx.Done():
		return "", notRead()
	}
}

// reading has the token files that are being read.
var reading singleflight.Group

// loginMethod returns the auth block's method and, unless it keeps that to itself, the
// secret that it shows to Vault.
func loginMethod(ctx context.Context, c *config.Auth) (method api.AuthMethod, shown string, err error) {
	switch c.Method {
	case "approle":
		secret, err := readSecret(ctx, c.SecretIDFile)
		if err != nil {
			return nil, "", err
		}
		var options []approle.LoginOption
		if c.Mount != "" {
			options = append(options, approle.WithMountPath(c.Mount))
		}
		method, err := approle.NewAppRoleAuth(c.RoleID, &approle.SecretID{FromString: secret}, options...)
		return method, secret, err
	case "kubernetes":
		file := c.TokenFile
		if file == "" {
			file = kubernetesToken
		}
		jwt, err := readSecret(ctx, file)
		if err != nil {
			return nil, "", err
		}
		options := []kubernetes.LoginOption{kubernetes.WithServiceAccountToken(jwt)}
		if c.Mount != "" {
			options = append(options, kubernetes.WithMountPath(c.Mount))
		}
		method, err := kubernetes.NewKubernetesAuth(c.Role, options...)
		return method, jwt, err
	default:
		return JWTLogin{Mount: c.Mount, Role: c.Role, TokenFile: c.TokenFile}, "", nil
	}
}

// tokenError is an error of kind login.
type tokenError string

// Error implements error.
func (e tokenError) Error() string { return string(e) }

// Kind returns the kind, for the metrics and the log.
func (tokenError) Kind() string { return "login" }

// errNoToken: there is nothing to show Vault.
const errNoToken = tokenError("no Vault token: set VAULT_TOKEN, run `vault login`, or give the vault block an auth block (auth \"none\" where an agent adds the token)")

// useToken keeps the token that VAULT_TOKEN gave the client, or asks the token helper
// (~/.vault-token).
func useToken(client *api.Client) error {
	if client.Token() != "" {
		return nil
	}
	token, err := helperToken()
	if err != nil {
		return fmt.Errorf("%w (the token helper: %w)", errNoToken, err)
	}
	if token == "" {
		return errNoToken
	}
	client.SetToken(token)
	return nil
}

// helperToken asks the token helper, which panics where there is no home directory.
func helperToken() (token string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("there is no home directory")
		}
	}()
	helper, err := cliconfig.DefaultTokenHelper()
	if err != nil {
		return "", err
	}
	return helper.Get()
}
