package main

import (
	"cmp"
	"fmt"
	"log/slog"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/daemon"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultauth"
	"github.com/jwksharvest/harvest/jwks"
)

// daemonConfig returns what a watch runs for a configuration.
func (a *app) daemonConfig(cfg *config.Config, log *slog.Logger) *daemon.Config {
	a.warnExposed(cfg.CredentialFiles(a.getenv), func(name string) {
		log.Warn("a file with a credential can be read by every user of this machine", "file", text.Escape(name))
	})
	d := &daemon.Config{Hint: func(err error) string { return a.call(cfg.File, 0).Of(err, false) }}
	for _, c := range cfg.Clusters {
		d.Clusters = append(d.Clusters, daemon.Cluster{
			Name: c.Name, From: status.From(c), Of: c, Files: []string{c.TLS.CACert, c.TLS.CAPath, c.TLS.ClientCert, c.TLS.ClientKey},
			Make: func() jwks.Cluster { return c.Open(reading(false)) },
		})
	}
	for _, v := range cfg.Vaults {
		d.Vaults = append(d.Vaults, daemon.Vault{
			Of: v, Files: []string{v.CACert, v.CAPath, v.ClientCert, v.ClientKey},
			Make: func(tell func(error)) (daemon.Login, error) {
				k, err := vaultauth.NewKeeper(v, a.getenv, log, tell)
				if err != nil {
					return nil, fmt.Errorf("vault block %q: %w", cmp.Or(v.Name, v.Address), err)
				}
				return k, nil
			},
		})
	}
	for _, m := range cfg.Mounts {
		mount := daemon.Mount{
			Vault: m.Vault, Namespace: m.Namespace, Path: m.Path, Clusters: m.Clusters, Options: m.Options, Of: m.Unplaced(),
		}
		if m.Relay != nil {
			mount.Relay = m.Open
		}
		d.Mounts = append(d.Mounts, mount)
	}
	return d
}
