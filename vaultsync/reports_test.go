package vaultsync

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// reported returns the keys of an input of jwks/testdata/reports.
func reported(t *testing.T, name string) []jwks.Key {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("..", "jwks", "testdata", "reports", name+".json"))
	require.NoError(t, err)
	set, err := jwks.Parse(document)
	require.NoError(t, err)
	return set.Keys
}

// frontEnds is a source whose answers come in turn from several servers, the last one for ever.
type frontEnds struct {
	mu      sync.Mutex
	answers [][]jwks.Key
	asked   int
}

func (f *frontEnds) RegionName() string { return "" }

func (f *frontEnds) Fetch(context.Context) (*jwks.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	keys := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	return &jwks.Set{Keys: keys, Unindexed: true}, nil
}

// next has the front ends answer so from now on.
func (f *frontEnds) next(answers ...[]jwks.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers, f.asked = answers, 0
}

// behind is a Vault whose mount trusts what front ends publish.
func behind(s *fakevault.Server, f *frontEnds) (*Harvester, func(now time.Time) (*MountReport, error)) {
	s.Enable("", "jwt", "jwt")
	h := &Harvester{
		Clusters: []jwks.Cluster{{Name: "idp", Sources: []jwks.Source{f}}},
		Targets:  []Target{{Mount: NewMount(s.Client(), "jwt"), Clusters: []string{"idp"}}},
	}
	return h, func(now time.Time) (*MountReport, error) {
		h.Targets[0].Options.Now = now
		r, err := h.Sync(context.Background())
		return r.Mounts[0], err
	}
}

func trustedKeys(t *testing.T, h *Harvester) []pem.Fingerprint {
	t.Helper()
	config, err := h.Targets[0].Mount.Read(t.Context())
	require.NoError(t, err)
	var all []pem.Fingerprint
	for _, k := range config.Trusted() {
		all = append(all, k.Fingerprint)
	}
	return all
}

// One address, several nodes, each with a key of its own: what either of two answers has counts.
func TestReport05NodesWithKeysOfTheirOwn(t *testing.T) {
	a, b := reported(t, "05-answer-a"), reported(t, "05-answer-b")
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		f := &frontEnds{answers: [][]jwks.Key{a}}
		h, run := behind(s, f)
		now := time.Now()
		_, err := run(now)
		require.NoError(t, err)
		f.next(b, a)
		report, err := run(now)
		require.NoError(t, err, "no turnover: the other answer has the key that is trusted")
		assert.Len(t, report.Plan.Add, 1)
		require.NotEmpty(t, report.Plan.Warnings)
		assert.Contains(t, strings.Join(report.Plan.Warnings, "\n"), "its answers alternate")
		f.next(a, b, a, b)
		for range 2 {
			report, err = run(now)
			require.NoError(t, err)
			assert.Zero(t, report.Written)
		}
		assert.Len(t, trustedKeys(t, h), 2)
	})
}

// A turnover that both answers show is one.
func TestReport05Turnover(t *testing.T) {
	a, b := reported(t, "05-answer-a"), reported(t, "05-answer-b")
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		f := &frontEnds{answers: [][]jwks.Key{a}}
		_, run := behind(s, f)
		_, err := run(time.Now())
		require.NoError(t, err)
		f.next(b)
		_, err = run(time.Now())
		require.ErrorIs(t, err, plan.ErrTurnover)
		assert.Equal(t, 2, f.asked)
	})
}

func TestReport06FrontEndsInRotation(t *testing.T) {
	a, b, c := reported(t, "06-front-end-a"), reported(t, "06-front-end-b"), reported(t, "06-front-end-c")
	gone := fingerprintOf(t, b[1]) // XWQkT7…, which c has no longer
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		f := &frontEnds{answers: [][]jwks.Key{a}}
		h, run := behind(s, f)
		start := time.Now()
		_, err := run(start)
		require.NoError(t, err)
		assert.Equal(t, 1, f.asked)

		// The old and the new in turn: nothing that one of two answers has is missing.
		f.next(c, b)
		report, err := run(start)
		require.NoError(t, err)
		assert.Equal(t, 1, report.Written, "what is new is trusted")
		assert.Len(t, trustedKeys(t, h), 6)
		f.next(c, a, b, c, a, c)
		for range 3 {
			report, err = run(start.Add(time.Minute))
			require.NoError(t, err)
			assert.Zero(t, report.Written)
		}

		// Missing from both: one write begins the period, and none ends it that does nothing else.
		f.next(c)
		writes := 0
		for minute := 2; minute < 40; minute++ {
			if minute%2 == 0 {
				f.next(c)
			} else {
				f.next(c, b)
			}
			report, err = run(start.Add(time.Duration(minute) * time.Minute))
			require.NoError(t, err)
			writes += report.Written
			if minute%2 == 0 {
				assert.Equal(t, 2, f.asked)
				assert.Contains(t, strings.Join(report.Plan.Warnings, "\n"), `key "XWQkT7hF4e70Dbru0H73IZNDiA4"`)
				assert.Contains(t, strings.Join(report.Plan.Warnings, "\n"), "until it is denied")
			}
		}
		assert.Equal(t, 1, writes)
		assert.Contains(t, trustedKeys(t, h), gone)

		// Published again near the end, it has a whole period before it when it goes for good.
		f.next(c, b)
		report, err = run(start.Add(55 * time.Minute))
		require.NoError(t, err)
		assert.Equal(t, 1, report.Written)
		f.next(c)
		for _, minute := range []int{61, 119, 120} {
			_, err = run(start.Add(time.Duration(minute) * time.Minute))
			require.NoError(t, err)
			assert.Contains(t, trustedKeys(t, h), gone)
		}
		report, err = run(start.Add(121 * time.Minute))
		require.NoError(t, err)
		assert.Len(t, report.Plan.Remove, 1)
		assert.NotContains(t, trustedKeys(t, h), gone)
	})
}

