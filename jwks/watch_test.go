package jwks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakeclock"
	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
)

const keysPath = "/.well-known/jwks.json"

// told is what a watch told: the key ids of a set in the order of the document, or "!" and
// the error.
type told struct {
	mu        sync.Mutex
	lines     []string
	results   []Result
	times     []time.Time
	unchanged []Result
}

func (l *told) add(r Result) {
	if r.Unchanged {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.unchanged = append(l.unchanged, r)
		return
	}
	line := strings.Join(keyIDsOrNone(r.Set), " ")
	if r.Err != nil {
		line = "! " + r.Err.Error()
	}
	if r.Region != "" {
		line = r.Region + ": " + line
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.results = append(l.results, r)
	l.times = append(l.times, time.Now())
}

func keyIDsOrNone(set *Set) []string {
	if set == nil {
		return nil
	}
	return keyIDs(set)
}

// take returns the lines since the last call, once everything has come to rest.
func (l *told) take() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func (l *told) confirmed() int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unchanged)
}

// watching runs test beside a watch of s, and ends the watch after it.
func watching(t *testing.T, s Source, o WatchOptions, test func(l *told)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, ended := new(told), make(chan struct{})
	go func() {
		defer close(ended)
		for r := range Watch(ctx, Cluster{Sources: []Source{s}}, o) {
			if r.Region = ""; r.Err != nil {
				r.Err = errors.Unwrap(r.Err)
			}
			l.add(r)
		}
	}()
	defer func() { // also where test fails
		cancelled := time.Now()
		cancel()
		<-ended
		assert.Zero(t, time.Since(cancelled), "a cancelled watch ends at once")
	}()
	test(l)
}

// inBubble runs a test on fake time beside a Nomad inside the process.
func inBubble(t *testing.T, test func(t *testing.T, s *fakenomad.Server, n Nomad), regions ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := fakenomad.NewInProcess(regions...)
		defer s.Close()
		test(t, s, Nomad{Address: s.URL, Client: &Client{HTTPClient: s.Client()}})
	})
}

// runInBubble is inBubble in a test of that name.
func runInBubble(t *testing.T, name string, test func(t *testing.T, s *fakenomad.Server, n Nomad)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inBubble(t, test) })
}

func published(r *fakenomad.Region) string {
	var ids []string
	for _, k := range r.Keys() {
		ids = append(ids, k.ID)
	}
	return strings.Join(ids, " ")
}

func TestWatchNomad(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		region := s.Region("")
		watching(t, n, WatchOptions{}, func(l *told) {
			require.Equal(t, []string{published(region)}, l.take())
			time.Sleep(20 * time.Second)
			changed := time.Now()
			region.Rotate("EdDSA")
			require.Equal(t, []string{published(region)}, l.take())
			assert.Zero(t, time.Since(changed), "at once")

			s.ClearRequests()
			time.Sleep(time.Hour)
			assert.Empty(t, l.take())
			assert.InDelta(t, 80, s.Count("GET", keysPath), 2, "a query every 45 s")
			assert.InDelta(t, 80, l.confirmed(), 2)
			query := s.Requests()[1].RawQuery
			assert.Contains(t, query, "wait=45s")
			assert.Contains(t, query, "index=")
			last := l.unchanged[len(l.unchanged)-1]
			assert.Less(t, time.Since(last.Asked), 48*time.Second)
			assert.Equal(t, region.Index(), last.Set.Index)

			region.Touch() // the index moves, the document doesn't
			assert.Empty(t, l.take())
		})
	})
}

func TestWatchAskedOfAHeldQuery(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var results []Result
		time.AfterFunc(30*time.Second, func() { s.Region("").Rotate("EdDSA") })
		time.AfterFunc(30*time.Second+100*time.Millisecond, func() { s.Region("").Rotate("EdDSA") })
		began := time.Now()
		for r := range Watch(ctx, Cluster{Name: "a", Sources: []Source{n}}, WatchOptions{}) {
			if r.Unchanged {
				continue
			}
			if results = append(results, r); len(results) == 3 {
				break
			}
		}
		assert.Equal(t, began, results[0].Asked)
		assert.Equal(t, began.Add(29*time.Second), results[1].Asked, "as new as its reply, less its way")
		assert.Equal(t, began.Add(30*time.Second), results[2].Asked, "but no older than the question")
	})
}

