//go:build linux

package scale

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

// standInOf makes the test binary be the stand-ins, by its own arguments: see start.
const standInOf = "HARVEST_STAND_INS"

const keysPath = "/.well-known/jwks.json"

// settings are what the stand-ins are told when they start.
type settings struct {
	Sources, Mounts int
	TLS             bool
}

// greeting is what they say once they serve.
type greeting struct {
	Agents  []string // addresses, one for each source
	Vault   string
	Control string
	CA      []byte // PEM; where there is TLS
}

// standIn is a Nomad agent with one key that stays, and others that come and go.
type standIn struct {
	*fakenomad.Server
	first member
	held  *atomic.Int64
}

// farm is the process with all stand-ins.
type farm struct {
	agents []*standIn
	vault  *fakevault.Server
	mounts int
	held   atomic.Int64 // queries that wait for a change now
}

// standIns serves until its standard input ends.
func standIns(text string) int {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f := &farm{vault: fakevault.NewInProcess(), mounts: s.Mounts}
	var hello greeting
	var authority *authority
	if s.TLS {
		authority = newAuthority()
		hello.CA = authority.pem
	}
	for range s.Sources {
		a := &standIn{fakenomad.NewEmpty(), newMember(), &f.held}
		a.Region("").Publish(document(a.first))
		f.agents = append(f.agents, a)
		if authority != nil {
			hello.Agents = append(hello.Agents, "https://"+listen(a, authority.config()))
		} else {
			hello.Agents = append(hello.Agents, "http://"+listen(a, nil))
		}
	}
	for i := range s.Mounts {
		f.vault.Enable("", mountName(i), "jwt")
	}
	hello.Vault = "http://" + listen(f.vault, nil)
	hello.Control = "http://" + listen(f.control(), nil)
	go f.forget()
	if err := json.NewEncoder(os.Stdout).Encode(hello); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// listen serves on a free port. As a Nomad agent does, it speaks HTTP/1.1, with TLS too.
func listen(h http.Handler, config *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	address := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { panic(server.Serve(l)) }()
	return address
}

// ServeHTTP holds a query up to a sixteenth longer than it asks for, as Nomad does.
func (a *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if wait, err := time.ParseDuration(query.Get("wait")); err == nil && query.Has("index") {
		query.Set("wait", (wait + rand.N(wait/16)).String())
		r.URL.RawQuery = query.Encode()
		a.held.Add(1)
		defer a.held.Add(-1)
	}
	a.Server.ServeHTTP(w, r)
}

// ripe is how long a key is published at least that is to go at once: harvest removes one that
// it has only just added when the next answer, after a held query, doesn't have it either.
const ripe = 3 * time.Second

// change makes n changes, each once the one before was seen: asked for with its index.
func (a *standIn) change(ctx context.Context, n int) error {
	region := a.Region("")
	for i := range n {
		if i == n-1 {
			select {
			case <-time.After(ripe):
			case <-ctx.Done():
			}
		}
		a.ClearRequests()
		if i%2 == 0 {
			region.Publish(document(a.first, newMember()))
		} else {
			region.Publish(document(a.first))
		}
		index := "index=" + strconv.FormatUint(region.Index(), 10)
		if err := a.Await(ctx, 1, func(r fakehttp.Request) bool {
			return r.Path == keysPath && strings.Contains(r.RawQuery+"&", index+"&")
		}); err != nil {
			return fmt.Errorf("change %d of %d was not seen: %w", i+1, n, err)
		}
	}
	a.ClearRequests()
	return nil
}

// trusted counts the keys on all mounts.
func (f *farm) trusted() int {
	n := 0
	for i := range f.mounts {
		n += len(f.vault.Keys("", mountName(i)))
	}
	return n
}

// forget empties the log of the Vault, whose writes are large.
func (f *farm) forget() {
	for range time.Tick(100 * time.Millisecond) {
		f.vault.ClearRequests()
	}
}

// control answers the test: each path replies once what it names has come about.
func (f *farm) control() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, do func(ctx context.Context, n int) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.URL.Query().Get("n"))
			if err == nil {
				err = do(r.Context(), n)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	handle("/change", func(ctx context.Context, n int) error { // at each source
		var running sync.WaitGroup
		failed := make(chan error, len(f.agents))
		for _, a := range f.agents {
			running.Go(func() {
				if err := a.change(ctx, n); err != nil {
					failed <- err
				}
			})
		}
		running.Wait()
		close(failed)
		return <-failed
	})
	handle("/held", func(ctx context.Context, n int) error {
		return until(ctx, n, func() int { return int(f.held.Load()) })
	})
	handle("/trusted", func(ctx context.Context, n int) error { return until(ctx, n, f.trusted) })
	return mux
}

// until waits until count says n.
func until(ctx context.Context, n int, count func() int) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for count() != n {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%d instead of %d: %w", count(), n, ctx.Err())
		}
	}
	return nil
}
