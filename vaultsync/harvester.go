package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Target is a mount and the clusters that it should trust.
type Target struct {
	Mount *Mount
	// Clusters are names of the Harvester's Clusters. The first one that publishes a
	// key owns it.
	Clusters []string
	Options  Options
}

// Harvester keeps many mounts, in several namespaces and Vaults, equal to what many
// clusters publish. It must not be changed while in use.
type Harvester struct {
	Clusters []jwks.Cluster
	Targets  []Target
	// Parallel bounds the mounts of one Vault that are synced at the same time; zero is 64.
	// One that waits for its settle time, or for clusters, doesn't count.
	Parallel int
	// OnEvent is called for what happens to the clusters and mounts in a Sync or a Watch: for each
	// of them from one goroutine at a time, for several at once. It should return soon. May be nil.
	OnEvent func(Event)
}

// Report is what happened to every cluster and mount.
type Report struct {
	Clusters []jwks.Result
	Mounts   []*MountReport // in the order of Harvester.Targets
}

// InSync reports whether every mount trusts exactly what its clusters publish.
func (r *Report) InSync() bool {
	return !slices.ContainsFunc(r.Mounts, func(m *MountReport) bool { return !m.InSync() })
}

// Err joins what failed: a *jwks.ClusterError for each cluster or region whose keys a mount keeps
// because they could not be read, and a *MountError for each mount. It names a cluster that could
// not be read even if its mount could not be planned. It is nil if everything is in sync.
func (r *Report) Err() error {
	var all []error
	seen := map[string]bool{}
	failed := func(err error) {
		if !seen[err.Error()] {
			seen[err.Error()] = true
			all = append(all, err)
		}
	}
	for _, m := range r.Mounts {
		if m.Plan != nil {
			for _, f := range m.Plan.Failed {
				failed(f.AsError())
			}
		} else {
			for _, c := range r.Clusters {
				if c.Err != nil && slices.Contains(m.clusters, c.Cluster) {
					failed(c.Err)
				}
			}
		}
		if m.Err != nil {
			all = append(all, m.Err)
		}
	}
	return errors.Join(all...)
}

// Sync fetches every source once, and makes each mount trust what its clusters publish, as
// [Mount.Sync] does, as soon as all of them have answered or failed. What succeeds is
// applied, whatever else fails: the error is [Report.Err]. The report is nil only where the
// Harvester itself is at fault.
//
// A mount doesn't wait long for silent clusters. When none of its clusters has answered for half a
// second, and one of them was read or keys are denied, the mount is synced with what there is.
// Silent clusters then count as failed, and only denied keys are removed. When they have answered
// or failed too, the mount is synced again. A MountReport and the events cover both syncs.
//
// If ctx has a deadline, clusters have three quarters of the time until then. Otherwise a silent
// one would leave no time for the mounts that wait for it.
func (h *Harvester) Sync(ctx context.Context) (*Report, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	h.open()
	inboxes, mounts := h.subscribe()
	report := &Report{Mounts: make([]*MountReport, len(h.Targets))}
	var wg sync.WaitGroup
	for i, m := range mounts {
		wg.Go(func() {
			report.Mounts[i] = m.syncOnce(ctx)
			report.Mounts[i].clusters = m.target.Clusters
		})
	}
	fetching, cancel := wait.Most(ctx)
	defer cancel()
	report.Clusters = jwks.FetchAll(fetching, h.used(), func(cluster int, known []jwks.Result) { inboxes[cluster].learn(known) })
	for i, r := range report.Clusters {
		at := slices.IndexFunc(inboxes, func(b *inbox) bool { return b.cluster.Name == r.Cluster })
		inboxes[at].tellResult(report.Clusters[i], map[string]time.Time{}, h.OnEvent)
	}
	wg.Wait()
	return report, report.Err()
}

// Plan reads every cluster and every mount, and returns what a Sync would do. It changes nothing,
// and waits for all clusters.
func (h *Harvester) Plan(ctx context.Context) (*Report, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	h.open()
	fetching, cancel := wait.Most(ctx)
	defer cancel()
	inboxes, mounts := h.subscribe()
	report := &Report{Mounts: make([]*MountReport, len(h.Targets))}
	report.Clusters = jwks.FetchAll(fetching, h.used(), func(cluster int, known []jwks.Result) { inboxes[cluster].learn(known) })
	var wg sync.WaitGroup
	for i, m := range mounts {
		wg.Go(func() {
			m.acquire(context.WithoutCancel(ctx))
			defer m.release()
			report.Mounts[i] = m.plan(ctx)
			report.Mounts[i].clusters = m.target.Clusters
		})
	}
	wg.Wait()
	return report, report.Err()
}

