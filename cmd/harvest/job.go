package main

import (
	"cmp"
	"context"
	"log/slog"
	"sync"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/vaultauth"
	"github.com/jwksharvest/harvest/vaultsync"
)

// job is a configuration made ready: a Harvester for the mounts whose Vault let us in,
// and what to report of the others.
type job struct {
	cfg       *config.Config
	harvester vaultsync.Harvester
	mounts    []*vaultsync.Mount       // by mount; nil where there is a report
	refused   []*vaultsync.MountReport // by mount; those of a Vault that can't be used
	ends      []func()
}

// prepare logs in once to each Vault that a mount needs, all at the same time, and builds
// the Harvester. lenient is for commands that trust nothing: they warn of plain HTTP where
// sync refuses it. The caller closes the job.
func (a *app) prepare(ctx context.Context, cfg *config.Config, lenient bool, log *slog.Logger) *job {
	j := &job{
		cfg:     cfg,
		mounts:  make([]*vaultsync.Mount, len(cfg.Mounts)),
		refused: make([]*vaultsync.MountReport, len(cfg.Mounts)),
	}
	for _, c := range cfg.Clusters {
		j.harvester.Clusters = append(j.harvester.Clusters, c.OpenWithin(ctx, reading(lenient)))
		if lenient && cfg.Uses(c.Name) {
			a.warnUnauthenticated(c)
		}
	}
	vaults := j.logIn(ctx)
	for i, m := range cfg.Mounts {
		v := vaults[m.Vault]
		if v.err != nil {
			j.refused[i] = refusal(cfg.Vaults[m.Vault], v, m)
			continue
		}
		mount := vaultsync.NewMount(v.client, m.Path)
		mount.Namespace = m.Namespace
		j.mounts[i] = mount
		options := m.Options
		options.Now, options.Logger = a.now(), log
		j.harvester.Targets = append(j.harvester.Targets, vaultsync.Target{Mount: mount, Clusters: m.Clusters, Options: options})
	}
	return j
}

// login is a Vault's client, or why there is no use in it.
type login struct {
	client *api.Client
	end    func()
	err    error
}

// String keeps the client's token out of what prints a login.
func (l *login) String() string { return "login" }

// logIn returns what became of each Vault that is used, by its place in the configuration.
func (j *job) logIn(ctx context.Context) map[int]*login {
	vaults := map[int]*login{}
	var pending sync.WaitGroup
	for _, m := range j.cfg.Mounts {
		if vaults[m.Vault] != nil {
			continue
		}
		l, v := &login{}, j.cfg.Vaults[m.Vault]
		vaults[m.Vault] = l
		pending.Go(func() {
			if l.client, l.err = vaultauth.NewClientWithin(ctx, v); l.err == nil {
				l.end, l.err = vaultauth.LogIn(ctx, v, l.client)
			}
		})
	}
	pending.Wait()
	for _, l := range vaults {
		if l.end != nil {
			j.ends = append(j.ends, l.end)
		}
	}
	return vaults
}

// close gives tokens back.
func (j *job) close() {
	var pending sync.WaitGroup
	for _, end := range j.ends {
		pending.Go(end)
	}
	pending.Wait()
}

// refusal is the report of a mount whose Vault can't be used.
func refusal(v config.Vault, l *login, m config.Mount) *vaultsync.MountReport {
	address, namespace := v.Address, cmp.Or(m.Namespace, v.Namespace)
	if l.client != nil {
		address, namespace = l.client.Address(), cmp.Or(m.Namespace, l.client.Namespace())
	}
	id := vaultsync.MountID{Vault: address, Namespace: namespace, Path: m.Path}
	return &vaultsync.MountReport{MountID: id, Err: &vaultsync.MountError{MountID: id, Err: l.err}}
}

// do plans or syncs, and returns the reports of all mounts in their order. The error is
// that of a configuration that can't be used at all.
func (j *job) do(ctx context.Context, act func(*vaultsync.Harvester, context.Context) (*vaultsync.Report, error)) (*vaultsync.Report, error) {
	done := &vaultsync.Report{}
	if len(j.harvester.Targets) > 0 {
		report, err := act(&j.harvester, ctx)
		if report == nil {
			return nil, err
		}
		done = report
	}
	all := &vaultsync.Report{Clusters: done.Clusters}
	for _, refused := range j.refused {
		if refused == nil {
			refused, done.Mounts = done.Mounts[0], done.Mounts[1:]
		}
		all.Mounts = append(all.Mounts, refused)
	}
	return all, nil
}
