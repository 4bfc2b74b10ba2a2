package vaultsync

import (
	"cmp"
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
	region  string
	answers [][]jwks.Key
	asked   int
	indexed bool
}

func (f *frontEnds) RegionName() string { return f.region }

func (f *frontEnds) Fetch(context.Context) (*jwks.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	keys := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	if f.indexed {
		return &jwks.Set{Keys: keys, Index: 7}, nil
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
type behind struct {
	*frontEnds
	vault *fakevault.Server
	h     *Harvester
	watch WatchOptions
}

// inFront runs a test on fake time, with a mount that was synced with the first keys.
func inFront(t *testing.T, first []jwks.Key, test func(t *testing.T, b *behind)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := fakevault.NewInProcess()
		defer v.Close()
		v.Enable("", "jwt", "jwt")
		f := &frontEnds{answers: [][]jwks.Key{first}}
		b := &behind{frontEnds: f, vault: v, h: &Harvester{
			Clusters: []jwks.Cluster{{Name: "idp", Sources: []jwks.Source{f}}},
			Targets:  []Target{{Mount: NewMount(v.Client(), "jwt"), Clusters: []string{"idp"}}},
		}}
		_, err := b.run(time.Now())
		require.NoError(t, err)
		assert.Equal(t, 1, f.asked)
		test(t, b)
	})
}

// run syncs at a time.
func (b *behind) run(now time.Time) (*MountReport, error) {
	b.h.Targets[0].Options.Now = now
	r, err := b.h.Sync(context.Background())
	return r.Mounts[0], err
}

// watching runs test beside a watch.
func (b *behind) watching(t *testing.T, test func()) {
	t.Helper()
	b.h.Targets[0].Options.Now = time.Time{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.h.Watch(ctx, b.watch) }()
	defer func() { cancel(); require.NoError(t, <-ended) }()
	test()
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
	one, other := reported(t, "05-answer-a"), reported(t, "05-answer-b")
	inFront(t, one, func(t *testing.T, b *behind) {
		b.next(other, one)
		report, err := b.run(time.Now())
		require.NoError(t, err, "no turnover: the other answer has the key that is trusted")
		assert.Len(t, report.Plan.Add, 1)
		assert.Contains(t, strings.Join(report.Plan.Warnings, "\n"), "its answers alternate")
		b.next(one, other, one, other)
		for range 2 {
			report, err = b.run(time.Now())
			require.NoError(t, err)
			assert.Zero(t, report.Written)
		}
		assert.Len(t, trustedKeys(t, b.h), 2)
	})
}

// Of a cluster's regions, the one whose answer lacks keys is asked again.
func TestReport05NodesOfOneRegion(t *testing.T) {
	one, other := reported(t, "05-answer-a"), reported(t, "05-answer-b")
	synctest.Test(t, func(t *testing.T) {
		f := &frontEnds{region: "west", answers: [][]jwks.Key{one}}
		h := &Harvester{
			Clusters: []jwks.Cluster{{Name: "idp", Sources: []jwks.Source{jwks.Static("east", publish("idp", "k1").Set.Keys...), f}}},
			Targets:  []Target{{Mount: &Mount{Path: "elsewhere", Store: &memory{}}, Clusters: []string{"idp"}}},
		}
		_, err := h.Sync(t.Context())
		require.NoError(t, err)
		f.next(other, one)
		report, err := h.Sync(t.Context())
		require.NoError(t, err, "no turnover: the other answer has the key that is trusted")
		assert.Contains(t, strings.Join(report.Mounts[0].Plan.Warnings, "\n"), "its answers alternate")
	})
}

// A turnover that both answers show is one.
func TestReport05Turnover(t *testing.T) {
	inFront(t, reported(t, "05-answer-a"), func(t *testing.T, b *behind) {
		b.next(reported(t, "05-answer-b"))
		_, err := b.run(time.Now())
		require.ErrorIs(t, err, plan.ErrTurnover)
		assert.Equal(t, 2, b.asked)
	})
}

