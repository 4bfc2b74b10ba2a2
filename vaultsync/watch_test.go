package vaultsync

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// stage is two Nomads, a and b, and a Vault with mounts that trust one of them or both.
type stage struct {
	t       *testing.T
	vault   *fakevault.Server
	nomads  map[string]*fakenomad.Server
	harvest *Harvester

	mu        sync.Mutex
	reports   map[string][]*MountReport // by path
	events    []Event
	results   []jwks.Result
	recovered []Event
}

// onStage runs a test on fake time.
func onStage(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{
			t: t, vault: fakevault.NewInProcess(), nomads: map[string]*fakenomad.Server{},
			harvest: &Harvester{}, reports: map[string][]*MountReport{},
		}
		defer s.vault.Close()
		for _, name := range []string{"a", "b"} {
			n := fakenomad.NewInProcess()
			defer n.Close()
			s.nomads[name] = n
			s.harvest.Clusters = append(s.harvest.Clusters, jwks.Cluster{Name: name, Sources: []jwks.Source{s.source(name)}})
		}
		for path, clusters := range map[string][]string{"only-a": {"a"}, "only-b": {"b"}, "both": {"a", "b"}} {
			s.vault.Enable("", path, "jwt")
			s.harvest.Targets = append(s.harvest.Targets, Target{
				Mount: NewMount(s.vault.Client(), path), Clusters: clusters,
				Options: Options{OnEvent: s.event},
			})
		}
		test(t, s)
	})
}

// runOnStage is onStage in a test of that name.
func runOnStage(t *testing.T, name string, test func(t *testing.T, s *stage)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { onStage(t, test) })
}

func (s *stage) source(name string) jwks.Nomad {
	return jwks.Nomad{Address: s.nomads[name].URL, Client: &jwks.Client{HTTPClient: s.nomads[name].Client()}}
}

// event takes down what happened to a mount, its syncs aside.
func (s *stage) event(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind != EventSynced && e.Kind != EventRecovered {
		s.events = append(s.events, e)
	}
}

// options has what a watch says taken down.
func (s *stage) options() WatchOptions {
	s.harvest.OnEvent = func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch e.Kind {
		case EventSynced, EventError:
			s.reports[e.Mount.Path] = append(s.reports[e.Mount.Path], e.Report)
		case EventRead, EventUnread:
			s.results = append(s.results, *e.Result)
		case EventRecovered:
			s.recovered = append(s.recovered, e)
		}
	}
	return WatchOptions{}
}

// watching runs test beside the watch and ends it then.
func (s *stage) watching(o WatchOptions, test func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error)
	go func() { ended <- s.harvest.Watch(ctx, o) }()
	defer func() { // also where test fails
		cancelled := time.Now()
		cancel()
		assert.NoError(s.t, <-ended)
		assert.Zero(s.t, time.Since(cancelled), "a cancelled watch ends at once")
	}()
	synctest.Wait()
	test()
}

// requireTrusted checks that a mount trusts just what these clusters publish.
func (s *stage) requireTrusted(path string, clusters ...string) {
	s.t.Helper()
	synctest.Wait()
	var want []string
	for _, name := range clusters {
		for _, k := range s.nomads[name].Region("").Keys() {
			want = append(want, name+" "+k.ID)
		}
	}
	require.ElementsMatch(s.t, want, s.trusted(path), path)
}

func (s *stage) trusted(path string) []string {
	var out []string
	for _, k := range mountconfig.New(map[string]any{keysField: s.vault.Keys("", path)}).Trusted() {
		out = append(out, strings.TrimSpace(k.Owner.String()+" "+k.KeyID))
	}
	return out
}

func (s *stage) last(path string) *MountReport {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.reports[path]
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

func (s *stage) writes(path string) int { return s.vault.Count("PUT", path+configPath) }
func (s *stage) reads(path string) int  { return s.vault.Count("GET", path+configPath) }

func TestWatchSyncsTheRightMountsAtOnce(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			for path, clusters := range map[string][]string{"only-a": {"a"}, "only-b": {"b"}, "both": {"a", "b"}} {
				s.requireTrusted(path, clusters...)
				assert.Equal(t, 1, s.writes(path), "%s: one sync for all of its clusters", path)
			}
			time.Sleep(2 * time.Minute)
			s.vault.ClearRequests()
			at := time.Now()
			s.nomads["a"].Region("").Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
			s.requireTrusted("both", "a", "b")
			assert.Zero(t, time.Since(at), "at once")
			assert.Zero(t, s.reads("only-b"), "a mount that doesn't trust it isn't looked at")
			assert.Equal(t, 2, s.reads("only-a"), "read, write, read back")
			time.Sleep(2 * time.Second)
			assert.Equal(t, 3, s.reads("only-a"), "and one look after the settle time")
			assert.True(t, s.last("only-a").InSync())
			s.mu.Lock()
			defer s.mu.Unlock()
			assert.Len(t, s.results, 3)
		})
	})
}

