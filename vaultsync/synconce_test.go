package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// lateSource answers after a time; zero: never.
type lateSource struct {
	region string
	after  time.Duration
	result jwks.Result
}

func (s lateSource) RegionName() string { return s.region }

func (s lateSource) Fetch(ctx context.Context) (*jwks.Set, error) {
	var answer <-chan time.Time
	if s.after > 0 {
		answer = time.After(s.after)
	}
	select {
	case <-answer:
		return s.result.Set, s.result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

const soon = time.Millisecond

// late is a cluster of one region that answers after a time; 0: never.
func late(name string, after time.Duration, result jwks.Result) jwks.Cluster {
	return jwks.Cluster{Name: name, Sources: []jwks.Source{lateSource{after: after, result: result}}}
}

// timeline is what a sync told, and when.
type timeline struct {
	mu    sync.Mutex
	began time.Time
	told  []string
}

func (l *timeline) note(e Event) {
	if e.Kind == EventSynced {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	what := fmt.Sprintf("%v %s", time.Since(l.began), e.Kind)
	if e.Key.KeyID != "" {
		what += " " + e.Key.Owner.String() + " " + e.Key.KeyID
	}
	if cluster, ok := errors.AsType[*jwks.ClusterError](e.Err); ok {
		what += " " + cluster.Cluster
	}
	l.told = append(l.told, what)
}

// syncLate runs a Sync of one mount that may take a minute: clusters have 45 seconds.
func syncLate(t *testing.T, m *Mount, o Options, clusters ...jwks.Cluster) (*Report, []string) {
	t.Helper()
	l := &timeline{began: time.Now()}
	o.OnEvent = l.note
	target := Target{Mount: m, Options: o}
	for _, c := range clusters {
		target.Clusters = append(target.Clusters, c.Name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := (&Harvester{Clusters: clusters, Targets: []Target{target}}).Sync(ctx)
	require.NotNil(t, report)
	require.Equal(t, report.Err(), err)
	return report, l.told
}

func kidsOf(keys []plan.Key) []string {
	var kids []string
	for _, k := range keys {
		kids = append(kids, k.KeyID)
	}
	slices.Sort(kids)
	return kids
}

// configured gives the mount keys.
func configured(t *testing.T, v *fakevault.Server, elements ...string) {
	t.Helper()
	require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: elements}))
	v.ClearRequests()
}

func TestSyncDoesNotWaitForTheSilent(t *testing.T) {
	const early = soon + patience
	for name, test := range map[string]struct {
		clusters []jwks.Cluster
		told     []string
		add      []string
		failed   []string
		written  int
		reads    int
		trusted  []string
	}{
		"silent for ever": {
			clusters: []jwks.Cluster{late("a", soon, publish("a", "k1")), late("b", 0, jwks.Result{})},
			told:     []string{fmt.Sprint(early, " added a k1"), "45s failed b"},
			add:      []string{"k1"}, failed: []string{"b"}, written: 1, reads: 4,
			trusted: []string{"a k1", "b k2"},
		},
		"ten failing beside it": {
			clusters: append(tenFailing(), late("a", soon, publish("a", "k1")), late("b", 0, jwks.Result{})),
			told: append([]string{fmt.Sprint(early, " added a k1"), "45s failed b"},
				prefixed("45s failed ", tenFailing())...),
			add: []string{"k1"}, failed: append([]string{"b"}, prefixed("", tenFailing())...), written: 1, reads: 4,
			trusted: []string{"a k1", "b k2"},
		},
		"answers within the settle time": {
			clusters: []jwks.Cluster{late("a", soon, publish("a", "k1")), late("b", 600*time.Millisecond, publish("b", "k2", "k3"))},
			told:     []string{fmt.Sprint(early, " added a k1"), "600ms added b k3"},
			add:      []string{"k1", "k3"}, written: 2, reads: 5, // the look after the first write is left out
			trusted: []string{"a k1", "b k2", "b k3"},
		},
		"answers later": {
			clusters: []jwks.Cluster{late("a", soon, publish("a", "k1")), late("b", 10*time.Second, publish("b", "k2", "k3"))},
			told:     []string{fmt.Sprint(early, " added a k1"), "10s added b k3"},
			add:      []string{"k1", "k3"}, written: 2, reads: 6,
			trusted: []string{"a k1", "b k2", "b k3"},
		},
		"fails later": {
			clusters: []jwks.Cluster{late("a", soon, publish("a", "k1")), late("b", 10*time.Second, jwks.Result{Err: errDown})},
			told:     []string{fmt.Sprint(early, " added a k1"), "10s failed b"},
			add:      []string{"k1"}, failed: []string{"b"}, written: 1, reads: 4,
			trusted: []string{"a k1", "b k2"},
		},
		"publishes nothing new": {
			clusters: []jwks.Cluster{late("a", soon, publish("a", "k1")), late("b", 600*time.Millisecond, publish("b", "k2"))},
			told:     []string{fmt.Sprint(early, " added a k1")},
			add:      []string{"k1"}, written: 1, reads: 4, // the look after the write is the second sync's
			trusted: []string{"a k1", "b k2"},
		},
		"a region of it": {
			clusters: []jwks.Cluster{late("b", soon, publish("b", "k2")), {Name: "a", Sources: []jwks.Source{
				lateSource{"r1", soon, publish("a/r1", "k1")}, lateSource{"r2", 0, jwks.Result{}},
			}}},
			told: []string{fmt.Sprint(early, " added a/r1 k1"), "45s failed a"},
			add:  []string{"k1"}, failed: []string{"a"}, written: 1, reads: 4,
			trusted: []string{"a/r1 k1", "b k2"},
		},
		"none silent, but slow": {
			clusters: []jwks.Cluster{late("a", soon, publish("a", "k1")), late("b", 400*time.Millisecond, publish("b", "k2")),
				late("c", 800*time.Millisecond, publish("c", "k3"))},
			told: []string{"800ms added a k1", "800ms added c k3"},
			add:  []string{"k1", "k3"}, written: 1, reads: 3,
			trusted: []string{"a k1", "b k2", "c k3"},
		},
		"all silent": {
			clusters: []jwks.Cluster{late("a", 0, jwks.Result{}), late("b", 0, jwks.Result{})},
			told:     []string{"45s failed a", "45s failed b"},
			failed:   []string{"a", "b"}, reads: 1,
			trusted: []string{"b k2"},
		},
		"the only good one comes late": {
			clusters: []jwks.Cluster{late("a", 30*time.Second, publish("a", "k1")), late("b", 0, jwks.Result{})},
			told:     []string{"30.5s added a k1", "45s failed b"},
			add:      []string{"k1"}, failed: []string{"b"}, written: 1, reads: 4,
			trusted: []string{"a k1", "b k2"},
		},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			configured(t, v, trust("b", "k2"))
			report, told := syncLate(t, m, Options{}, test.clusters...)
			mount := report.Mounts[0]
			require.NoError(t, mount.Err)
			assert.ElementsMatch(t, test.told, told)
			assert.Equal(t, test.add, kidsOf(mount.Plan.Add))
			assert.Equal(t, len(test.add) > 0, mount.Plan.Changed)
			var failed []string
			for _, f := range mount.Plan.Failed {
				failed = append(failed, f.Cluster)
				require.NotErrorIs(t, f.Err, jwks.ErrPending)
			}
			assert.ElementsMatch(t, test.failed, failed)
			assert.Equal(t, len(test.failed) == 0, report.InSync())
			assert.Equal(t, test.written, mount.Written)
			assert.Len(t, mount.WriteTimes, test.written)
			assert.Equal(t, test.reads, v.Count("GET", configPath))
			assert.Equal(t, test.written, v.Count("PUT", configPath))
			assert.ElementsMatch(t, test.trusted, trustedNames(v))
			if name == "answers later" {
				added := mount.Plan.Add
				assert.Equal(t, 10*time.Second-early, added[1].Added.Sub(added[0].Added), "the days that stand on the mount")
			}
			for _, r := range report.Clusters {
				require.NotErrorIs(t, r.Err, jwks.ErrPending)
			}
		})
	}
}