func TestReport06FrontEndsInRotation(t *testing.T) {
	first, second, third := reported(t, "06-front-end-a"), reported(t, "06-front-end-b"), reported(t, "06-front-end-c")
	gone := fingerprintOf(t, second[1]) // XWQkT7…, which the third has no longer
	inFront(t, first, func(t *testing.T, b *behind) {
		start := time.Now()
		run := func(minute int) *MountReport {
			report, err := b.run(start.Add(time.Duration(minute) * time.Minute))
			require.NoError(t, err)
			return report
		}
		// The old and the new in turn: nothing that one of two answers has is missing.
		b.next(third, second)
		assert.Equal(t, 1, run(0).Written, "what is new is trusted")
		assert.Len(t, trustedKeys(t, b.h), 6)
		b.next(third, first, second, third, first, third)
		for range 3 {
			assert.Zero(t, run(1).Written)
		}

		// Missing from both: one write begins the period, and none ends it that does nothing else.
		b.next(third)
		writes := 0
		for minute := 2; minute < 40; minute++ {
			if minute%2 == 0 {
				b.next(third)
			} else {
				b.next(third, second)
			}
			report := run(minute)
			writes += report.Written
			if minute%2 == 0 {
				assert.Equal(t, 2, b.asked)
				assert.Contains(t, strings.Join(report.Plan.Warnings, "\n"), `key "XWQkT7hF4e70Dbru0H73IZNDiA4"`)
				assert.Contains(t, strings.Join(report.Plan.Warnings, "\n"), "until it is denied")
			}
		}
		assert.Equal(t, 1, writes)
		assert.Contains(t, trustedKeys(t, b.h), gone)

		// Published again near the end, it has a whole period before it when it goes for good.
		b.next(third, second)
		assert.Equal(t, 1, run(55).Written)
		b.next(third)
		for _, minute := range []int{61, 119, 120} {
			run(minute)
			assert.Contains(t, trustedKeys(t, b.h), gone)
		}
		assert.Len(t, run(121).Plan.Remove, 1)
		assert.NotContains(t, trustedKeys(t, b.h), gone)
	})
}

// After a leak nobody waits, and who doesn't want the period has none.
func TestReport06EndedAtOnce(t *testing.T) {
	first, third := reported(t, "06-front-end-a"), reported(t, "06-front-end-c")
	gone := fingerprintOf(t, first[1])
	for _, o := range []Options{{Deny: []pem.Fingerprint{gone}}, {Retain: plan.NoRetain}} {
		inFront(t, first, func(t *testing.T, b *behind) {
			b.h.Targets[0].Options = o
			b.next(third)
			_, err := b.run(time.Now())
			require.NoError(t, err)
			assert.NotContains(t, trustedKeys(t, b.h), gone)
		})
	}
}

// A watch that is started again and again goes on with the period that the one before it began.
func TestReport06WatchesThatEndSoon(t *testing.T) {
	first := reported(t, "06-front-end-a")
	inFront(t, first, func(t *testing.T, b *behind) {
		b.next(first[:1:1])
		writes := b.vault.Count("PUT", "auth/jwt/config")
		for range 6 {
			assert.Len(t, trustedKeys(t, b.h), 4)
			b.watching(t, func() { time.Sleep(9 * time.Minute) })
			time.Sleep(time.Minute)
		}
		b.watching(t, func() { time.Sleep(time.Minute) })
		assert.Len(t, trustedKeys(t, b.h), 1)
		assert.Equal(t, writes+2, b.vault.Count("PUT", "auth/jwt/config"), "the beginning and the end")
	})
}

// A period that was over while nobody looked says nothing of a key that may have been in use since.
func TestReport06WatchedAfterALongPause(t *testing.T) {
	first := reported(t, "06-front-end-a")
	inFront(t, first, func(t *testing.T, b *behind) {
		b.next(first[:1:1])
		b.watching(t, func() { time.Sleep(10 * time.Minute) })
		time.Sleep(24 * time.Hour)
		b.watching(t, func() {
			time.Sleep(59 * time.Minute)
			assert.Len(t, trustedKeys(t, b.h), 4)
			time.Sleep(10 * time.Minute)
			assert.Len(t, trustedKeys(t, b.h), 1)
		})
	})
}

