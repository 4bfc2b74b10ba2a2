package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const configPath = "/config"

// inBubble runs a test on fake time against a Vault inside the process, with the mount
// jwt-nomad enabled.
func inBubble(t *testing.T, test func(t *testing.T, v *fakevault.Server, m *Mount)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := fakevault.NewInProcess()
		defer v.Close()
		v.Enable("", "jwt-nomad", "jwt")
		test(t, v, NewMount(v.Client(), "auth/jwt-nomad/"))
	})
}

// runInBubble is inBubble in a test of that name.
func runInBubble(t *testing.T, name string, test func(t *testing.T, v *fakevault.Server, m *Mount)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inBubble(t, test) })
}

// synced syncs without an error.
func synced(t *testing.T, m *Mount, want plan.Desired, o Options) *MountReport {
	t.Helper()
	report, err := m.Sync(t.Context(), want, o)
	require.NoError(t, err)
	return report
}

func desired(results ...jwks.Result) plan.Desired {
	d := plan.Desired{Results: results}
	for _, r := range results {
		d.Clusters = append(d.Clusters, r.Cluster)
	}
	return d
}

// trustedNames returns owner and kid of what a mount trusts, in the order of the list.
func trustedNames(v *fakevault.Server) []string {
	var out []string
	for _, k := range mountconfig.New(map[string]any{keysField: v.Keys("", "jwt-nomad")}).Trusted() {
		out = append(out, strings.TrimSpace(k.Owner.String()+" "+k.KeyID))
	}
	return out
}

func TestSyncFirstAndSteady(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		var events []string
		o := Options{OnEvent: func(e Event) { events = append(events, string(e.Kind)+" "+e.Key.KeyID) }}
		report := synced(t, m, desired(publish("a", "k1", "k2")), o)
		assert.Equal(t, 1, report.Written)
		assert.Zero(t, report.Conflicts)
		assert.True(t, report.InSync())
		assert.ElementsMatch(t, []string{"a k1", "a k2"}, trustedNames(v))
		assert.ElementsMatch(t, []string{"added k1", "added k2", "synced "}, events)
		assert.Empty(t, v.Config("", "jwt-nomad")[algsField])

		v.ClearRequests()
		report = synced(t, m, desired(publish("a", "k2", "k1")), Options{})
		assert.False(t, report.Plan.Changed)
		assert.Equal(t, 1, v.Count("GET", configPath), "a sync in steady state reads once")
		assert.Len(t, v.Requests(), 1, "and does nothing else")
	})
}

func TestSyncKeepsOtherFields(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{
			keysField: []string{paste("x")}, "default_role": "nomad-workloads", "bound_issuer": "https://nomad.example.com",
			algsField: []string{"RS256", "EdDSA"},
		}))
		before := v.Config("", "jwt-nomad")
		synced(t, m, desired(publish("a", "k1")), Options{})
		after := v.Config("", "jwt-nomad")
		delete(before, keysField)
		delete(after, keysField)
		assert.Equal(t, before, after)
		assert.Equal(t, []string{"a k1", ""}, trustedNames(v))
	})
}

// An unsynced mount is never a nil error, and its kinds are what errors.As finds.
func TestSyncOfATurnoverIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		assert.True(t, synced(t, m, desired(publish("a", "k1")), Options{}).InSync())
		report, err := m.Sync(t.Context(), desired(publish("a", "k2")), Options{})
		require.ErrorIs(t, err, plan.ErrTurnover)
		var cluster *jwks.ClusterError
		require.ErrorAs(t, err, &cluster)
		assert.Equal(t, "a", cluster.Cluster)
		require.ErrorAs(t, err, new(*plan.TurnoverError))
		require.NoError(t, report.Err, "it is none of the mount's")
		assert.False(t, report.InSync())
		assert.Equal(t, []string{"a k1"}, trustedNames(v))
		_, err = m.Plan(t.Context(), desired(publish("a", "k2")), Options{})
		require.ErrorIs(t, err, plan.ErrTurnover)
	})
}

