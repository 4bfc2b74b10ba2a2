// Package session makes a configuration ready to run: it logs in to each Vault that a mount needs,
// and opens the mounts and the clusters.
package session

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/vaultauth"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Options say how a configuration is opened.
type Options struct {
	Reading config.Reading // of the clusters
	Now     time.Time      // of the plans
	Log     *slog.Logger   // hears about what is done
	// OnEvent hears about each change and failure of a mount; may be nil.
	OnEvent func(vaultsync.Event)
}

// Session is a configuration made ready: its clusters and mounts, in its order. Close it
// after use.
type Session struct {
	Clusters []jwks.Cluster
	Mounts   []Mount
	// KeysAt are the addresses of key sets that come without anything that says the issuer, by
	// cluster: whose they are may be known all the same.
	KeysAt map[string]string
	ends   []func()
}

// Mount is a mount of the configuration. A refused one is reported and not touched.
type Mount struct {
	Config  config.Mount
	Target  vaultsync.Target       // its Mount is nil where its Vault can't be used
	Refused *vaultsync.MountReport // why nothing is done to it; nil: it can be used
}

// Open logs in once to each Vault that a mount needs, all at the same time. A Vault that can't be
// used costs its own mounts alone, which are refused.
func Open(ctx context.Context, cfg *config.Config, o Options) *Session {
	s := &Session{KeysAt: map[string]string{}}
	for _, c := range cfg.Clusters {
		if c.Issuer == "" && c.JWKSURL != "" {
			s.KeysAt[c.Name] = c.JWKSURL
		}
		s.Clusters = append(s.Clusters, c.OpenWithin(ctx, o.Reading))
	}
	logins := s.logIn(ctx, cfg)
	for _, m := range cfg.Mounts {
		opened := Mount{Config: m, Target: vaultsync.Target{Clusters: m.Clusters, Options: m.Options}}
		opened.Target.Options.Now, opened.Target.Options.Logger = o.Now, o.Log
		opened.Target.Options.OnEvent = o.OnEvent
		if m.Relay != nil {
			opened.Target.Mount = &vaultsync.Mount{Path: m.Path, Store: m.Open(o.Now)}
		} else if l := logins[m.Vault]; l.err != nil {
			id := l.mount(cfg.Vaults[m.Vault], m)
			opened.Refused = &vaultsync.MountReport{MountID: id, Err: &vaultsync.MountError{MountID: id, Err: l.err}}
		} else {
			opened.Target.Mount = vaultsync.NewMount(l.client, m.Path)
			opened.Target.Mount.Namespace = m.Namespace
		}
		s.Mounts = append(s.Mounts, opened)
	}
	return s
}

// Refuse takes a mount out of what is to be done, for an error that is reported in its place.
func (m *Mount) Refuse(err error) {
	m.Refused = &vaultsync.MountReport{MountID: m.ID(), Err: err}
}

// ID returns the mount's identity.
func (m *Mount) ID() vaultsync.MountID {
	if m.Refused != nil {
		return m.Refused.MountID
	}
	return m.Target.Mount.ID()
}

// Close gives tokens back.
func (s *Session) Close() {
	var pending sync.WaitGroup
	for _, end := range s.ends {
		pending.Go(end)
	}
	pending.Wait()
}

// harvester returns what keeps the mounts that can be used.
func (s *Session) harvester() *vaultsync.Harvester {
	h := &vaultsync.Harvester{Clusters: s.Clusters}
	for _, m := range s.Mounts {
		if m.Refused == nil {
			h.Targets = append(h.Targets, m.Target)
		}
	}
	return h
}

// Fetch reads the clusters, those of no mount too, and leaves time for what comes after.
func (s *Session) Fetch(ctx context.Context) []jwks.Result {
	ctx, cancel := wait.Most(ctx)
	defer cancel()
	return jwks.FetchAll(ctx, s.Clusters, nil)
}

// Discover asks the clusters that a mount names what they say of their tokens. It leaves a quarter
// of the time for what comes after.
func (s *Session) Discover(ctx context.Context) []discover.Discovery {
	ctx, cancel := wait.Most(ctx)
	defer cancel()
	return discover.All(ctx, slices.DeleteFunc(slices.Clone(s.Clusters), func(c jwks.Cluster) bool {
		return !slices.ContainsFunc(s.Mounts, func(m Mount) bool { return m.Refused == nil && slices.Contains(m.Config.Clusters, c.Name) })
	}))
}

// Plan returns what a Sync would do.
func (s *Session) Plan(ctx context.Context) (*vaultsync.Report, error) {
	return s.do(ctx, (*vaultsync.Harvester).Plan)
}

// Sync makes the mounts trust what their clusters publish.
func (s *Session) Sync(ctx context.Context) (*vaultsync.Report, error) {
	return s.do(ctx, (*vaultsync.Harvester).Sync)
}

// do returns the reports of all mounts, refused ones too, in their order. The error is that of a
// configuration that can't be used at all.
func (s *Session) do(ctx context.Context, act func(*vaultsync.Harvester, context.Context) (*vaultsync.Report, error)) (*vaultsync.Report, error) {
	done := &vaultsync.Report{}
	if h := s.harvester(); len(h.Targets) > 0 {
		report, err := act(h, ctx)
		if report == nil {
			return nil, err
		}
		done = report
	}
	all := &vaultsync.Report{Clusters: done.Clusters}
	for _, m := range s.Mounts {
		report := m.Refused
		if report == nil {
			report, done.Mounts = done.Mounts[0], done.Mounts[1:]
		}
		all.Mounts = append(all.Mounts, report)
	}
	return all, nil
}

// login is a Vault's client, or why there is no use in it.
type login struct {
	client *api.Client
	end    func()
	err    error
}

// logIn returns what became of each Vault that is used, by its place in the configuration.
func (s *Session) logIn(ctx context.Context, cfg *config.Config) map[int]*login {
	logins := map[int]*login{}
	var pending sync.WaitGroup
	for _, m := range cfg.Mounts {
		if logins[m.Vault] != nil || m.Relay != nil {
			continue
		}
		l, v := &login{}, cfg.Vaults[m.Vault]
		logins[m.Vault] = l
		pending.Go(func() {
			if l.client, l.err = vaultauth.NewClientWithin(ctx, v); l.err == nil {
				l.end, l.err = vaultauth.LogIn(ctx, v, l.client)
			}
		})
	}
	pending.Wait()
	for _, l := range logins {
		if l.end != nil {
			s.ends = append(s.ends, l.end)
		}
	}
	return logins
}

// ofEnvironment stands in for the address of a Vault that the environment names, where it can't be
// used: an identity without an address is that of a [vaultsync.Store].
const ofEnvironment = "the environment's address"

// mount returns the identity of a mount whose Vault can't be used.
func (l *login) mount(v config.Vault, m config.Mount) vaultsync.MountID {
	address, namespace := cmp.Or(v.Address, ofEnvironment), cmp.Or(m.Namespace, v.Namespace)
	if l.client != nil {
		address, namespace = l.client.Address(), cmp.Or(m.Namespace, l.client.Namespace())
	}
	return vaultsync.MountID{Vault: address, Namespace: namespace, Path: m.Path}
}
