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
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/redact"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/internal/wait"
)

// NewClient returns a client for a vault block, without a token if the block has an auth
// block. What the block says wins over the environment, and where a labelled block has an
// address, VAULT_ variables on address, namespace and TLS are another Vault's. Those on
// proxies, retries and time limits count for all.
func NewClient(v config.Vault) (*api.Client, error) {
	cfg := api.DefaultConfig()
	if errors.As(cfg.Error, new(*url.Error)) { // which may hold a password
		return nil, errors.New("VAULT_ADDR, or another address in a VAULT_ variable, is not a URL such as https://vault.example.com:8200")
	}
	if cfg.Error != nil {
		return nil, fmt.Errorf("the environment's VAULT_ variables: %w", cfg.Error)
	}
	if v.Address != "" {
		cfg.Address, cfg.AgentAddress = v.Address, ""
	}
	if err := checkAddress(v, cfg); err != nil {
		return nil, err
	}
	if v.IsIsolated() {
		cfg.SRVLookup = false
		cfg.HttpClient.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ //nolint:errcheck // ConfigureTLS below takes it for one too
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		}
	}
	err := cfg.ConfigureTLS(&api.TLSConfig{
		CACert: v.TLS.CACert, CAPath: v.TLS.CAPath, ClientCert: v.TLS.ClientCert, ClientKey: v.TLS.ClientKey, TLSServerName: v.TLS.ServerName,
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
		return nil, fmt.Errorf("the environment's VAULT_ variables or the vault block: %w", err)
	}
	client.SetWrappingLookupFunc(func(string, string) string { return "" }) // a wrapped login is none, whatever VAULT_WRAP_TTL is
	vaultapi.RefuseRetries(client)
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

// checkAddress names the setting that an address comes from, and shows the address unless it may
// hold a password.
func checkAddress(v config.Vault, cfg *api.Config) error {
	setting, address := "VAULT_ADDR", cfg.Address
	switch {
	case v.Address != "":
		setting = "the address of the vault block"
	case cfg.AgentAddress != "":
		setting, address = "VAULT_AGENT_ADDR", cfg.AgentAddress
	}
	u, err := url.Parse(address)
	shown := strconv.Quote(redact.Text(text.Cut(address, maxShown)))
	switch {
	case strings.Contains(address, "@"):
		return fmt.Errorf("%s holds a user name or password, which would end up in logs; leave it out", setting)
	case strings.HasPrefix(address, "unix://"), err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return nil
	case address != "" && !strings.Contains(address, "://"):
		return fmt.Errorf("%s is %s, without a scheme: write https:// before it", setting, shown)
	}
	return fmt.Errorf("%s is %s: want a URL such as https://vault.example.com:8200", setting, shown)
}

// maxShown is how many bytes of an address are shown.
const maxShown = 128