// Took is the source's own time: none where Nomad held the query.
func TestWatchTook(t *testing.T) {
	const takes = 300 * time.Millisecond
	for name, test := range map[string]struct {
		source    func(n Nomad) Source
		unchanged time.Duration
	}{
		"held":   {func(n Nomad) Source { return n }, 0},
		"polled": {func(n Nomad) Source { return URL(n.Address+keysPath, n.Client) }, takes},
	} {
		runInBubble(t, name, func(t *testing.T, s *fakenomad.Server, n Nomad) {
			s.Inject(fault.On("GET", keysPath, fault.Delay(takes)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(3*time.Minute, func() { s.Region("").Rotate("EdDSA") })
			time.AfterFunc(10*time.Minute, func() {
				s.Inject(fault.On("GET", keysPath, func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
					time.Sleep(takes)
					fault.Status(http.StatusForbidden)(w, r, next)
				}))
			})
			var unchanged, changed []time.Duration
			for r := range Watch(ctx, Cluster{Name: "a", Sources: []Source{test.source(n)}}, WatchOptions{}) {
				if r.Unchanged {
					unchanged = append(unchanged, r.Took)
					continue
				}
				if changed = append(changed, r.Took); r.Err != nil {
					break
				}
			}
			assert.Equal(t, []time.Duration{takes, test.unchanged, takes}, changed)
			assert.NotEmpty(t, unchanged)
			for _, took := range unchanged {
				assert.Equal(t, test.unchanged, took)
			}
		})
	}
}

func TestWatchIndexBackwards(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		region := s.Region("")
		for range 10 {
			region.Touch()
		}
		watching(t, n, WatchOptions{}, func(l *told) {
			require.Len(t, l.take(), 1)
			region.Rebuild() // unseen: the index is behind that of the query
			time.Sleep(48 * time.Second)
			require.Equal(t, []string{published(region)}, l.take())
			region.Rotate("EdDSA")
			require.Equal(t, []string{published(region)}, l.take(), "the lower index is waited on")
			s.ClearRequests()
			time.Sleep(10 * time.Minute)
			assert.InDelta(t, 13, s.Count("GET", keysPath), 2)
		})
	})
}

// A server that answers blocking queries at once is left alone.
func TestWatchFloor(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		document, err := json.Marshal(fields{"keys": []any{s.Region("").Active().JWK()}})
		require.NoError(t, err)
		s.Inject(func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
			w.Header().Set("X-Nomad-Index", "7")
			_, _ = w.Write(document)
		})
		watching(t, n, WatchOptions{}, func(l *told) {
			time.Sleep(100 * time.Second)
			assert.Len(t, l.take(), 1)
			assert.InDelta(t, 110, s.Count("", ""), 2, "ten at once, then one a second")
		})
	})
}

// The floor is under the time that passes, whatever the time of day is said to be.
func TestWatchFloorClockSteps(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": 5 * time.Hour, "back": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			full := time.Now().Add(burst * leastGap)
			f, g := floor{fakeclock.Stepped(full, step)}, floor{fakeclock.Stepped(full.Add(-time.Hour), step)}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			assert.True(t, g.wait(ctx), "a bucket that is full doesn't wait")
			assert.False(t, f.wait(ctx), "one that is empty does")
		})
	}
}