func TestWatchSettlesAfterTheLastWrite(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			s.vault.ClearRequests()
			region := s.nomads["a"].Region("")
			for range 5 {
				region.Rotate("EdDSA")
				s.requireTrusted("only-a", "a") // in the settle time of the one before
				time.Sleep(300 * time.Millisecond)
			}
			assert.Equal(t, 5, s.writes("only-a"))
			reads := s.reads("only-a")
			s.vault.SetConfig("", "only-a", map[string]any{keysField: []string{paste("x")}}) // a lost update
			time.Sleep(3 * time.Second)
			assert.Greater(t, s.reads("only-a"), reads)
			s.mu.Lock()
			conflicts := 0
			for _, r := range s.reports["only-a"] {
				conflicts += r.Conflicts
			}
			s.mu.Unlock()
			assert.Equal(t, 1, conflicts)
			assert.Subset(t, s.trusted("only-a"), []string{"a " + region.Active().ID})
		})
	})
}

// A change to a set that makes no write, during the settle time, doesn't cost the look.
func TestWatchLooksAfterASupersededSync(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.harvest.Targets = s.harvest.Targets[:0]
		s.harvest.Targets = append(s.harvest.Targets, Target{Mount: NewMount(s.vault.Client(), "both"), Clusters: []string{"a", "b"}})
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			region := s.nomads["a"].Region("")
			region.Rotate("EdDSA")
			synctest.Wait()
			time.Sleep(500 * time.Millisecond)
			region.Publish(document(t, region, `"note": 1`)) // another body, the same keys
			synctest.Wait()
			s.vault.SetConfig("", "both", map[string]any{keysField: []string{paste("x")}})
			time.Sleep(2 * time.Second)
			assert.Subset(t, s.trusted("both"), []string{"a " + region.Active().ID})
		})
	})
}

// document is what a region publishes, with another member.
func document(t *testing.T, r *fakenomad.Region, member string) []byte {
	t.Helper()
	var keys []string
	for _, k := range r.Keys() {
		jwk := k.JWK()
		text, err := jwk.MarshalJSON()
		require.NoError(t, err)
		keys = append(keys, string(text))
	}
	return []byte(`{"keys":[` + strings.Join(keys, ",") + `],` + member + `}`)
}

func TestWatchCoalesces(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			s.vault.ClearRequests()
			s.vault.Inject(fault.On("PUT", "only-a"+configPath, fault.Times(1, fault.Delay(400*time.Millisecond))))
			region := s.nomads["a"].Region("")
			for range 5 {
				region.Rotate("EdDSA")
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond)
			s.requireTrusted("only-a", "a")
			assert.Equal(t, 2, s.writes("only-a"), "the four changes during the first write are one more")
		})
	})
}

func TestWatchVaultAway(t *testing.T) {
	inject := func(f fault.Fault) func(*fakevault.Server) {
		return func(v *fakevault.Server) { v.Inject(f) }
	}
	for name, test := range map[string]struct {
		away, back func(v *fakevault.Server)
		err        error
	}{
		"sealed":      {(*fakevault.Server).Seal, (*fakevault.Server).Unseal, ErrSealed},
		"refusing":    {inject(fault.Status(http.StatusForbidden, "permission denied")), (*fakevault.Server).ClearFaults, ErrForbidden},
		"gone":        {inject(fault.Drop()), (*fakevault.Server).ClearFaults, fault.ErrDropped},
		"limited":     {inject(fault.Status(http.StatusTooManyRequests, "rate limit")), (*fakevault.Server).ClearFaults, nil},
		"500":         {inject(fault.Status(http.StatusInternalServerError)), (*fakevault.Server).ClearFaults, nil},
		"503":         {inject(fault.Status(http.StatusServiceUnavailable)), (*fakevault.Server).ClearFaults, nil},
		"HTML":        {inject(fault.Answer(http.StatusOK, "text/html", "<html>")), (*fakevault.Server).ClearFaults, nil},
		"half a body": {inject(fault.Answer(http.StatusOK, "application/json", `{"data":{`)), (*fakevault.Server).ClearFaults, nil},
		"no data":     {inject(fault.Answer(http.StatusOK, "application/json", `{}`)), (*fakevault.Server).ClearFaults, nil},
		"a 404":       {inject(fault.Answer(http.StatusNotFound, "text/html", "not found")), (*fakevault.Server).ClearFaults, nil},
	} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			s.watching(s.options(), func() {
				time.Sleep(time.Minute)
				before := s.trusted("both")
				test.away(s.vault)
				s.vault.ClearRequests()
				s.nomads["a"].Region("").Rotate("EdDSA")
				time.Sleep(time.Hour)
				require.Error(t, s.last("both").Err)
				if test.err != nil {
					require.ErrorIs(t, s.last("both").Err, test.err)
				}
				assert.InDelta(t, 70, s.reads("both"), 15, "ever less often, to once a minute")
				assert.Equal(t, before, s.trusted("both"))
				test.back(s.vault)
				time.Sleep(61 * time.Second)
				s.requireTrusted("both", "a", "b")
				s.requireTrusted("only-b", "b")
				assert.NoError(t, s.last("only-a").Err)
			})
		})
	}
}

