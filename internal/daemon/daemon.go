// Package daemon runs what `harvest watch` runs: a login at each Vault and a Harvester for each
// group of mounts that share clusters, through reloads, until it is stopped.
package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/relay"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Daemon is what runs for a configuration: a login for each Vault, and a Harvester for each group
// of mounts. Another configuration ends and begins only what differs in it. Its methods are called
// from one goroutine.
type Daemon struct {
	Options
	newLogin func(config.Vault, func(error)) (login, error)
	board    *monitor.Board
	ended    chan error // a watch ended that should not have

	relays relay.Server

	reading sync.Mutex // held while another configuration is read

	cfg    *config.Config
	made   int // logins so far
	logins []*running[numbered]
	groups []*running[*group]
}

// New returns a daemon that runs nothing yet.
func New(o Options) *Daemon {
	return &Daemon{Options: o, newLogin: o.keeper, board: monitor.New(o.Log, o.Hint), ended: make(chan error, 1)}
}

// Settled is closed once each mount had its first sync.
func (d *Daemon) Settled() <-chan struct{} { return d.board.Settled() }

// running is something with a goroutine, for as long as what it was made from stays equal.
type running[T any] struct {
	it     T
	of     any // compared with reflect.DeepEqual
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *running[T]) start(ctx context.Context, run func(context.Context)) {
	ctx, r.cancel = context.WithCancel(ctx) //nolint:gosec // stopAll calls it
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		run(ctx)
	}()
}

// stopAll ends all, side by side, and returns once they have ended.
func stopAll[T any](all []*running[T]) {
	for _, r := range all {
		r.cancel()
	}
	for _, r := range all {
		<-r.done
	}
}

// same returns what runs already for of, or nil.
func same[T any](all []*running[T], of any) *running[T] {
	for _, r := range all {
		if reflect.DeepEqual(r.of, of) {
			return r
		}
	}
	return nil
}

// others returns those of all that aren't in keep.
func others[T any](all, keep []*running[T]) []*running[T] {
	return slices.DeleteFunc(slices.Clone(all), func(r *running[T]) bool { return slices.Contains(keep, r) })
}

// numbered is a login, told apart from others by its number.
type numbered struct {
	login
	number int
}

// loginOf is what a login is made from.
type loginOf struct {
	vault config.Vault
	files string
}

// Use takes on a configuration. After an error all is as it was.
func (d *Daemon) Use(ctx context.Context, cfg *config.Config) error {
	logins, err := d.loginsFor(cfg)
	if err != nil {
		return err
	}
	groups, err := d.groupsFor(ctx, cfg, logins)
	if err != nil {
		return err
	}
	known := map[vaultsync.MountID]monitor.Expected{}
	for _, g := range groups {
		for _, t := range g.it.harvester.Targets {
			id := t.Mount.ID()
			expected := monitor.Expected{Clusters: t.Clusters}
			if l := g.it.logins[id]; l != nil {
				expected.Login = l.Name()
			}
			known[id] = expected
		}
	}
	var inUse []*running[numbered] // one for each Vault, though several blocks may come to the same
	for _, l := range logins {
		if !slices.Contains(inUse, l) {
			inUse = append(inUse, l)
		}
	}
	oldGroups, oldLogins := others(d.groups, groups), others(d.logins, inUse)
	newGroups, newLogins := others(groups, d.groups), others(inUse, d.logins)
	first := d.cfg == nil
	d.cfg = cfg

	stopAll(oldGroups) // before others write the same mounts
	var relays []*relay.Relay
	for _, g := range groups {
		relays = append(relays, g.it.relays...)
	}
	d.relays.Use(relays)
	d.board.Expect(known)
	d.board.Describe(status.ReadFrom(cfg.Clusters))
	for _, l := range newLogins {
		// What ends with ctx is the watches; a login ends after them.
		l.start(context.WithoutCancel(ctx), l.it.Run)
	}
	for _, g := range newGroups {
		g.start(ctx, func(ctx context.Context) { d.run(ctx, g.it) })
	}
	stopAll(oldLogins)
	d.groups, d.logins = groups, inUse
	if !first {
		d.Log.Info("the configuration was reloaded", "mounts", len(cfg.Mounts), "watches_kept", len(groups)-len(newGroups),
			"watches_started", len(newGroups), "watches_ended", len(oldGroups))
	}
	return nil
}

// maxStop bounds Stop: the manual promises an end within a second.
const maxStop = 900 * time.Millisecond

// Stop ends everything.
func (d *Daemon) Stop() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stopAll(d.groups)
		stopAll(d.logins)
	}()
	limit := time.NewTimer(maxStop)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		d.Log.Warn("stopped without waiting for all to end")
	}
}

// loginsFor returns the login of each Vault that a mount uses, by its place.
func (d *Daemon) loginsFor(cfg *config.Config) (map[int]*running[numbered], error) {
	logins := map[int]*running[numbered]{}
	all := slices.Clone(d.logins)
	for _, m := range cfg.Mounts {
		if logins[m.Vault] != nil || m.Relay != nil {
			continue
		}
		v := cfg.Vaults[m.Vault]
		of := loginOf{v, stamps(tlsFiles(v.TLS)...)}
		l := same(all, of)
		if l == nil {
			var name string
			made, err := d.newLogin(v, func(err error) { d.board.Login(name, err, d.Now()) })
			if err != nil {
				return nil, err
			}
			name = made.Name()
			d.made++
			l = &running[numbered]{it: numbered{made, d.made}, of: of}
			all = append(all, l)
		}
		logins[m.Vault] = l
	}
	return logins, nil
}

// groupsFor returns the groups of a configuration, those that run already among them.
func (d *Daemon) groupsFor(ctx context.Context, cfg *config.Config, logins map[int]*running[numbered]) ([]*running[*group], error) {
	var groups []*running[*group]
	var wrong []error
	for _, mounts := range partition(cfg.Mounts) {
		var of groupOf
		var clusters []config.Cluster
		var own []login
		var names, files []string
		for _, m := range mounts {
			names = append(names, m.Clusters...)
			var l numbered
			if m.Relay == nil {
				l = logins[m.Vault].it
			}
			own = append(own, l.login)
			of.logins = append(of.logins, l.number)
			of.mounts = append(of.mounts, m.Unplaced())
		}
		for _, c := range cfg.Clusters {
			if slices.Contains(names, c.Name) {
				clusters = append(clusters, c)
				files = append(files, tlsFiles(c.TLS)...)
			}
		}
		of.clusters, of.files = clusters, stamps(files...)
		g := same(d.groups, of)
		if g == nil {
			g = &running[*group]{it: d.newGroup(ctx, clusters, mounts, own), of: of}
			wrong = append(wrong, g.it.harvester.Check())
		}
		groups = append(groups, g)
	}
	return groups, errors.Join(wrong...)
}

func tlsFiles(t jwks.TLS) []string { return []string{t.CACert, t.CAPath, t.ClientCert, t.ClientKey} }

// stamps tells apart what files hold, without keeping it: a certificate that was renewed
// in its place is a change too.
func stamps(names ...string) string {
	h := sha256.New()
	for _, name := range names {
		if name == "" {
			continue
		}
		files := []string{name}
		if entries, err := os.ReadDir(name); err == nil {
			for _, e := range entries {
				files = append(files, filepath.Join(name, e.Name()))
			}
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				_, _ = fmt.Fprintf(h, "%q\n", file)
				continue
			}
			_, _ = fmt.Fprintf(h, "%q %d %d\n", file, info.Size(), info.ModTime().UnixNano())
		}
	}
	return string(h.Sum(nil))
}