func tenFailing() []jwks.Cluster {
	var clusters []jwks.Cluster
	for i := range 10 {
		clusters = append(clusters, late(fmt.Sprint("down", i), soon, jwks.Result{Err: errDown}))
	}
	return clusters
}

func prefixed(with string, clusters []jwks.Cluster) []string {
	var names []string
	for _, c := range clusters {
		names = append(names, with+c.Name)
	}
	return names
}

// Of what nobody who has answered publishes any more, nothing goes while a cluster that may
// publish it is still out. A denied key goes, for whomever one waits.
func TestSyncEarlyRemovesOnlyDeniedKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		configured(t, v, trust("a", "k1"), trust("a", "k2"), trust("b", "k3"), trust("old", "k4"), trust("b", "k5"), paste("x"))
		time.AfterFunc(5*time.Second, func() {
			assert.ElementsMatch(t, []string{"a k1", "a k2", "b k3", "old k4", ""}, trustedNames(v))
		})
		report, told := syncLate(t, m, Options{Retired: []string{"old"}, Foreign: plan.ForeignRemove, Deny: []pem.Fingerprint{fingerprint("k5")}},
			late("a", soon, publish("a", "k1")), late("b", 10*time.Second, publish("b", "k2", "k3", "k4")))
		assert.True(t, report.InSync())
		assert.ElementsMatch(t, []string{"a k1", "b k2", "b k3", "b k4"}, trustedNames(v))
		assert.ElementsMatch(t, []string{"501ms removed b k5", "10s adopted b k2", "10s adopted b k4", "10s removed"}, told)
		assert.ElementsMatch(t, []string{"k5", ""}, kidsOf(report.Mounts[0].Plan.Remove))
	})
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		configured(t, v, trust("a", "k1"), trust("a", "k2"))
		_, told := syncLate(t, m, Options{Deny: []pem.Fingerprint{fingerprint("k2")}}, late("a", 0, jwks.Result{}))
		assert.Equal(t, []string{"500ms removed a k2", "45s failed a"}, told)
	})
}