// A query that is cut short says nothing, and a question that isn't held follows.
func TestWatchCutShort(t *testing.T) {
	held := func(f fault.Fault) fault.Fault {
		return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			if r.URL.Query().Has("index") {
				f(w, r, next)
				return
			}
			next(w, r)
		}
	}
	late := func(d time.Duration, f fault.Fault) fault.Fault {
		return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			fault.Delay(d)(w, r, func(w http.ResponseWriter, r *http.Request) { f(w, r, next) })
		}
	}
	for name, test := range map[string]struct {
		fault fault.Fault
		asked int // requests in ten minutes
	}{
		"504 near the wait":  {late(44*time.Second, fault.Status(504)), 28},
		"504 before it":      {late(30*time.Second, fault.Status(504)), 40},
		"connection lost":    {late(40*time.Second, fault.Drop()), 30},
		"no answer":          {fault.Hold(nil), 18},
		"504 at once, ever":  {fault.Status(504), 2 * 17},
		"connection refused": {fault.Drop(), 2 * 17},
	} {
		runInBubble(t, name, func(t *testing.T, s *fakenomad.Server, n Nomad) {
			s.Inject(held(test.fault))
			watching(t, n, WatchOptions{}, func(l *told) {
				time.Sleep(10 * time.Minute)
				assert.Len(t, l.take(), 1, "nothing is told")
				assert.InDelta(t, test.asked, s.Count("", ""), 6)
				assert.GreaterOrEqual(t, l.confirmed(), 7, "and what is there is confirmed")
				s.ClearFaults()
				time.Sleep(2 * time.Minute)
				s.Region("").Rotate("EdDSA")
				assert.Len(t, l.take(), 1)
			})
		})
	}
}

func TestWatchErrorsAreToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		region := s.Region("")
		watching(t, n, WatchOptions{}, func(l *told) {
			require.Len(t, l.take(), 1)
			s.Inject(fault.Status(500, "no leader"))
			region.Touch()
			time.Sleep(time.Hour)
			lines := l.take()
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], "500")
			assert.NotContains(t, lines[0], "index=")
			assert.InDelta(t, 75, s.Count("", ""), 15, "ever less often, to once a minute")

			s.ClearFaults()
			s.Inject(fault.Answer(200, "text/html", "<html>"))
			time.Sleep(time.Hour)
			lines = l.take()
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], "HTML")

			s.ClearFaults()
			time.Sleep(time.Minute)
			require.Equal(t, []string{published(region)}, l.take(), "recovered, though unchanged")
			s.Inject(fault.Status(500, "no leader"))
			region.Touch()
			assert.Len(t, l.take(), 1, "the same error is news again")
			s.ClearFaults()
			time.Sleep(2 * time.Second)
			require.Len(t, l.take(), 1, "after a first error, a second's pause")
		})
	})
}

func TestWatchLocalAddressIsNoNews(t *testing.T) {
	l := new(told)
	w := &watch{tell: func(n news) bool { l.add(Result{Err: n.err}); return true }}
	w.fail(errors.New("GET x: read tcp 127.0.0.1:40001->127.0.0.1:4646: reset"), time.Now(), 0)
	w.fail(errors.New("GET x: read tcp 127.0.0.1:40002->127.0.0.1:4646: reset"), time.Now(), 0)
	w.fail(errors.New("GET x: read tcp 127.0.0.1:40002->127.0.0.2:4646: reset"), time.Now(), 0)
	assert.Len(t, l.lines, 2)
}

func TestWatchRefusedDocument(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		region := s.Region("")
		keys := region.Keys()
		watching(t, n, WatchOptions{}, func(l *told) {
			require.Len(t, l.take(), 1)
			region.Clear()
			lines := l.take()
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], ErrNoKeys.Error())
			require.ErrorIs(t, l.results[1].Err, ErrNoKeys)
			time.Sleep(time.Hour)
			assert.Empty(t, l.take(), "it stays empty")
			region.Add(keys[0])
			require.Equal(t, []string{published(region)}, l.take())
			region.Publish([]byte(`{"keys":[`))
			lines = l.take()
			require.Len(t, lines, 1)
			require.ErrorIs(t, l.results[3].Err, ErrMalformed)
			region.Publish(nil)
			require.Equal(t, []string{published(region)}, l.take(), "as before, and told again after the error")
		})
	})
}

// A document that is refused is asked for again as after any other error, not an interval later.
func TestWatchRefusedIsAskedSoon(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		s.Region("").HideIndex(true)
		s.Region("").Publish([]byte(`{"keys":[]}`))
		watching(t, URL(n.Address+keysPath, n.Client), WatchOptions{}, func(l *told) {
			require.Len(t, l.take(), 1)
			s.Region("").Publish(nil)
			time.Sleep(time.Second)
			require.Equal(t, []string{published(s.Region(""))}, l.take())
			s.Region("").Publish([]byte(`<html>`))
			time.Sleep(61 * time.Minute)
			require.Len(t, l.take(), 1)
			assert.InDelta(t, 70, s.Count("", ""), 12, "ever less often, to once a minute")
		})
	})
}