// open opens the mounts before any request: see Mount.newClone. An error comes up again.
func (h *Harvester) open() {
	for _, t := range h.Targets {
		_, _ = t.Mount.open()
	}
}

// slots returns the room for mounts that are synced at the same time, by Vault: one that
// hangs holds up nobody else's mounts.
func (h *Harvester) slots() map[string]chan struct{} {
	slots := map[string]chan struct{}{}
	for _, t := range h.Targets {
		if vault := t.Mount.vault(); slots[vault] == nil {
			slots[vault] = make(chan struct{}, h.parallel())
		}
	}
	return slots
}

const defaultParallel = 64

func (h *Harvester) parallel() int {
	if h.Parallel <= 0 {
		return defaultParallel
	}
	return h.Parallel
}

// used returns the clusters that a target names: what nobody trusts needn't be fetched.
func (h *Harvester) used() []jwks.Cluster {
	named := map[string]bool{}
	for _, t := range h.Targets {
		for _, name := range t.Clusters {
			named[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(h.Clusters), func(c jwks.Cluster) bool { return !named[c.Name] })
}

// Check finds what is wrong with the Harvester before anything is fetched: names that are bad,
// unknown or used twice; sources, mounts or clients that are missing; addresses that are none; two
// targets with one mount; options that contradict each other. Errors wrap [plan.ErrInvalid]; those
// of a target are *MountErrors.
func (h *Harvester) Check() error {
	all, names := h.checkClusters()
	if len(h.Targets) == 0 {
		all = append(all, errors.New("no mounts to keep in sync"))
	}
	mounts := map[string]bool{}
	for i, t := range h.Targets {
		if t.Mount == nil || t.Mount.Client == nil && t.Mount.Store == nil {
			all = append(all, fmt.Errorf("target %d has no mount, or its mount no client", i))
			continue
		}
		if err := t.Mount.check(); err != nil {
			all = append(all, t.Mount.Wrap(err))
		}
		if name := t.Mount.String(); mounts[name] {
			all = append(all, t.Mount.Wrap(errors.New("named by two targets, which would undo each other")))
		} else {
			mounts[name] = true
		}
		for _, err := range t.check(names) {
			all = append(all, t.Mount.Wrap(err))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &wrong{errors.Join(all...)}
}

// wrong is an error that is ErrInvalid too.
type wrong struct{ error }

// Is reports true for ErrInvalid.
func (*wrong) Is(target error) bool { return target == plan.ErrInvalid }

// Unwrap returns the error.
func (e *wrong) Unwrap() error { return e.error }

// checkClusters also returns the names that are defined.
func (h *Harvester) checkClusters() (all []error, names map[string]bool) {
	names = map[string]bool{}
	for _, c := range h.Clusters {
		if err := rule.CheckCluster(c.Name); err != nil {
			all = append(all, err)
		}
		if names[c.Name] {
			all = append(all, fmt.Errorf("cluster %q is defined twice", c.Name))
		}
		names[c.Name] = true
		if len(c.Sources) == 0 && c.Federation == nil {
			all = append(all, fmt.Errorf("cluster %q has no source of keys", c.Name))
		}
		regions := map[string]bool{}
		for _, s := range c.Sources {
			if isNil(s) {
				all = append(all, fmt.Errorf("cluster %q has a source that is nil", c.Name))
				continue
			}
			if region := s.RegionName(); regions[region] {
				all = append(all, fmt.Errorf("cluster %q has two sources of region %q", c.Name, region))
			} else {
				regions[region] = true
			}
			if checked, ok := s.(interface{ Check() error }); ok {
				if err := checked.Check(); err != nil {
					all = append(all, fmt.Errorf("cluster %q: %w", c.Name, err))
				}
			}
		}
	}
	return all, names
}

// check finds what is wrong with a target, given the names of the clusters that there are.
func (t Target) check(clusters map[string]bool) (all []error) {
	for _, name := range t.Clusters {
		if !clusters[name] {
			all = append(all, fmt.Errorf("cluster %q is not defined", name))
		}
	}
	all = append(all, t.Options.checkNames(clusters)...)
	if err := t.Options.check(t.Clusters); err != nil {
		all = append(all, err)
	}
	return all
}

// isNil reports whether a source is none, or a pointer to none, or a function that is none.
func isNil(s jwks.Source) bool {
	v := reflect.ValueOf(s)
	return !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}