// A mount without configuration is like any other: its first keys decide nothing.
func TestSyncOfANewMountIsNotDelayed(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		report, told := syncLate(t, m, Options{}, late("a", soon, publish("a", "k1")), late("b", 10*time.Second, publish("b", "k2")))
		assert.True(t, report.InSync())
		assert.ElementsMatch(t, []string{"501ms added a k1", "10s added b k2"}, told)
		assert.Equal(t, 2, report.Mounts[0].Written)
		assert.Empty(t, v.Config("", "jwt-nomad")[algsField], "nor does which of them answered first")
	})
}

// A mount that trusts none of the silent ones doesn't know of them.
func TestSyncOfHealthyClustersIsNotDelayed(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Enable("", "second", "jwt")
		l := &timeline{began: time.Now()}
		h := &Harvester{
			Parallel: 1,
			Clusters: []jwks.Cluster{late("b", 0, jwks.Result{}), late("a", soon, publish("a", "k1"))},
			Targets: []Target{
				{Mount: m, Clusters: []string{"a", "b"}},
				{Mount: NewMount(v.Client(), "second"), Clusters: []string{"a"}, Options: Options{OnEvent: l.note}},
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := h.Sync(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"1ms added a k1"}, l.told)
	})
}

// What a Vault makes of the first sync is made good by the second one, and told once.
func TestSyncTwiceWithFaults(t *testing.T) {
	for name, test := range map[string]struct {
		early, later fault.Fault // from the beginning, and from the tenth second on
		trusted      []string
		told         []string
		add          []string
		written      int
		says         string
	}{
		"early alone": {
			early: fault.Status(503, "Vault is sealed"), trusted: []string{"a k1", "b k2", "b k3"},
			told: []string{"added a k1", "added b k3"}, add: []string{"k1", "k3"}, written: 1,
		},
		"a refused write": {
			early: fault.On("PUT", configPath, fault.Status(403, "permission denied")), trusted: []string{"a k1", "b k2", "b k3"},
			told: []string{"added a k1", "added b k3"}, add: []string{"k1", "k3"}, written: 1,
		},
		"later alone": {
			later: fault.Status(503, "Vault is sealed"), trusted: []string{"a k1", "b k2"},
			told: []string{"added a k1", "error"}, add: []string{"k1", "k3"}, written: 1, says: "Vault is sealed",
		},
		"later writes": {
			later: fault.On("PUT", configPath, fault.Status(503, "overloaded")), trusted: []string{"a k1", "b k2"},
			told: []string{"added a k1", "error"}, add: []string{"k1", "k3"}, written: defaultWrites, says: "overloaded",
		},
		"both": {
			early: fault.Status(503, "Vault is sealed"), later: fault.Status(503, "Vault is sealed"), trusted: []string{"b k2"},
			told: []string{"error"}, says: "Vault is sealed",
		},
		"both, and time is up": {
			early: fault.Status(503, "Vault is sealed"), later: fault.Hold(nil), trusted: []string{"b k2"},
			told: []string{"error"}, says: "; and before: Vault is sealed",
		},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			m.Client.SetMaxRetries(0)
			configured(t, v, trust("b", "k2"))
			if test.early != nil {
				v.Inject(test.early)
			}
			time.AfterFunc(10*time.Second, func() {
				v.ClearFaults()
				if test.later != nil {
					v.Inject(test.later)
				}
			})
			report, told := syncLate(t, m, Options{}, late("a", soon, publish("a", "k1")), late("b", 11*time.Second, publish("b", "k2", "k3")))
			v.ClearFaults()
			mount := report.Mounts[0]
			for i, what := range told {
				_, told[i], _ = strings.Cut(what, " ")
			}
			assert.ElementsMatch(t, test.told, told)
			assert.ElementsMatch(t, test.trusted, trustedNames(v))
			assert.Equal(t, test.written, mount.Written)
			if test.says == "" {
				require.NoError(t, mount.Err)
			} else {
				require.ErrorContains(t, mount.Err, test.says)
				assert.Equal(t, strings.HasPrefix(test.says, "; and before"), strings.Contains(mount.Err.Error(), "; and before"))
			}
			if test.add == nil {
				assert.Nil(t, mount.Plan)
			} else {
				assert.Equal(t, test.add, kidsOf(mount.Plan.Add))
			}
		})
	}
}