func TestWatchPolls(t *testing.T) {
	for name, source := range map[string]func(n Nomad) Source{
		"URL":    func(n Nomad) Source { return URL(n.Address+keysPath, n.Client) },
		"issuer": func(n Nomad) Source { return Issuer(n.Address, n.Client) },
		"custom": func(n Nomad) Source { return fakeSource{"", n.Fetch} },
		"Nomad without its index": func(n Nomad) Source {
			return &n
		},
	} {
		runInBubble(t, name, func(t *testing.T, s *fakenomad.Server, n Nomad) {
			region := s.Region("")
			s.SetIssuer(s.URL)
			region.HideIndex(true)
			watching(t, source(n), WatchOptions{}, func(l *told) {
				require.Equal(t, []string{published(region)}, l.take())
				time.Sleep(time.Hour)
				assert.Empty(t, l.take())
				assert.InDelta(t, 60, s.Count("GET", keysPath), 3)
				assert.InDelta(t, 60, l.confirmed(), 3)
				region.Rotate("EdDSA")
				time.Sleep(66 * time.Second)
				require.Equal(t, []string{published(region)}, l.take())
			})
		})
	}
}

func TestWatchFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "jwks.json")
	write := func(content string) { require.NoError(t, os.WriteFile(name, []byte(content), 0o600)) }
	synctest.Test(t, func(t *testing.T) {
		watching(t, File(name), WatchOptions{}, func(l *told) {
			lines := l.take()
			require.Len(t, lines, 1)
			require.ErrorIs(t, l.results[0].Err, os.ErrNotExist)
			write(keySet(rsaMember(0, fields{"kid": "k1"})))
			time.Sleep(time.Minute)
			assert.Equal(t, []string{"k1"}, l.take())
			write(keySet(rsaMember(1, fields{"kid": "k2"}))) // as long, and within a tick of the clock
			time.Sleep(3 * time.Second)
			assert.Equal(t, []string{"k2"}, l.take())
			// The old time and size again: it is the content that counts.
			info, err := os.Stat(name)
			require.NoError(t, err)
			time.Sleep(70 * time.Second)
			write(keySet(rsaMember(0, fields{"kid": "k1"})))
			require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
			time.Sleep(3 * time.Second)
			assert.Equal(t, []string{"k1"}, l.take())
			assert.GreaterOrEqual(t, l.confirmed(), 30)
			require.NoError(t, os.Remove(name))
			time.Sleep(3 * time.Second)
			assert.Len(t, l.take(), 1)
		})
		watching(t, File(t.TempDir()), WatchOptions{}, func(l *told) {
			assert.Contains(t, l.take()[0], "directory")
		})
		watching(t, File(os.DevNull), WatchOptions{}, func(l *told) {
			assert.Contains(t, l.take()[0], "not a regular file")
		})
	})
}

func TestWatchConsumerStops(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakenomad.Server, n Nomad) {
		for range Watch(t.Context(), Cluster{Sources: []Source{n}}, WatchOptions{}) {
			break
		}
		federated := Cluster{Name: "a", Sources: []Source{n}, Federation: &n}
		for range Watch(t.Context(), federated, WatchOptions{}) {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range Watch(ctx, Cluster{Sources: []Source{n}}, WatchOptions{}) {
			t.Error("told after the end")
		}
		for range Watch(ctx, federated, WatchOptions{}) {
			t.Error("told after the end")
		}
	}, "eu", "us")
}

func TestWatchManyChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		region := s.Region("")
		watching(t, n, WatchOptions{}, func(l *told) {
			l.take()
			goroutines := runtime.NumGoroutine()
			for range 50 {
				k := region.Rotate("EdDSA")
				time.Sleep(2 * time.Second)
				region.Remove(k.ID)
				time.Sleep(2 * time.Second)
			}
			assert.Len(t, l.take(), 100)
			assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines+2)
		})
	})
}