// A watch that looks at its mounts seldom ends a period all the same, soon after it is over.
func TestReport06WatchedSeldom(t *testing.T) {
	for name, retain := range map[string]time.Duration{"by default": 0, "for some seconds": 4 * time.Second, "for long": 10 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			first := reported(t, "06-front-end-a")
			inFront(t, first, func(t *testing.T, b *behind) {
				b.h.Targets[0].Options.Retain = retain
				b.watch.Resync = 6 * time.Hour
				b.watching(t, func() {
					time.Sleep(time.Minute)
					writes := b.vault.Count("PUT", "auth/jwt/config")
					b.next(first[:1:1])
					period := cmp.Or(retain, plan.UnindexedRetain)
					time.Sleep(period)
					assert.Len(t, trustedKeys(t, b.h), 4)
					time.Sleep(period/2 + 10*time.Minute)
					assert.Len(t, trustedKeys(t, b.h), 1)
					assert.Equal(t, writes+2, b.vault.Count("PUT", "auth/jwt/config"), "the beginning and the end")
				})
			})
		})
	}
}

// One write has the beginning, one that it is over, and one the end.
func TestReport06Watched(t *testing.T) {
	first := reported(t, "06-front-end-a")
	inFront(t, first, func(t *testing.T, b *behind) {
		b.watching(t, func() {
			time.Sleep(time.Minute)
			require.Len(t, trustedKeys(t, b.h), 4)
			b.vault.ClearRequests()
			writes := func() int { return b.vault.Count("PUT", "auth/jwt/config") }
			b.next(first[:1:1])
			time.Sleep(50 * time.Minute)
			assert.Equal(t, 1, writes())
			b.next(first) // back for a while: the period is another one then
			time.Sleep(10 * time.Minute)
			assert.Equal(t, 2, writes())
			b.next(first[:1:1])
			time.Sleep(55 * time.Minute)
			assert.Len(t, trustedKeys(t, b.h), 4)
			assert.Equal(t, 3, writes())
			time.Sleep(15 * time.Minute)
			assert.Len(t, trustedKeys(t, b.h), 1)
			assert.Equal(t, 4, writes())
		})
	})
}

func TestRecentSets(t *testing.T) {
	var seen recentSets
	for at, digest := range []byte{1, 1, 2, 2, 1} {
		seen.add([32]byte{digest})
		assert.Equal(t, at == 4, seen.returns)
	}
}

// Leader and follower of a Nomad 1.7.0 have one kid, and a key each. A watch notices that a set was
// there before.
func TestReport07OneKeyIDTwoKeys(t *testing.T) {
	leader, follower := reported(t, "07-leader"), reported(t, "07-follower")
	inFront(t, leader, func(t *testing.T, b *behind) {
		b.indexed = true
		b.next(follower)
		_, err := b.run(time.Now())
		require.ErrorIs(t, err, plan.ErrTurnover)
		require.ErrorContains(t, err, `both sides have kid "9ad3b1a6-7e02-4d1c-b3a2-5f0e9f6c7d10", of different keys`)
		assert.Equal(t, 1, b.asked, "Nomad's answer counts at once")

		b.next(leader)
		var last *MountReport
		b.h.OnEvent = func(e Event) {
			if e.Kind == EventSynced {
				last = e.Report
			}
		}
		b.watching(t, func() {
			synctest.Wait()
			for range 2 {
				b.next(follower)
				time.Sleep(6 * time.Minute)
				b.next(leader)
				time.Sleep(6 * time.Minute)
				synctest.Wait()
				assert.Contains(t, strings.Join(last.Last.Warnings, "\n"), "it went back to a set of keys that it published before")
			}
		})
	})
}

func fingerprintOf(t *testing.T, k jwks.Key) pem.Fingerprint {
	t.Helper()
	f, err := pem.FingerprintOf(k.Public)
	require.NoError(t, err)
	return f
}
