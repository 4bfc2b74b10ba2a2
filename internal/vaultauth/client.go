// Package vaultauth makes Vault's clients from configuration, logs them in, and keeps their tokens
// alive.
package vaultauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/wait"
)

// NewClient returns a client for a vault block, without a token if the block has an auth
// block. What the block says wins over the environment, and where a labelled block has an
// address, VAULT_ variables on address, namespace and TLS are another Vault's. Those on
// proxies, retries and time limits count for all.
func NewClient(v config.Vault) (*api.Client, error) {
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, fmt.Errorf("the environment's VAULT_ variables: %w", withoutAddress(cfg.Error))
	}
	if v.Address != "" {
		cfg.Address, cfg.AgentAddress = v.Address, ""
	}
	if v.IsIsolated() {
		cfg.SRVLookup = false
		cfg.HttpClient.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ //nolint:errcheck // ConfigureTLS below takes it for one too
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		}
	}
	err := cfg.ConfigureTLS(&api.TLSConfig{
		CACert: v.CACert, CAPath: v.CAPath, ClientCert: v.ClientCert, ClientKey: v.ClientKey, TLSServerName: v.ServerName,
	})
	if err != nil {
		return nil, fmt.Errorf("TLS files: %w", err)
	}
	if t, ok := cfg.HttpClient.Transport.(*http.Transport); ok {
		// A connection that died in silence must not swallow one request after the other.
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}
	}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("the environment's VAULT_ variables or the vault block: %w", withoutAddress(err))
	}
	switch u, err := url.Parse(client.Address()); {
	case err != nil || u.Host == "":
		return nil, errNoAddress
	case u.User != nil:
		return nil, errors.New("the address of Vault holds a user name or password, which would end up in logs; leave it out")
	}
	if v.IsIsolated() {
		client.ClearNamespace()
	}
	if v.Namespace != "" {
		client.SetNamespace(v.Namespace)
	}
	if v.Auth != nil {
		client.ClearToken()
	}
	return client, nil
}

// NewClientWithin is newClient, which reads certificates, until ctx ends.
func NewClientWithin(ctx context.Context, v config.Vault) (*api.Client, error) {
	client, err := wait.Within(ctx, func() (*api.Client, error) { return NewClient(v) })
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("certificate or key file of the Vault not read to its end: is one a pipe that nobody writes to? %w", err)
	}
	return client, err
}

// errNoAddress is an address that may hold a password, and so isn't shown.
var errNoAddress = errors.New("an address of Vault is not a URL such as https://vault.example.com:8200")

// withoutAddress returns an error that doesn't repeat the address that can't be parsed.
func withoutAddress(err error) error {
	if errors.As(err, new(*url.Error)) {
		return errNoAddress
	}
	return err
}