// watchingCluster is watching, for a cluster.
func watchingCluster(t *testing.T, c Cluster, o WatchOptions, test func(l *told)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, ended := new(told), make(chan struct{})
	go func() {
		defer close(ended)
		for r := range Watch(ctx, c, o) {
			l.add(r)
		}
	}()
	defer func() {
		cancel()
		<-ended
	}()
	test(l)
}

func TestWatchClusterFederation(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		watchingCluster(t, Cluster{Name: "a", Federation: &n}, WatchOptions{}, func(l *told) {
			lines := l.take()
			require.Len(t, lines, 3)
			assert.ElementsMatch(t, []string{"eu: " + published(s.Region("eu")), "us: " + published(s.Region("us"))}, lines[:2])
			assert.Equal(t, "*: ", lines[2], "the list comes after its regions")

			asia := s.Join("asia")
			time.Sleep(67 * time.Second)
			assert.Equal(t, []string{"asia: " + published(asia)}, l.take())
			asia.Rotate("EdDSA")
			assert.Equal(t, []string{"asia: " + published(asia)}, l.take())

			asia.Down(true)
			time.Sleep(67 * time.Second)
			lines = l.take()
			require.NotEmpty(t, lines)
			last := l.results[len(l.results)-1]
			require.ErrorIs(t, last.Err, ErrRegionGone)
			var cluster *ClusterError
			require.ErrorAs(t, last.Err, &cluster)
			assert.Equal(t, "asia", cluster.Region)
			s.ClearRequests()
			time.Sleep(10 * time.Minute)
			assert.Empty(t, l.take())
			for _, r := range s.Requests() {
				assert.NotContains(t, r.RawQuery, "asia", "its watch has ended")
			}
			asia.Down(false)
			time.Sleep(67 * time.Second)
			assert.Equal(t, []string{"asia: " + published(asia)}, l.take())

			s.Inject(fault.On("GET", "/v1/regions", fault.Status(500)))
			time.Sleep(30 * time.Minute)
			lines = l.take()
			require.Len(t, lines, 1, "told once, and no watch ends")
			assert.Contains(t, lines[0], "*: ! ")
			s.Region("us").Rotate("EdDSA")
			assert.Equal(t, []string{"us: " + published(s.Region("us"))}, l.take())
			s.ClearFaults()
			time.Sleep(time.Minute)
			assert.Equal(t, []string{"*: "}, l.take())
		})
	}, "eu", "us")
}

// A region that is named is watched once, and stays where the list doesn't have it.
func TestWatchClusterNamedRegion(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		named := n
		named.Region = "us"
		watchingCluster(t, Cluster{Name: "a", Sources: []Source{named}, Federation: &n}, WatchOptions{}, func(l *told) {
			require.Len(t, l.take(), 3)
			s.Region("us").Down(true)
			time.Sleep(2 * time.Minute)
			lines := l.take()
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], "No path to region")
			assert.NotErrorIs(t, l.results[3].Err, ErrRegionGone)
		})
	}, "eu", "us")
}

// A cluster of one source isn't merged with anything, and tells the same.
func TestWatchClusterOfOne(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		region := s.Region("")
		watchingCluster(t, Cluster{Name: "a", Sources: []Source{n}}, WatchOptions{}, func(l *told) {
			assert.Equal(t, []string{published(region)}, l.take())
			key := region.Rotate("EdDSA")
			assert.Equal(t, []string{published(region)}, l.take())
			time.Sleep(2 * time.Minute)
			assert.Empty(t, l.take())
			require.Positive(t, l.confirmed())
			assert.Equal(t, "a", l.unchanged[0].Cluster)
			assert.NotNil(t, l.unchanged[0].Set)

			region.Clear()
			assert.Len(t, l.take(), 1)
			last := l.results[len(l.results)-1]
			var failed *ClusterError
			require.ErrorAs(t, last.Err, &failed)
			assert.Equal(t, "a", failed.Cluster)
			require.ErrorIs(t, last.Err, ErrNoKeys)
			region.Add(key)
			time.Sleep(2 * time.Minute)
			assert.Equal(t, []string{published(region)}, l.take())
			for _, r := range l.results {
				assert.Equal(t, "a", r.Cluster)
			}
		})
	})
}