// Another writer's change between our write and our look at it, once or for ever.
func TestSyncLostUpdate(t *testing.T) {
	overwrite := func(v *fakevault.Server) func() {
		return func() {
			if err := v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("z", "x")}}); err != nil {
				panic(err)
			}
		}
	}
	for name, read := range map[string]int64{"before the read back": 1, "before the second look": 2} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			overwrite(v)()
			v.Inject(fault.On("GET", configPath, fault.Between(read, read+1, fault.First(overwrite(v)))))
			report := synced(t, m, desired(publish("a", "k1")), Options{})
			assert.Equal(t, 2, report.Written)
			assert.Equal(t, 1, report.Conflicts)
			assert.ElementsMatch(t, []string{"a k1", "z x"}, trustedNames(v))
		})
	}
	runInBubble(t, "after the look, and after the next write", func(t *testing.T, v *fakevault.Server, m *Mount) {
		removed := 0
		putBack := func() {
			v.SetConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("a", "k1"), trust("z", "k9")}})
		}
		putBack()
		o := Options{Deny: []pem.Fingerprint{fingerprint("k9")}, OnEvent: func(e Event) {
			if e.Kind != EventRemoved {
				return
			}
			if removed++; removed < 3 {
				time.AfterFunc(defaultSettle/2, putBack)
			}
		}}
		report := synced(t, m, desired(publish("a", "k1")), o)
		assert.Equal(t, 3, report.Written, "a list that was looked at before isn't looked at by that")
		assert.Equal(t, 2, report.Conflicts)
		assert.Equal(t, []string{"a k1"}, trustedNames(v))
	})
	runInBubble(t, "for ever", func(t *testing.T, v *fakevault.Server, m *Mount) {
		overwrite(v)()
		v.Inject(fault.On("GET", configPath, fault.Between(1, 99, fault.First(overwrite(v)))))
		start := time.Now()
		report, err := m.Sync(t.Context(), desired(publish("a", "k1")), Options{Writes: 4})
		require.ErrorIs(t, err, ErrConflict)
		require.ErrorContains(t, err, "jwt-nomad")
		assert.Equal(t, 4, report.Written)
		assert.Greater(t, time.Since(start), time.Second/4, "never in a tight loop")
	})
}

// On a mount that never stands still a sync looks five times after its last write.
func TestSyncNeverStill(t *testing.T) {
	for name, test := range map[string]struct {
		undone map[int]bool // before these reads
		reads  int
	}{
		"always there":   {nil, 1 + 1 + mostLooks},
		"undone at last": {map[int]bool{1 + mostLooks: true, 3 + mostLooks: true}, 1 + mostLooks + 1 + 2 + 1 + mostLooks},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			reads := 0
			v.Inject(fault.On("GET", configPath, fault.First(func() {
				elements := append(v.Keys("", "jwt-nomad"), trust("z", fmt.Sprint("x", reads)))
				if test.undone[reads] {
					elements = elements[len(elements)-1:]
				}
				v.SetConfig("", "jwt-nomad", map[string]any{keysField: elements})
				reads++
			})))
			report := synced(t, m, desired(publish("a", "k1")), Options{})
			assert.Equal(t, len(test.undone), report.Conflicts)
			assert.Equal(t, test.reads, reads)
			assert.Contains(t, trustedNames(v), "a k1")
		})
	}
}

// Each write has its time, one that fails too, and nothing else is in it.
func TestSyncWriteTimes(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Inject(fault.On("PUT", configPath, fault.Times(1, fault.Status(http.StatusServiceUnavailable))))
		v.Inject(fault.On("PUT", configPath, fault.Times(1, fault.Delay(200*time.Millisecond))))
		v.Inject(fault.On("PUT", configPath, fault.Delay(time.Second)))
		v.Inject(fault.On("GET", configPath, fault.Delay(100*time.Millisecond)))
		report := synced(t, m, desired(publish("a", "k1")), Options{})
		assert.Equal(t, []time.Duration{1200 * time.Millisecond, time.Second}, report.WriteTimes)
		assert.Equal(t, len(report.WriteTimes), report.Written)

		report = synced(t, m, desired(publish("a", "k1")), Options{})
		assert.Empty(t, report.WriteTimes)
	})
}

// The answer of a write is lost, and then another writer undoes it within the settle time.
func TestSyncLostAnswerAndLostUpdate(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Inject(fault.On("PUT", configPath, fault.Times(1, fault.DropAfter())))
		time.AfterFunc(defaultSettle/3, func() {
			if err := v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("z", "x")}}); err != nil {
				panic(err)
			}
		})
		report := synced(t, m, desired(publish("a", "k1")), Options{})
		assert.Equal(t, 2, report.Written)
		assert.Equal(t, 1, report.Conflicts, "the read after it showed the write")
		assert.ElementsMatch(t, []string{"a k1", "z x"}, trustedNames(v))
	})
}

