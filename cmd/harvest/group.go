package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// group is mounts that share clusters, directly or through other mounts, and what syncs
// them. So each source belongs to one group, and is watched once.
type group struct {
	harvester vaultsync.Harvester
	keepers   map[monitor.MountID]*keeper
}

// groupOf is what a group is made from.
type groupOf struct {
	clusters []clusterConfig
	mounts   []mountConfig // less their places
	keepers  []int         // by mount: which keeper it has, by number
	files    string
}

// newGroup makes a group ready to run.
func (w *watcher) newGroup(of groupOf, own []*keeper) *group {
	g := &group{keepers: map[monitor.MountID]*keeper{}}
	for _, c := range of.clusters {
		g.harvester.Clusters = append(g.harvester.Clusters, c.cluster(false))
	}
	for i, m := range of.mounts {
		mount := vaultsync.NewMount(own[i].client, m.path)
		mount.Namespace = m.namespace
		id := monitor.IDOf(mount)
		g.keepers[id] = own[i]
		options := m.options
		options.OnEvent = func(e vaultsync.Event) { w.board.Event(id, e, w.app.now()) }
		g.harvester.Targets = append(g.harvester.Targets, vaultsync.Target{Mount: mount, Clusters: m.clusters, Options: options})
	}
	return g
}

// maxToken is how long the mounts of one Vault wait for the token of another.
const maxToken = 2 * time.Second

// hasTokens waits until each of its Vaults has had a chance to give a token: without one, the
// first sync would fail for certain. One that is silent doesn't hold up the others for long.
func (g *group) hasTokens(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tried := make(chan struct{})
	for _, k := range g.keepers {
		go func() {
			select {
			case <-k.first:
				select {
				case tried <- struct{}{}:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		}()
	}
	var enough <-chan time.Time
	for range g.keepers {
		select {
		case <-tried:
			if enough == nil {
				timer := time.NewTimer(maxToken)
				defer timer.Stop()
				enough = timer.C
			}
		case <-enough:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// run watches a group until ctx ends.
func (w *watcher) run(ctx context.Context, g *group) {
	if !g.hasTokens(ctx) {
		return
	}
	options := w.options
	options.OnResult = func(r jwks.Result) { w.board.Result(r, w.app.now()) }
	options.Sources.OnUnchanged = func(r jwks.Result) { w.board.Unchanged(r, w.app.now()) }
	options.OnReport = func(r *vaultsync.MountReport) {
		if ctx.Err() != nil { // it was stopped, and didn't fail
			return
		}
		w.board.Report(r, w.app.now())
		if k := g.keepers[monitor.MountID{Vault: r.Vault, Namespace: r.Namespace, Path: r.Path}]; k != nil {
			k.report(r.Err)
		}
	}
	err := g.harvester.Watch(ctx, options)
	if ctx.Err() == nil {
		select {
		case w.ended <- cmp.Or(err, errors.New("without a reason")):
		default:
		}
	}
}

// partition puts mounts that share a cluster together, in their order.
func partition(mounts []mountConfig) [][]mountConfig {
	parent := make([]int, len(mounts))
	find := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	owner := map[string]int{}
	for i, m := range mounts {
		parent[i] = i
		for _, name := range m.clusters {
			if j, ok := owner[name]; ok {
				a, b := find(i), find(j)
				parent[max(a, b)] = min(a, b)
			} else {
				owner[name] = i
			}
		}
	}
	var parts [][]mountConfig
	place := map[int]int{}
	for i, m := range mounts {
		root := find(i)
		p, ok := place[root]
		if !ok {
			p = len(parts)
			place[root] = p
			parts = append(parts, nil)
		}
		parts[p] = append(parts[p], m)
	}
	return parts
}