// Where Vault is back, a change doesn't wait for the pause to end.
func TestWatchChangeEndsAPause(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			s.vault.Seal()
			s.nomads["a"].Region("").Rotate("EdDSA")
			time.Sleep(10*time.Minute + 30*time.Second)
			for before := s.reads("only-a"); s.reads("only-a") == before; {
				time.Sleep(time.Second)
			}
			time.Sleep(2 * time.Second) // of 45 and more
			s.vault.Unseal()
			s.nomads["a"].Region("").Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
		})
	})
}

// Changes that come fast are no reason to ask a Vault that doesn't answer as fast.
func TestWatchChangesDuringAPause(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			s.vault.Seal()
			s.vault.ClearRequests()
			for range 100 {
				s.nomads["a"].Region("").Rotate("EdDSA")
				time.Sleep(100 * time.Millisecond)
			}
			assert.InDelta(t, 10*time.Second/leastRetry, s.reads("only-a"), 3)
		})
	})
}

// A cluster that fails in ever new words is no reason to ask a Vault that doesn't answer.
func TestWatchFailuresDoNotEndAPause(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		flap := func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
			http.Error(w, time.Now().String(), http.StatusInternalServerError)
		}
		s.watching(s.options(), func() {
			s.vault.Seal()
			s.nomads["a"].Region("").Touch()
			s.nomads["a"].Inject(flap)
			s.nomads["a"].Region("").Touch()
			time.Sleep(6 * time.Minute)
			s.vault.ClearRequests()
			time.Sleep(time.Hour)
			assert.InDelta(t, 69, s.reads("only-a"), 12)
			s.mu.Lock()
			defer s.mu.Unlock()
			assert.Greater(t, len(s.results), 50)
		})
	})
}

func TestWatchResyncHealsDrift(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			s.vault.SetConfig("", "both", map[string]any{keysField: []string{paste("x")}})
			time.Sleep(5*time.Minute + 30*time.Second)
			assert.Len(t, s.trusted("both"), 3)
			s.vault.ClearRequests()
			time.Sleep(time.Hour)
			assert.InDelta(t, 12, s.reads("both"), 2, "a read every five minutes")
			assert.Zero(t, s.writes("both"))
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			assert.Greater(t, len(s.reports["only-a"]), 11, "each is reported")
		})
	})
}

func TestWatchRemovesAKeyOfAMoment(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(10 * time.Second)
			region := s.nomads["a"].Region("")
			k := region.Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
			time.Sleep(100 * time.Millisecond)
			region.Remove(k.ID)
			synctest.Wait()
			assert.Contains(t, s.trusted("only-a"), "a "+k.ID, "added since it was asked, for all that is known")
			time.Sleep(50 * time.Second)
			s.requireTrusted("only-a", "a")
		})
	})
}

func TestWatchSourcesFail(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(10 * time.Second)
			before := s.trusted("both")
			region := s.nomads["a"].Region("")
			keys := region.Keys()
			region.Clear()
			synctest.Wait()
			require.False(t, s.last("both").InSync())
			require.Len(t, s.last("both").Plan.Failed, 1)
			require.ErrorIs(t, s.last("both").Plan.Failed[0].Err, jwks.ErrNoKeys)
			time.Sleep(time.Hour)
			assert.Equal(t, before, s.trusted("both"), "an empty set removes nothing")
			s.nomads["b"].Region("").Rotate("EdDSA")
			synctest.Wait()
			assert.Len(t, s.trusted("both"), 3, "and keeps nobody else waiting")
			region.Add(keys[0])
			s.requireTrusted("both", "a", "b")
			require.True(t, s.last("only-a").InSync())

			region.Rebuild() // other keys, and an index that starts over
			time.Sleep(time.Minute)
			synctest.Wait()
			require.ErrorIs(t, s.last("only-a").Plan.Failed[0].Err, plan.ErrTurnover)
			assert.Equal(t, []string{"a " + keys[0].ID}, s.trusted("only-a"))
		})
	})
}