// An answer that was long on its way is as old as the question.
func TestSyncSlowRead(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Inject(fault.On("GET", configPath, fault.Times(1, fault.Then(func() {
			time.Sleep(5 * time.Second)
			if err := v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("z", "x")}}); err != nil {
				panic(err)
			}
		}))))
		report := synced(t, m, desired(publish("a", "k1")), Options{})
		assert.Equal(t, 1, report.Written)
		assert.Zero(t, report.Conflicts)
		assert.ElementsMatch(t, []string{"a k1", "z x"}, trustedNames(v))
	})
}

// A write that stands on an old read would undo what came between.
func TestSyncStaleRead(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("z", "x")}}))
		stalled := false
		o := Options{OnEvent: func(e Event) {
			if e.Kind == EventFailed && !stalled { // between read and write
				stalled = true
				time.Sleep(2 * time.Second)
				if err := v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("z", "x"), trust("z", "y")}}); err != nil {
					panic(err)
				}
			}
		}}
		report, err := m.Sync(t.Context(), desired(publish("a", "k1"), down("b")), o)
		require.ErrorContains(t, err, `cluster "b"`)
		require.NoError(t, report.Err)
		assert.True(t, stalled)
		assert.Equal(t, 1, report.Written)
		assert.ElementsMatch(t, []string{"a k1", "z x", "z y"}, trustedNames(v))
	})
}

func TestSyncWriteFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault    fault.Fault
		requests int // writes that reach Vault
		is       error
		says     string
	}{
		"answer lost":        {fault.Times(1, fault.DropAfter()), 1, nil, ""},
		"connection dropped": {fault.Times(2, fault.Drop()), 3, nil, ""},
		"503 twice":          {fault.Times(2, fault.Status(503, "overloaded")), 3, nil, ""},
		"429 once":           {fault.Times(1, fault.Status(429, "request path quota")), 2, nil, ""},
		"412 once":           {fault.Times(1, fault.Status(412, "required index state not present")), 2, nil, ""},
		"503 for ever":       {fault.Status(503, "overloaded"), 3, nil, "Vault failed with status 503: overloaded"},
		"sealed meanwhile":   {fault.Status(503, "Vault is sealed"), 3, ErrSealed, "unseal"},
		"403":                {fault.Status(403, "permission denied"), 1, ErrForbidden, `"update" on auth/jwt-nomad/config`},
		"400":                {fault.Status(400, "bad PEM\x1b[2J"), 1, nil, "Vault refused the request: bad PEM [2J"},
		"too large":          {fault.Status(500, "put failed due to value being too large, max value size for key is 1048576, got 1048577"), 1, ErrTooLarge, "fewer clusters"},
		"held back":          {fault.Answer(200, "application/json", `{"wrap_info":{"token":"t","ttl":9}}`), 1, vaultapi.ErrHeld, "control group"},
		"hangs":              {fault.Hold(nil), 3, nil, "can't be reached"},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			m.Client.SetMaxRetries(2) // must not hold for writes
			require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("z", "k9")}}))
			v.Inject(fault.On("PUT", configPath, test.fault))
			var told []string
			var log record
			o := Options{Writes: 3, Logger: log.logger(), Deny: []pem.Fingerprint{fingerprint("k9")}, OnEvent: func(e Event) {
				if e.Key.KeyID != "" {
					told = append(told, string(e.Kind)+" "+e.Key.KeyID)
				}
			}}
			report, err := m.Sync(t.Context(), desired(publish("a", "k1")), o)
			if test.says == "" {
				require.NoError(t, err)
				assert.Equal(t, []string{"a k1"}, trustedNames(v))
				assert.Equal(t, []string{"added k1", "removed k9"}, told, "a write whose answer was lost is made known, once")
			} else {
				require.ErrorContains(t, err, test.says)
				require.ErrorContains(t, err, "jwt-nomad")
				assert.Equal(t, []string{"z k9"}, trustedNames(v))
			}
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			assert.Equal(t, test.requests, v.Count("PUT", configPath))
			assert.Equal(t, test.requests-1, strings.Count(log.String(), "trying again"))
			if errors.Is(test.is, ErrForbidden) || errors.Is(test.is, vaultapi.ErrHeld) {
				test.requests--
			}
			assert.Equal(t, test.requests, report.Written, "each write is sent once, and one that is refused is none")
		})
	}
}

