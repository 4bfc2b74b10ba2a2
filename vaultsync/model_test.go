package vaultsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/history"
)

// The model: writers with a cluster each sync one mount, an entry in memory that knows no
// check-and-set, on lines that delay and lose what goes over them. The writers are the real
// Mount.Sync with a real client; time is fake.

const writers = 10

// line is the way of one writer to the register, and back.
type line struct {
	latency time.Duration // of a request and of an answer, each, at most

	stalled float64       // share of reads whose answer is late, as to a writer who is held up before the write
	stall   time.Duration // by so much at most

	delayed float64       // share of writes that arrive late, once they were sent
	delay   time.Duration // by so much at most

	lost float64 // share of writes whose request or answer is lost

	spread time.Duration // in which the clusters rotate
}

// without is what is left out of the protocol.
type without struct {
	readBack  bool // the first read after a write shows what was written, whatever there is
	look      bool // after the settle time
	stillness bool // one look at each write will do
	guard     bool // against a write that stands on an old read
	once      bool // vault/api sends a write again, as it does with any other
}

// wire is a line at work: the transport of one writer's client.
type wire struct {
	line
	register *register
	rand     *rand.Rand
	deaf     bool   // the first read after a write shows what was written, whatever there is
	wrote    []byte // by the last write, until it was read back
	writes   int
}

var errLost = errors.New("connection reset")

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if !strings.HasSuffix(r.URL.Path, "/config") { // nothing else is answered: what the token may do isn't known
		return w.answer(r, http.StatusForbidden, []byte(`{"errors":["permission denied"]}`)), nil
	}
	w.pause(w.latency)
	status, answer := http.StatusNoContent, []byte(nil)
	switch {
	case r.Method == http.MethodPut:
		lost := w.rand.Float64() < w.lost
		if lost && w.rand.IntN(2) == 0 {
			return nil, errLost
		}
		if w.rand.Float64() < w.delayed {
			w.pause(w.delay)
		}
		w.register.write(body)
		w.wrote, w.writes = body, w.writes+1
		if lost {
			return nil, errLost
		}
	case w.deaf && w.wrote != nil:
		status, answer = http.StatusOK, []byte(`{"data":`+string(w.wrote)+`}`)
		w.wrote = nil
	default:
		status, answer = http.StatusOK, w.register.read()
		if w.rand.Float64() < w.stalled {
			w.pause(w.stall)
		}
	}
	w.pause(w.latency)
	return w.answer(r, status, answer), nil
}

func (*wire) answer(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// pause takes a nanosecond at least: no two things happen at once, and a seed repeats.
func (w *wire) pause(most time.Duration) { time.Sleep(1 + time.Duration(w.rand.Int64N(int64(most)))) }

func (w *wire) client(transport http.RoundTripper) *api.Client {
	cfg := api.DefaultConfig()
	cfg.Address, cfg.HttpClient, cfg.MaxRetries = "http://vault", &http.Client{Transport: transport}, 0
	c, err := api.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	c.ClearNamespace()
	c.SetToken("t")
	return c
}

// outcome is what came of one trial.
type outcome struct {
	wrong    []string // what the mount has too much ("+name") or too little ("-name") at the end
	resynced []string // and after one more sync of each writer
	verdict  history.Verdict
	back     int
	heals    []time.Duration // of keys that another writer undid; sorted

	writes, conflicts, gaveUp int
}

// trial lets each writer's cluster rotate once: a key is added and a key is removed.
func trial(t *testing.T, seed uint64, l line, w without) (out outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRegister()
		elements := []string{paste("foreign")}
		want := map[string]bool{"foreign": true}
		for i := range writers {
			elements = append(elements, trust(clusterOf(i), modelKey(i, 0)), trust(clusterOf(i), modelKey(i, 1)))
			r.publish(modelKey(i, 0), modelKey(i, 1))
			want[modelKey(i, 1)], want[modelKey(i, 2)] = true, true
		}
		others := map[string]any{"default_role": "r", "bound_issuer": "https://nomad.example.com", algsField: []any{"EdDSA"}}
		r.write(encode(others, elements))
		told := &history.Log{Name: kid}
		told.Paste(elements[0])
		for i := range writers {
			told.Publish(nil, []string{modelKey(i, 0), modelKey(i, 1)})
		}
		var mu sync.Mutex
		var running sync.WaitGroup
		syncs := make([]func(), writers)
		for i := range writers {
			wi := &wire{line: l, register: r, rand: rand.New(rand.NewPCG(seed, uint64(i))), deaf: w.readBack}
			m := NewMount(wi.client(told.Transport(clusterOf(i), wi)), "jwt-nomad")
			how := w.conduct(m, wi)
			syncs[i] = func() {
				for err := ErrConflict; err != nil; {
					want := desired(publish(clusterOf(i), modelKey(i, 1), modelKey(i, 2)))
					report := m.sync(context.Background(), want, Options{}, how())
					err = report.Err
					mu.Lock()
					out.conflicts += report.Conflicts
					out.writes += report.Written
					if err != nil {
						out.gaveUp++
					}
					mu.Unlock()
					if err == nil {
						told.Claim(clusterOf(i), []string{modelKey(i, 1), modelKey(i, 2)})
					}
				}
			}
			running.Go(func() {
				wi.pause(l.spread)
				r.publish(modelKey(i, 2))
				r.withdraw(modelKey(i, 0))
				told.Publish([]string{modelKey(i, 0), modelKey(i, 1)}, []string{modelKey(i, 1), modelKey(i, 2)})
				syncs[i]()
			})
		}
		running.Wait()
		out.wrong = differences(want, r.keys)
		for _, sync := range syncs {
			sync()
		}
		out.resynced = differences(want, r.keys)
		began := time.Now()
		time.Sleep(time.Nanosecond)
		told.Read("observer", began, r.list())
		out.verdict = told.Check(defaultSettle)
		out.back, out.heals = r.back, r.heals
		slices.Sort(out.heals)
		assert.Equal(t, others, r.others(), "seed %d: only the keys may change", seed)
	})
	return out
}

// conduct returns how one sync of a writer's goes.
func (w without) conduct(m *Mount, line *wire) func() conduct {
	if w.once {
		if _, err := m.open(); err != nil {
			panic(err)
		}
		m.clone.SetCheckRetry(api.DefaultRetryPolicy)
		m.clone.SetMaxRetries(2)
	}
	return func() conduct {
		how := conduct{jitter: func(most time.Duration) time.Duration { return 1 + time.Duration(line.rand.Int64N(int64(most))) }}
		if w.guard {
			how.age = func(time.Time) time.Duration { return 0 }
		}
		looked := 0 // at the write of that number
		if w.look || w.stillness {
			how.rest = func(ctx context.Context, d time.Duration) (superseded bool, err error) {
				if w.look || looked == line.writes {
					return true, nil // which ends the sync, and well
				}
				looked = line.writes
				return false, sleep(ctx, d)
			}
		}
		return how
	}
}

func clusterOf(i int) string { return fmt.Sprintf("c%d", i) }

func modelKey(i, n int) string { return fmt.Sprintf("c%d-%d", i, n) }

func encode(others map[string]any, elements []string) []byte {
	entry := maps.Clone(others)
	entry[keysField] = elements
	text, err := json.Marshal(entry)
	if err != nil {
		panic(err)
	}
	return text
}

func differences(want, have map[string]bool) []string {
	var out []string
	for name := range want {
		if !have[name] {
			out = append(out, "-"+name)
		}
	}
	for name := range have {
		if !want[name] {
			out = append(out, "+"+name)
		}
	}
	slices.Sort(out)
	return out
}