// A turnover that somebody allows elsewhere is seen soon, though nothing changes and a resync is
// far.
func TestWatchSeesSoonThatATurnoverWasAllowed(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(10 * time.Second)
			s.nomads["a"].Region("").Rebuild()
			time.Sleep(2 * time.Minute)
			require.ErrorIs(t, s.last("only-a").Plan.Failed[0].Err, plan.ErrTurnover)

			allowed := s.harvest.Targets[slices.IndexFunc(s.harvest.Targets, func(t Target) bool { return t.Mount.Path == "only-a" })]
			allowed.Options.AllowTurnover = []string{"a"}
			_, err := (&Harvester{Clusters: s.harvest.Clusters, Targets: []Target{allowed}}).Sync(t.Context())
			require.NoError(t, err)
			s.vault.ClearRequests()
			time.Sleep(10 * time.Second)
			assert.True(t, s.last("only-a").InSync())
			time.Sleep(time.Minute)
			assert.Equal(t, 1, s.reads("only-a"), "and not looked at so often from then on")
		})
	})
}

// Whatever a cluster answers instead of its keys: it is told, nothing is removed, the other
// cluster is kept in sync, and the watch recovers by itself.
func TestWatchSourceFaults(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"500":           fault.Answer(http.StatusInternalServerError, "text/plain", "No cluster leader"),
		"HTML":          fault.Answer(http.StatusOK, "text/html", "<html>maintenance"),
		"half a body":   fault.Answer(http.StatusOK, "application/json", `{"keys":[{"kty":"RSA","n":"`),
		"nothing":       fault.Drop(),
		"a silence":     fault.Hold(nil),
		"an empty set":  fault.Answer(http.StatusOK, "application/json", `{"keys":[]}`),
		"502":           fault.Answer(http.StatusBadGateway, "text/plain", "restoring"),
		"a private key": fault.Answer(http.StatusOK, "application/json", `{"keys":[{"kty":"oct","k":"AAAA"}]}`),
	} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			s.watching(s.options(), func() {
				time.Sleep(time.Minute)
				before := s.trusted("only-a")
				s.nomads["a"].Inject(f)
				s.nomads["a"].Region("").Rotate("EdDSA") // ends the query that is held
				s.nomads["b"].Region("").Rotate("EdDSA")
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				require.Len(t, s.last("only-a").Plan.Failed, 1)
				assert.Subset(t, s.trusted("only-a"), before, "nothing is removed")
				s.requireTrusted("only-b", "b")
				s.nomads["a"].ClearFaults()
				time.Sleep(3 * time.Minute)
				s.requireTrusted("only-a", "a")
				s.requireTrusted("both", "a", "b")
				assert.True(t, s.last("only-a").InSync())
			})
		})
	}
}

// A snapshot is restored: its set is taken over once the query that is held ends, and from
// then on changes are trusted at once, on the lower index.
func TestWatchRestored(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			region := s.nomads["a"].Region("")
			index, keys := region.Index(), region.Keys()
			time.Sleep(10 * time.Second)
			region.Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
			time.Sleep(10 * time.Second)
			region.Restore(index, keys...)
			synctest.Wait()
			assert.Len(t, s.trusted("only-a"), 2, "nothing is known of it yet")
			time.Sleep(48 * time.Second)
			s.requireTrusted("only-a", "a")
			assert.True(t, s.last("only-a").InSync())
			region.Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
		})
	})
}

func TestWatchSilentCluster(t *testing.T) {
	for name, deny := range map[string][]pem.Fingerprint{"none denied": nil, "a key denied that isn't trusted": {fingerprint("k9")}} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			s.target("both").Options.Deny = deny
			require.NoError(t, s.vault.WriteConfig("", "both", map[string]any{keysField: []string{trust("b", "old")}}))
			s.nomads["b"].Inject(fault.Hold(nil))
			s.watching(s.options(), func() {
				time.Sleep(9 * time.Second)
				assert.Equal(t, len(deny), s.reads("both"), "waits for b")
				s.requireTrusted("only-a", "a")
				time.Sleep(3 * time.Second)
				assert.Len(t, s.trusted("both"), 2, "no longer, and b's key stays")
				require.ErrorIs(t, s.last("both").Plan.Failed[0].Err, errSilent)
				time.Sleep(15 * time.Second)
				require.ErrorIs(t, s.last("both").Plan.Failed[0].Err, context.DeadlineExceeded)
				require.NotErrorIs(t, s.last("both").Plan.Failed[0].Err, errSilent)
			})
		})
	}
}