func TestReadErrors(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(v *fakevault.Server, m *Mount)
		is      error
		says    string
	}{
		"no mount":    {func(_ *fakevault.Server, m *Mount) { m.Path = "jwt-other" }, ErrNoMount, "vault auth enable -path=jwt-other jwt"},
		"other type":  {func(v *fakevault.Server, _ *Mount) { v.Enable("", "jwt-nomad", "approle") }, ErrNoMount, "no JWT auth method"},
		"sealed":      {func(v *fakevault.Server, _ *Mount) { v.Seal() }, ErrSealed, "unseal"},
		"no token":    {func(_ *fakevault.Server, m *Mount) { m.Client.ClearToken() }, ErrForbidden, "no token was sent"},
		"wrong token": {func(_ *fakevault.Server, m *Mount) { m.Client.SetToken("nonsense") }, ErrForbidden, "Vault knows no such token"},
		"no such namespace": {func(_ *fakevault.Server, m *Mount) {
			m.Namespace = "team-a"
			m.Client.SetToken("nonsense")
		}, ErrForbidden, "in namespace team-a"},
		"412 for ever": {func(v *fakevault.Server, _ *Mount) { v.Inject(fault.Status(412, "state")) }, nil, "hasn't caught up"},
		"429 for ever": {func(v *fakevault.Server, _ *Mount) { v.Inject(fault.Status(429, "quota")) }, nil, "limits the rate"},
		"500 for ever": {func(v *fakevault.Server, _ *Mount) { v.Inject(fault.Status(500, "oops")) }, nil, "status 500: oops"},
		"unreachable":  {func(v *fakevault.Server, _ *Mount) { v.Inject(fault.Drop()) }, nil, "can't be reached"},
		"not a Vault": {func(v *fakevault.Server, _ *Mount) {
			v.Inject(fault.Answer(200, "text/html", "<html>welcome"))
		}, nil, "can't be read"},
		"empty object": {func(v *fakevault.Server, _ *Mount) { v.Inject(fault.Answer(200, "application/json", "{}")) }, nil, "is this a Vault"},
		"404 that isn't Vault's": {func(v *fakevault.Server, _ *Mount) {
			v.Inject(fault.Answer(404, "text/html", "<html>not found"))
		}, nil, "status 404 isn't Vault's"},
		"404 of a proxy in between": {func(v *fakevault.Server, _ *Mount) {
			v.Inject(fault.Answer(404, "application/json", `{"message":"no Route matched with those values"}`))
		}, nil, "status 404 isn't Vault's"},
		"bad path": {func(_ *fakevault.Server, m *Mount) { m.Path = "../sys" }, nil, "mount path"},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			test.prepare(v, m)
			_, err := m.Read(t.Context())
			var mount *MountError
			require.ErrorAs(t, err, &mount)
			assert.Equal(t, m.Path, mount.Path)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			require.ErrorContains(t, err, test.says)
			_, err = m.Sync(t.Context(), desired(publish("a", "k1")), Options{})
			require.Error(t, err)
			assert.Zero(t, v.Count("PUT", ""), "what can't be read isn't written")
		})
	}
}

func TestReadRetries(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		m.Client.SetMaxRetries(2)
		v.Inject(fault.On("GET", configPath, fault.Times(2, fault.Status(503, "busy"))))
		synced(t, m, desired(publish("a", "k1")), Options{})
	})
}

// What Vault says isn't lost because time runs out while waiting to ask again.
func TestReadRetriesEndInTime(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"busy": fault.Status(429, "rate limit quota exceeded"),
		"retry after": func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			w.Header().Set("Retry-After", "3600")
			fault.Status(429, "rate limit quota exceeded")(w, r, next)
		},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			m.Client.SetMaxRetries(2)
			m.Client.SetBackoff(api.DefaultConfig().Backoff)
			limit := 3 * time.Second
			if name == "retry after" {
				limit = 2 * time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			v.Inject(fault.On("GET", configPath, f))
			_, err := m.Sync(ctx, desired(publish("a", "k1")), Options{})
			require.ErrorContains(t, err, "Vault limits the rate of requests (429)")
			assert.Equal(t, 1, v.Count("GET", configPath))
		})
	}
}

