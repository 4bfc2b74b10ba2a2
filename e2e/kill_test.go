//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/faultproxy"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// kills is how many syncs are killed: a few in make e2e, 200 in make kills.
func kills(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("HARVEST_KILLS")); err == nil {
		return n
	}
	return otherwise
}

// besides is a configuration without its keys.
func besides(fields map[string]any) map[string]any {
	fields = maps.Clone(fields)
	delete(fields, "jwt_validation_pubkeys")
	return fields
}

// killing is a mount whose syncs are killed. Requests pass a proxy that delays the write,
// so that there is time to be killed in.
type killing struct {
	t        *testing.T
	c        *api.Client
	proxy    *faultproxy.Proxy
	answered atomic.Bool // the answer to the write has passed
	args     []string
}

// What a kill can find, by what Vault's side of the connection has seen.
const (
	beforeWrite = "before the write"
	duringWrite = "during the write"
	afterWrite  = "after the write"
	afterEnd    = "after the end"
)

// sync starts a sync of a key set by way of the proxy, kills it when instant returns, and
// says how far it had come.
func (k *killing) sync(file string, instant func()) string {
	k.t.Helper()
	k.proxy.Break() // what is still on its way to or from the one killed before isn't this one's
	k.answered.Store(false)
	const late = 25 * time.Millisecond
	k.proxy.Set(faultproxy.Fault{
		When: "PUT /v1/auth/jwt-kill/config", ToServer: faultproxy.Delay(late), ToClient: faultproxy.Delay(late),
	})
	cmd := exec.Command(harvestCommand, append([]string{"sync", "-jwks-file", file, "-settle", "200ms"}, k.args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + k.t.TempDir(), "VAULT_ADDR=" + k.proxy.URL, "VAULT_TOKEN=" + vault.RootToken}
	var out fixture.Log
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(k.t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	instant()
	phase := beforeWrite
	switch {
	case k.answered.Load():
		phase = afterWrite
	case k.proxy.Struck() > 0:
		phase = duringWrite
	}
	_ = cmd.Process.Kill() // by its own id
	<-done
	if cmd.ProcessState.Exited() {
		require.Zero(k.t, cmd.ProcessState.ExitCode(), out.String())
		return afterEnd
	}
	return phase
}

// A sync that is killed (kill -9) at any instant leaves the old list or the new one, by which
// logins go on, all other settings as they were, and nothing that the next run doesn't put right:
//
//	HARVEST_KILLS=200 go test -tags e2e -run TestKill -v ./e2e
func TestKill(t *testing.T) {
	k := &killing{t: t, proxy: faultproxy.New(t, vault.Address), args: []string{"-cluster", "edge", "-mount", "jwt-kill"}}
	// By its status: the end of the answer to the read may still be on its way then.
	k.proxy.OnPass = func(way faultproxy.Way, some []byte) {
		if way == faultproxy.ToClient && k.proxy.Struck() > 0 && bytes.HasPrefix(some, []byte("HTTP/1.1 204 ")) {
			k.answered.Store(true)
		}
	}
	k.c = enable(t, vault, "jwt-kill", map[string]any{
		"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads",
		"bound_issuer": "https://nomad.example.com", "jwt_supported_algs": []string{"RS256", "EdDSA"},
	})
	settings := besides(readConfig(t, k.c, "jwt-kill"))
	stays := fakenomad.NewKey("EdDSA") // else each run were a turnover
	now := time.Now().Unix()
	token := fakenomad.Sign(stays, map[string]any{
		"iss": "https://nomad.example.com", "aud": "vault.io", "sub": "edge:default:mongo:db:mongo:vault_default",
		"iat": now, "nbf": now, "exp": now + 3600, "nomad_namespace": "default", "nomad_job_id": "mongo", "nomad_task": "mongo",
	})
	sets := [2][]*fakenomad.Key{{stays, fakenomad.NewKey("EdDSA")}, {stays, fakenomad.NewKey("EdDSA")}}
	var files [2]string
	var want [2][]string
	for i, set := range sets {
		files[i] = jwksFile(t, set...)
		for _, key := range set {
			want[i] = append(want[i], key.ID)
		}
		slices.Sort(want[i])
	}
	list := func() []any { return readConfig(t, k.c, "jwt-kill")["jwt_validation_pubkeys"].([]any) }
	converge := func(file string) {
		syncNow(t, 0, append([]string{"-jwks-file", file, "-settle", "50ms"}, k.args...)...)
	}
	converge(files[0])

	// One run that isn't killed, to know how long one lasts.
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var sent time.Duration // when its write is
	never := make(chan struct{})
	go func() {
		defer close(never)
		assert.NoError(t, k.proxy.Await(ctx, 1))
		sent = time.Since(began)
		assert.Eventually(t, func() bool { return slices.Equal(kids(t, k.c, "jwt-kill", "edge", ""), want[1]) && k.answered.Load() },
			30*time.Second, time.Millisecond)
	}()
	require.Equal(t, afterWrite, k.sync(files[1], func() { <-never }))
	length := time.Since(began) + 250*time.Millisecond // the settle time and its jitter
	converge(files[1])

	n := kills(20)
	phases, held := map[string]int{}, map[string]int{}
	for i := range n {
		to := i % 2
		old := list()
		// A third of the instants lie anywhere in a run, a third before the write or at its
		// beginning, a third within it or just behind it.
		instant := func() { pause(rand.N(length)) }
		switch i / 2 % 3 {
		case 1:
			instant = func() { pause(rand.N(sent)) }
		case 2:
			instant = func() {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				require.NoError(t, k.proxy.Await(ctx, 1))
				pause(rand.N(90 * time.Millisecond))
			}
		}
		phase := k.sync(files[to], instant)
		require.NoError(t, login(k.c, "jwt-kill", token), "the key that both lists have doesn't log in, %s", phase)
		after := readConfig(t, k.c, "jwt-kill")
		if phase == beforeWrite && k.proxy.Struck() > 0 { // it was on its way
			phase = duringWrite
		}
		phases[phase]++
		require.Equal(t, settings, besides(after), "%s", phase)
		elements := after["jwt_validation_pubkeys"].([]any)
		if slices.Equal(elements, old) {
			held["old"]++
			require.NotEqual(t, afterWrite, phase, "it was answered")
		} else {
			held["new"]++
			require.NotEqual(t, beforeWrite, phase, "it wasn't sent")
			require.Equal(t, want[to], kids(t, k.c, "jwt-kill", "edge", ""), "neither the old list nor the new one")
			for _, element := range elements {
				if text := element.(string); !strings.Contains(text, sets[to][1].ID) {
					require.Contains(t, old, element, "what stays is what it was")
				}
			}
			require.Len(t, elements, len(old))
		}

		converge(files[to])
		require.Equal(t, want[to], kids(t, k.c, "jwt-kill", "edge", ""))
		require.Equal(t, settings, besides(readConfig(t, k.c, "jwt-kill")))
	}
	t.Logf("%d syncs killed over a run of %v: %d before the write, %d during, %d after, %d had ended; "+
		"%d found the old list, %d the new one, 0 anything else; the next run put all right", n, length.Round(time.Millisecond),
		phases[beforeWrite], phases[duringWrite], phases[afterWrite], phases[afterEnd], held["old"], held["new"])
	assert.Positive(t, phases[duringWrite], "no kill hit the write")
}

// pause waits: a random instant is no event to wait for.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
