package daemon

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/relay"
	"github.com/jwksharvest/harvest/vaultsync"
)

// group is mounts that share clusters, directly or through other mounts, and what syncs them. So
// each source belongs to one group, and is watched once.
type group struct {
	harvester vaultsync.Harvester
	logins    map[vaultsync.MountID]login // of the mounts; relays have none
	relays    []*relay.Relay
}

// groupOf is what a group is made from.
type groupOf struct {
	clusters []config.Cluster
	mounts   []config.Mount // less their places and their Vaults
	logins   []int          // by mount: the number of its login; 0 of a relay
	files    string
}

// newGroup makes a group ready to run, and its relays ready to be served: what is wrong with the
// files of one is told of by its first sync. own are the logins of the mounts.
func (d *Daemon) newGroup(ctx context.Context, clusters []config.Cluster, mounts []config.Mount, own []login) *group {
	g := &group{logins: map[vaultsync.MountID]login{}}
	for _, c := range clusters {
		g.harvester.Clusters = append(g.harvester.Clusters, c.Open(d.Reading))
	}
	for i, m := range mounts {
		var mount *vaultsync.Mount
		if m.Relay != nil {
			r := m.Open(d.Now())
			_ = r.Open(ctx, d.relay(r.Name, r.Dir))
			g.relays = append(g.relays, r)
			mount = &vaultsync.Mount{Path: m.Path, Store: r}
		} else {
			mount = vaultsync.NewMount(own[i].Client(), m.Path)
			mount.Namespace = m.Namespace
			g.logins[mount.ID()] = own[i]
		}
		g.harvester.Targets = append(g.harvester.Targets, vaultsync.Target{Mount: mount, Clusters: m.Clusters, Options: m.Options})
	}
	return g
}

// relay returns the relay of that name and directory that runs, or nil.
func (d *Daemon) relay(name, dir string) *relay.Relay {
	for _, g := range d.groups {
		for _, r := range g.it.relays {
			if r.Name == name && r.Dir == dir {
				return r
			}
		}
	}
	return nil
}

// maxToken is how long the mounts of one Vault wait for the token of another.
const maxToken = 2 * time.Second

// hasTokens waits until each of its Vaults has had a chance to give a token: without one, the
// first sync would fail for certain. One that is silent doesn't hold up the others for long.
func (g *group) hasTokens(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tried := make(chan struct{}, len(g.logins))
	for _, l := range g.logins {
		go func() {
			select {
			case <-l.Tried():
				tried <- struct{}{}
			case <-ctx.Done():
			}
		}()
	}
	var enough <-chan time.Time
	for range g.logins {
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
func (d *Daemon) run(ctx context.Context, g *group) {
	if !g.hasTokens(ctx) {
		return
	}
	g.harvester.OnEvent = func(e vaultsync.Event) {
		if e.Report != nil && ctx.Err() != nil { // it was stopped, and didn't fail
			return
		}
		d.board.Event(e, d.Now())
		if l := g.logins[e.Mount]; l != nil && e.Report != nil {
			l.Report(e.Err)
		}
	}
	err := g.harvester.Watch(ctx, d.Watch)
	if ctx.Err() == nil {
		select {
		case d.ended <- cmp.Or(err, errors.New("without a reason")):
		default:
		}
	}
}

// partition puts mounts that share a cluster together, in their order.
func partition(mounts []config.Mount) [][]config.Mount {
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
		for _, name := range m.Clusters {
			if j, ok := owner[name]; ok {
				a, b := find(i), find(j)
				parent[max(a, b)] = min(a, b)
			} else {
				owner[name] = i
			}
		}
	}
	var parts [][]config.Mount
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