// Where Vault has replicas, what was written must not be looked for on one that lags.
func TestReadYourWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Inject(fault.On("PUT", configPath, func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			w.Header().Set("X-Vault-Index", "djE6Y2x1c3RlcjoxOjA6bWFj") // v1:cluster:1:0:mac
			next(w, r)
		}))
		synced(t, m, desired(publish("a", "k1")), Options{})
		written := false
		for _, r := range v.Requests() {
			assert.Equal(t, written, r.Method == "GET" && r.Header.Get("X-Vault-Index") != "", r.String())
			written = written || r.Method == "PUT" && strings.HasSuffix(r.Path, configPath)
		}
	})
}

func TestSyncEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := m.Sync(ctx, desired(publish("a", "k1")), Options{Settle: time.Hour})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"a k1"}, trustedNames(v), "what was written stays")
	})
}

// silentSource never answers.
type silentSource struct{}

func (silentSource) RegionName() string { return "" }

func (silentSource) Fetch(ctx context.Context) (*jwks.Set, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// However short the time is, a silent cluster leaves enough of it for the others' keys.
func TestSilentClusterLeavesTime(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		h := &Harvester{
			Clusters: []jwks.Cluster{
				{Name: "a", Sources: []jwks.Source{&countingSource{result: publish("a", "k1")}}},
				{Name: "b", Sources: []jwks.Source{silentSource{}}},
			},
			Targets: []Target{{Mount: m, Clusters: []string{"a", "b"}}},
		}
		require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("b", "k2")}}))
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		report, err := h.Sync(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var cluster *jwks.ClusterError
		require.ErrorAs(t, err, &cluster)
		assert.Equal(t, "b", cluster.Cluster)
		assert.NoError(t, report.Mounts[0].Err)
		assert.ElementsMatch(t, []string{"a k1", "b k2"}, trustedNames(v))
		assert.NoError(t, ctx.Err())
	})
}

func TestMountUsesItsNamespaceAndToken(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		v.Enable("team-a", "jwt-nomad", "jwt")
		token := v.Token("team-a", fakevault.Grants{"auth/jwt-nomad/config": {"read", "update"}})
		m.Client.SetToken(token)
		m.Namespace = "team-a/"
		synced(t, m, desired(publish("a", "k1")), Options{}) // read and update are all it takes
		assert.Len(t, v.Keys("team-a", "jwt-nomad"), 1)
		assert.Empty(t, trustedNames(v))
		assert.Empty(t, m.Client.Headers().Get("X-Vault-Namespace"), "the caller's client is never changed")
		assert.Contains(t, m.String(), "jwt-nomad in namespace team-a at http")
	})
}

// What a Vault says, or doesn't, of its edition.
var editions = map[string]fault.Fault{
	"says it":         func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) { next(w, r) },
	"says nothing":    fault.Answer(http.StatusOK, "application/json", `{"initialized":true,"version":"1.12.0"}`),
	"may not be said": fault.Status(http.StatusForbidden, "permission denied"),
	"no answer of it": fault.Answer(http.StatusOK, "text/html", "<html>"),
}

// A Vault without namespaces passes over the name and would write the wrong mount.
func TestNoNamespaces(t *testing.T) {
	for name, edition := range editions {
		for token, granted := range map[string]fakevault.Grants{"root": nil, "the least": {"auth/jwt-nomad/config": {"read", "update"}}} {
			t.Run(name+", "+token, func(t *testing.T) {
				inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
					v.SetCommunity(true)
					v.Inject(fault.On("GET", "sys/health", edition))
					if granted != nil {
						m.Client.SetToken(v.Token("", granted))
					}
					m.Namespace = "team-a"
					_, err := m.Sync(t.Context(), desired(publish("a", "k1")), Options{})
					require.ErrorIs(t, err, ErrNoNamespaces)
					require.ErrorContains(t, err, "team-a")
					assert.Zero(t, v.Count("PUT", ""))
					_, err = m.Plan(t.Context(), desired(publish("a", "k1")), Options{})
					require.ErrorIs(t, err, ErrNoNamespaces)
					_, err = m.Read(t.Context())
					require.ErrorIs(t, err, ErrNoNamespaces, "nor is the mount of that path shown as this one")
				})
			})
		}
	}
}

