package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/daemon"
	"github.com/jwksharvest/harvest/jwks"
)

// daemonConfig returns what a watch runs for a configuration.
func (a *app) daemonConfig(cfg *config, log *slog.Logger) *daemon.Config {
	a.warnExposed(cfg.credentialFiles(a.getenv), func(name string) {
		log.Warn("a file with a credential can be read by every user of this machine", "file", printable(name))
	})
	d := &daemon.Config{Hint: func(err error) string { return a.call(cfg.file, 0).Of(err, false) }}
	for _, c := range cfg.clusters {
		d.Clusters = append(d.Clusters, daemon.Cluster{
			Name: c.name, From: c.readFrom(), Of: c, Files: []string{c.tls.CACert, c.tls.CAPath, c.tls.ClientCert, c.tls.ClientKey},
			Make: func() jwks.Cluster { return c.cluster(false) },
		})
	}
	for _, v := range cfg.vaults {
		d.Vaults = append(d.Vaults, daemon.Vault{
			Of: v, Files: []string{v.caCert, v.caPath, v.clientCert, v.clientKey},
			Make: func(tell func(error)) (daemon.Login, error) {
				k, err := newKeeper(v, defaultKeeperTimes, log, tell)
				if err != nil {
					return nil, fmt.Errorf("vault block %q: %w", cmp.Or(v.name, v.address), err)
				}
				return daemonLogin{k}, nil
			},
		})
	}
	for _, m := range cfg.mounts {
		of := m
		of.at, of.vault = hcl.Range{}, 0
		d.Mounts = append(d.Mounts, daemon.Mount{
			Vault: m.vault, Namespace: m.namespace, Path: m.path, Clusters: m.clusters, Options: m.options, Of: of,
		})
	}
	return d
}

// daemonLogin is a keeper as the daemon runs it.
type daemonLogin struct{ k *keeper }

var _ daemon.Login = daemonLogin{}

func (l daemonLogin) Name() string            { return l.k.name() }
func (l daemonLogin) Client() *api.Client     { return l.k.client }
func (l daemonLogin) Run(ctx context.Context) { l.k.run(ctx) }
func (l daemonLogin) Tried() <-chan struct{}  { return l.k.first }
func (l daemonLogin) Report(err error)        { l.k.report(err) }
func (l daemonLogin) String() string          { return l.k.String() }
