package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/vaultsync"
)

// watcher is what runs for a configuration: a keeper for each Vault, and a Harvester for
// each group of mounts. Another configuration ends and begins only what differs in it.
// Its methods are called from one goroutine.
type watcher struct {
	app     *app
	log     *slog.Logger
	board   *monitor.Board
	options vaultsync.WatchOptions
	times   keeperTimes
	ended   chan error // a watch ended that should not have

	cfg     atomic.Pointer[config]
	made    int // keepers so far
	keepers []*running[*keeper]
	groups  []*running[*group]
}

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

// keeperOf is what a keeper is made from.
type keeperOf struct {
	vault vaultConfig
	files string
}

// use takes on a configuration. After an error all is as it was.
func (w *watcher) use(ctx context.Context, cfg *config) error {
	w.app.warnExposed(cfg.credentialFiles(w.app.getenv), func(name string) {
		w.log.Warn("a file with a credential can be read by every user of this machine", "file", printable(name))
	})
	keepers, err := w.keepersFor(cfg)
	if err != nil {
		return err
	}
	groups, err := w.groupsFor(cfg, keepers)
	if err != nil {
		return err
	}
	known := map[monitor.MountID]monitor.Expected{}
	for _, g := range groups {
		for _, t := range g.it.harvester.Targets {
			id := monitor.IDOf(t.Mount)
			known[id] = monitor.Expected{Clusters: t.Clusters, Login: g.it.keepers[id].name()}
		}
	}
	var inUse []*running[*keeper] // one for each Vault, though several blocks may come to the same
	for _, k := range keepers {
		if k != nil && !slices.Contains(inUse, k) {
			inUse = append(inUse, k)
		}
	}
	oldGroups, oldKeepers := others(w.groups, groups), others(w.keepers, inUse)
	newGroups, newKeepers := others(groups, w.groups), others(inUse, w.keepers)
	first := w.cfg.Load() == nil
	w.cfg.Store(cfg)

	stopAll(oldGroups) // before others write the same mounts
	w.board.Expect(known)
	w.board.Describe(readFrom(cfg.clusters))
	for _, k := range newKeepers {
		// What ends with ctx is the watches; a keeper ends after them.
		k.start(context.WithoutCancel(ctx), k.it.run)
	}
	for _, g := range newGroups {
		g.start(ctx, func(ctx context.Context) { w.run(ctx, g.it) })
	}
	stopAll(oldKeepers)
	w.groups, w.keepers = groups, inUse
	if !first {
		w.log.Info("the configuration was reloaded", "mounts", len(cfg.mounts), "watches_kept", len(groups)-len(newGroups),
			"watches_started", len(newGroups), "watches_ended", len(oldGroups))
	}
	return nil
}

// maxStop bounds the end: whoever waits for it was promised a second.
const maxStop = 900 * time.Millisecond

// stop ends everything.
func (w *watcher) stop() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stopAll(w.groups)
		stopAll(w.keepers)
	}()
	limit := time.NewTimer(maxStop)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		w.log.Warn("stopped without waiting for all to end")
	}
}

// keepersFor returns the keeper of each vault block that a mount uses, by its place.
func (w *watcher) keepersFor(cfg *config) (map[int]*running[*keeper], error) {
	keepers := map[int]*running[*keeper]{}
	all := slices.Clone(w.keepers)
	for _, m := range cfg.mounts {
		if keepers[m.vault] != nil {
			continue
		}
		v := cfg.vaults[m.vault]
		of := keeperOf{v, stamps(v.caCert, v.caPath, v.clientCert, v.clientKey)}
		k := same(all, of)
		if k == nil {
			made, err := newKeeper(v, w.times, w.log, nil)
			if err != nil {
				return nil, fmt.Errorf("vault block %q: %w", cmp.Or(v.name, v.address), err)
			}
			w.made++
			made.number = w.made
			made.tell = func(err error) { w.board.Login(made.name(), err, w.app.now()) }
			k = &running[*keeper]{it: made, of: of}
			all = append(all, k)
		}
		keepers[m.vault] = k
	}
	return keepers, nil
}

// groupsFor returns the groups of a configuration, those that run already among them.
func (w *watcher) groupsFor(cfg *config, keepers map[int]*running[*keeper]) ([]*running[*group], error) {
	var groups []*running[*group]
	var wrong []error
	for _, mounts := range partition(cfg.mounts) {
		of := groupOf{}
		var own []*keeper
		var names, files []string
		for _, m := range mounts {
			names = append(names, m.clusters...)
			own = append(own, keepers[m.vault].it)
			of.keepers = append(of.keepers, keepers[m.vault].it.number)
			m.at, m.vault = hcl.Range{}, 0
			of.mounts = append(of.mounts, m)
		}
		for _, c := range cfg.clusters {
			if slices.Contains(names, c.name) {
				of.clusters = append(of.clusters, c)
				files = append(files, c.tls.CACert, c.tls.CAPath, c.tls.ClientCert, c.tls.ClientKey)
			}
		}
		of.files = stamps(files...)
		g := same(w.groups, of)
		if g == nil {
			g = &running[*group]{it: w.newGroup(of, own), of: of}
			wrong = append(wrong, g.it.harvester.Check())
		}
		groups = append(groups, g)
	}
	return groups, errors.Join(wrong...)
}

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