// One that has them is told by the namespace that nobody has, whatever it says of its edition.
func TestNamespacesOfASilentVault(t *testing.T) {
	for name, edition := range editions {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
				v.Inject(fault.On("GET", "sys/health", edition))
				v.Enable("team-a", "jwt-nomad", "jwt")
				m.Client.SetToken(v.Token("team-a", fakevault.Grants{"auth/jwt-nomad/config": {"read", "update"}}))
				m.Namespace = "team-a"
				synced(t, m, desired(publish("a", "k1")), Options{})
				assert.Len(t, v.Keys("team-a", "jwt-nomad"), 1)
				assert.Empty(t, trustedNames(v))
			})
		})
	}
}

// countingSource publishes a set, or fails, and counts how often it was asked.
type countingSource struct {
	mu     sync.Mutex
	asked  int
	result jwks.Result
}

func (*countingSource) RegionName() string { return "" }

func (s *countingSource) Fetch(context.Context) (*jwks.Set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.result.Set, s.result.Err
}

func TestHarvester(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		second := fakevault.NewInProcess()
		defer second.Close()
		second.URL = "http://second"
		second.Enable("", "jwt-nomad", "jwt")
		sources := map[string]*countingSource{
			"a": {result: publish("a", "k1")}, "b": {result: jwks.Result{Err: errDown}}, "unused": {result: publish("x", "x")},
		}
		h := &Harvester{Parallel: 1, Targets: []Target{
			{Mount: m, Clusters: []string{"a"}},
			{Mount: NewMount(second.Client(), "jwt-nomad"), Clusters: []string{"a", "b"}},
			{Mount: NewMount(second.Client(), "missing"), Clusters: []string{"a"}},
		}}
		for _, name := range []string{"a", "b", "unused"} {
			h.Clusters = append(h.Clusters, jwks.Cluster{Name: name, Sources: []jwks.Source{sources[name]}})
		}

		report, err := h.Plan(t.Context())
		require.Error(t, err)
		assert.True(t, report.Mounts[0].Plan.Changed)
		assert.Zero(t, v.Count("PUT", configPath)+second.Count("PUT", configPath), "a plan writes nothing")
		assert.False(t, report.InSync(), "a plan with changes isn't in sync")

		report, err = h.Sync(t.Context())
		require.ErrorIs(t, err, errDown)
		require.ErrorIs(t, err, ErrNoMount)
		assert.False(t, report.InSync())
		assert.True(t, report.Mounts[0].InSync(), "one bad cluster never costs a good one")
		assert.False(t, report.Mounts[1].InSync())
		assert.Equal(t, []string{"a k1"}, trustedNames(v))
		assert.Equal(t, []string{"a k1"}, trustedNames(second))
		assert.Equal(t, 2, sources["a"].asked, "once in the plan, once in the sync, whatever the number of mounts")
		assert.Zero(t, sources["unused"].asked)
		assert.Equal(t, 1, strings.Count(err.Error(), errDown.Error()))
	})
}

func TestHarvesterParallelDoesNotCountTheSettleTime(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, _ *Mount) {
		h := &Harvester{Parallel: 1, Clusters: []jwks.Cluster{{Name: "a", Sources: []jwks.Source{&countingSource{result: publish("a", "k1")}}}}}
		for i := range 10 {
			path := fmt.Sprintf("jwt-%d", i)
			v.Enable("", path, "jwt")
			h.Targets = append(h.Targets, Target{Mount: NewMount(v.Client(), path), Clusters: []string{"a"}})
		}
		begin := time.Now()
		report, err := h.Sync(t.Context())
		require.NoError(t, err)
		assert.True(t, report.InSync())
		assert.LessOrEqual(t, time.Since(begin), defaultSettle+defaultSettle/4, "one settle time after the other")
	})
}

// The clone must go where the caller's client goes, and hide what the address hides.
func TestMountClient(t *testing.T) {
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	t.Setenv("VAULT_AGENT_ADDR", "http://127.0.0.1:1")
	c, err := api.NewClient(nil)
	require.NoError(t, err)
	require.NoError(t, c.SetAddress(v.URL))
	c.SetToken(fakevault.RootToken)
	m := NewMount(c, "jwt-nomad")
	_, err = m.Read(t.Context())
	require.NoError(t, err)
	c.SetToken("revoked")
	_, err = m.Read(t.Context())
	require.ErrorIs(t, err, ErrForbidden, "a token that is replaced is used from the next sync on")

	require.NoError(t, c.SetAddress("http://ann:hunter2@127.0.0.1:1"))
	c.SetMaxRetries(0)
	_, err = NewMount(c, "jwt-nomad").Read(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
	assert.NotContains(t, m.String(), "hunter2")
}