// After a leak nobody waits, and who doesn't want the period has none.
func TestReport06EndedAtOnce(t *testing.T) {
	a, c := reported(t, "06-front-end-a"), reported(t, "06-front-end-c")
	gone := fingerprintOf(t, a[1])
	for name, o := range map[string]Options{
		"denied": {Deny: []pem.Fingerprint{gone}}, "no retention": {Retain: plan.NoRetain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fakevault.NewInProcess()
				defer s.Close()
				f := &frontEnds{answers: [][]jwks.Key{a}}
				h, run := behind(s, f)
				_, err := run(time.Now())
				require.NoError(t, err)
				h.Targets[0].Options = o
				f.next(c)
				_, err = run(time.Now())
				require.NoError(t, err)
				assert.NotContains(t, trustedKeys(t, h), gone)
			})
		})
	}
}

// A watch remembers the beginning by itself, and writes the end alone.
func TestReport06Watched(t *testing.T) {
	a := reported(t, "06-front-end-a")
	onlyOld := a[:1:1]
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		f := &frontEnds{answers: [][]jwks.Key{a}}
		h, _ := behind(s, f)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Watch(ctx, WatchOptions{}) }()
		defer func() { cancel(); require.NoError(t, <-ended) }()
		time.Sleep(time.Minute)
		require.Len(t, trustedKeys(t, h), 4)
		writes := s.Count("PUT", "auth/jwt/config")
		f.next(onlyOld)
		time.Sleep(50 * time.Minute)
		assert.Equal(t, writes, s.Count("PUT", "auth/jwt/config"))
		f.next(a) // back for a while: the period is another one then
		time.Sleep(10 * time.Minute)
		f.next(onlyOld)
		time.Sleep(55 * time.Minute)
		assert.Len(t, trustedKeys(t, h), 4)
		assert.Equal(t, writes, s.Count("PUT", "auth/jwt/config"))
		time.Sleep(15 * time.Minute)
		assert.Len(t, trustedKeys(t, h), 1)
		assert.Equal(t, writes+1, s.Count("PUT", "auth/jwt/config"))
	})
}

// Leader and follower of a Nomad 1.7.0 have one kid, and a key each.
func TestReport07OneKeyIDTwoKeys(t *testing.T) {
	leader, follower := reported(t, "07-leader"), reported(t, "07-follower")
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		f := &frontEnds{answers: [][]jwks.Key{leader}}
		h, run := behind(s, f)
		h.Clusters[0].Sources[0] = indexed{f}
		_, err := run(time.Now())
		require.NoError(t, err)
		f.next(follower)
		_, err = run(time.Now())
		require.ErrorIs(t, err, plan.ErrTurnover)
		require.ErrorContains(t, err, `both sides have kid "9ad3b1a6-7e02-4d1c-b3a2-5f0e9f6c7d10", of different keys`)
		assert.Equal(t, 1, f.asked, "Nomad's answer counts at once")
	})
}

// A watch notices that a set was there before.
func TestReport07WatchedAlternation(t *testing.T) {
	leader, follower := reported(t, "07-leader"), reported(t, "07-follower")
	synctest.Test(t, func(t *testing.T) {
		s := fakevault.NewInProcess()
		defer s.Close()
		f := &frontEnds{answers: [][]jwks.Key{leader}}
		h, _ := behind(s, f)
		h.Clusters[0].Sources[0] = indexed{f}
		var last *MountReport
		h.OnEvent = func(e Event) {
			if e.Kind == EventSynced {
				last = e.Report
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Watch(ctx, WatchOptions{}) }()
		warnings := func() string {
			synctest.Wait()
			return strings.Join(last.Last.Warnings, "\n")
		}
		synctest.Wait()
		for range 2 {
			f.next(follower)
			time.Sleep(6 * time.Minute)
			f.next(leader)
			time.Sleep(6 * time.Minute)
			assert.Contains(t, warnings(), "it went back to a set of keys that it published before")
		}
		cancel()
		require.NoError(t, <-ended)
	})
}

// indexed is a source with an index.
type indexed struct{ *frontEnds }

func (i indexed) Fetch(ctx context.Context) (*jwks.Set, error) {
	set, err := i.frontEnds.Fetch(ctx)
	set.Unindexed, set.Index = false, 7
	return set, err
}

func fingerprintOf(t *testing.T, k jwks.Key) pem.Fingerprint {
	t.Helper()
	f, err := pem.FingerprintOf(k.Public)
	require.NoError(t, err)
	return f
}