// A denied key goes before anybody was heard of; other keys stay meanwhile.
func TestWatchDeniesAtOnce(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() { s.requireTrusted("both", "a", "b") })
		denied, err := pem.FingerprintOf(s.nomads["b"].Region("").Active().Public())
		require.NoError(t, err)
		for i := range s.harvest.Targets {
			s.harvest.Targets[i].Options.Deny = []pem.Fingerprint{denied}
		}
		never := make(chan struct{})
		defer close(never)
		for _, n := range s.nomads {
			n.Inject(fault.Hold(never))
		}
		began := time.Now()
		s.watching(s.options(), func() {
			s.requireTrusted("both", "a")
			assert.Len(t, s.trusted("only-b"), 1, "the last key waits for -allow-empty")
			assert.Zero(t, time.Since(began))
			time.Sleep(2 * time.Second)
			require.NotNil(t, s.last("both"))
			assert.Len(t, s.last("both").Plan.Failed, 2, "a keeps its key, though it wasn't heard of")
		})
	})
}

func TestWatchFederation(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		n := fakenomad.NewInProcess("eu", "us")
		defer n.Close()
		agent := jwks.Nomad{Address: n.URL, Client: &jwks.Client{HTTPClient: n.Client()}}
		s.vault.Enable("", "jwt-nomad", "jwt")
		s.harvest = &Harvester{
			Clusters: []jwks.Cluster{{Name: "f", Federation: &agent}},
			Targets:  []Target{{Mount: NewMount(s.vault.Client(), "jwt-nomad"), Clusters: []string{"f"}}},
		}
		s.watching(s.options(), func() {
			require.Len(t, s.trusted("jwt-nomad"), 2)
			assert.Equal(t, 1, s.writes("jwt-nomad"), "one sync for all regions")
			asia := n.Join("asia")
			time.Sleep(67 * time.Second)
			synctest.Wait()
			require.Len(t, s.trusted("jwt-nomad"), 3)
			require.True(t, s.last("jwt-nomad").InSync())
			asia.Down(true)
			time.Sleep(30 * time.Minute)
			synctest.Wait()
			require.Len(t, s.trusted("jwt-nomad"), 3, "gone is failed, not removed")
			require.ErrorIs(t, s.last("jwt-nomad").Plan.Failed[0].Err, plan.ErrNotRead)
			n.Region("eu").Rotate("EdDSA")
			synctest.Wait()
			require.Len(t, s.trusted("jwt-nomad"), 4)
			asia.Down(false)
			time.Sleep(67 * time.Second)
			require.True(t, s.last("jwt-nomad").InSync())
		})
	})
}

// One slot for all mounts, and a settle time that doesn't hold it.
func TestWatchParallelDoesNotCountTheSettleTime(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.harvest.Parallel = 1
		s.watching(s.options(), func() {
			s.requireTrusted("only-a", "a")
			s.requireTrusted("only-b", "b")
			s.requireTrusted("both", "a", "b")
		})
	})
}

// A Vault that doesn't answer costs the mounts of another nothing.
func TestWatchVaultHangs(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		other := fakevault.NewInProcess()
		defer other.Close()
		other.URL = "http://other"
		other.Inject(fault.Hold(nil))
		s.harvest.Parallel = 1
		s.harvest.Targets = append([]Target{{Mount: NewMount(other.Client(), "both"), Clusters: []string{"a"}}}, s.harvest.Targets...)
		s.watching(s.options(), func() {
			s.requireTrusted("only-a", "a")
			time.Sleep(2 * time.Hour)
			s.nomads["a"].Region("").Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
		})
	})
}

func TestWatchEndsDuringEverything(t *testing.T) {
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond, time.Second, 3 * time.Second} {
		onStage(t, func(t *testing.T, s *stage) {
			s.vault.Inject(fault.Delay(100 * time.Millisecond))
			s.watching(s.options(), func() { time.Sleep(after) })
			for _, list := range s.reports {
				for _, r := range list {
					assert.NoError(t, r.Err, "the end is no error")
				}
			}
			assert.Empty(t, s.failures())
		})
	}
}

func (s *stage) failures() []Event {
	var out []Event
	for _, e := range s.events {
		if e.Kind == EventError {
			out = append(out, e)
		}
	}
	return out
}