// Another harvester undoes the first sync's write while its look is left out: the second
// one looks.
func TestSyncLooksAfterTheEarlyWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		configured(t, v, trust("b", "k2"))
		time.AfterFunc(time.Second, func() {
			v.SetConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("b", "k2"), trust("z", "x")}})
		})
		report, _ := syncLate(t, m, Options{}, late("a", soon, publish("a", "k1")), late("b", 600*time.Millisecond, publish("b", "k2")))
		assert.ElementsMatch(t, []string{"a k1", "b k2", "z x"}, trustedNames(v))
		assert.Equal(t, 2, report.Mounts[0].Written)
	})
}

// What arrives during the early write is written next, without a settle time in between, and
// without the look: the second sync looks.
func TestSyncCompletesDuringTheEarlyWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		configured(t, v, trust("b", "k2"))
		v.Inject(fault.On("PUT", configPath, fault.Times(1, fault.Delay(200*time.Millisecond))))
		_, told := syncLate(t, m, Options{}, late("a", soon, publish("a", "k1")), late("b", 600*time.Millisecond, publish("b", "k2", "k3")))
		assert.Equal(t, []string{"701ms added a k1", "701ms added b k3"}, told)
		assert.Equal(t, 5, v.Count("GET", configPath))
	})
}

// Where Vault fails too, the cluster is named besides, once for all mounts that trust it.
func TestReportNamesClustersWithoutAPlan(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Enable("", "second", "jwt")
		v.Seal()
		h := &Harvester{
			Clusters: []jwks.Cluster{late("a", soon, jwks.Result{Err: errDown}), late("b", soon, publish("b", "k1"))},
			Targets: []Target{
				{Mount: m, Clusters: []string{"a", "b"}}, {Mount: NewMount(v.Client(), "second"), Clusters: []string{"a"}},
				{Mount: NewMount(v.Client(), "third"), Clusters: []string{"b"}},
			},
		}
		for name, do := range map[string]func(context.Context) (*Report, error){"sync": h.Sync, "plan": h.Plan} {
			_, err := do(t.Context())
			require.ErrorIs(t, err, ErrSealed, name)
			require.ErrorIs(t, err, errDown, name)
			assert.Equal(t, 1, strings.Count(err.Error(), `cluster "a"`), name)
			assert.Equal(t, 3, strings.Count(err.Error(), "Vault is sealed"), name)
		}
		h.Targets = h.Targets[2:]
		h.Clusters = append(h.Clusters, late("unused", soon, jwks.Result{Err: errDown}))
		_, err := h.Sync(t.Context())
		require.NotErrorIs(t, err, errDown)
	})
}

// A Vault that hangs has all the slots that it may have, and none of another one.
func TestSyncHungVaultTakesNoOthersSlots(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		second := fakevault.NewInProcess()
		defer second.Close()
		second.URL = "http://second"
		second.Enable("", "jwt-nomad", "jwt")
		v.Inject(fault.Hold(nil))
		m.Client.SetMaxRetries(0)
		var looked time.Duration
		began := time.Now()
		second.Inject(fault.On("GET", configPath, fault.First(func() { looked = time.Since(began) })))
		h := &Harvester{
			Parallel: 1, Clusters: []jwks.Cluster{late("a", soon, publish("a", "k1"))},
			Targets: []Target{
				{Mount: m, Clusters: []string{"a"}},
				{Mount: NewMount(second.Client(), "jwt-nomad"), Clusters: []string{"a"}},
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		report, err := h.Sync(ctx)
		require.Error(t, err)
		require.Error(t, report.Mounts[0].Err)
		assert.True(t, report.Mounts[1].InSync())
		assert.LessOrEqual(t, looked, soon+defaultSettle*5/4, "when its own settle time is over")
	})
}
