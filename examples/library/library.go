// Package library has the programs of docs/library.md, each run by a test.
package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// trust makes a mount trust what Nomad clusters publish, whose addresses are given by name.
func trust(ctx context.Context, client *api.Client, path string, addresses map[string]string) error {
	h := vaultsync.Harvester{Targets: []vaultsync.Target{{Mount: vaultsync.NewMount(client, path)}}}
	for name, address := range addresses {
		h.Clusters = append(h.Clusters, jwks.Cluster{Name: name, Sources: []jwks.Source{jwks.Nomad{Address: address}}})
		h.Targets[0].Clusters = append(h.Targets[0].Clusters, name)
	}
	report, err := h.Sync(ctx) // what succeeds is applied, whatever else fails
	if report == nil {
		return err // wrong arguments: nothing was asked
	}
	for _, mount := range report.Mounts {
		if mount.Plan != nil {
			fmt.Print(mount.MountID, "\n", mount.Plan)
		}
	}
	return err // nil: the mount trusts just what the clusters publish
}

// list prints the keys that a mount trusts.
func list(ctx context.Context, mount *vaultsync.Mount) error {
	keys, err := mount.Trusted(ctx)
	for _, k := range keys {
		fmt.Println(k, k.Reason)
	}
	return err
}

// service keeps mounts in sync, and tells of it.
type service struct {
	mu     sync.Mutex
	out    map[vaultsync.MountID]error // why mounts aren't in sync
	counts map[string]int
}

func (s *service) hear(e vaultsync.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[fmt.Sprintf("events_total{kind=%q,cluster=%q,mount=%q}", e.Kind, e.Cluster, e.Mount.Path)]++
	if e.Err != nil {
		s.counts[fmt.Sprintf("errors_total{kind=%q,cluster=%q,mount=%q}", vaultsync.Kind(e.Err), e.Cluster, e.Mount.Path)]++
	}
	if e.Report != nil {
		s.out[e.Mount] = e.Report.Failure()
	}
}

// ServeHTTP answers /insync and /metrics.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.URL.Path {
	case "/metrics":
		for name, n := range s.counts {
			fmt.Fprintln(w, name, n)
		}
	case "/insync":
		for mount, why := range s.out {
			if why != nil {
				http.Error(w, fmt.Sprintf("%v: %v", mount, why), http.StatusServiceUnavailable)
				return
			}
		}
	default:
		http.NotFound(w, r)
	}
}

// serve runs until ctx ends, and ends gracefully then.
func serve(ctx context.Context, h *vaultsync.Harvester, l net.Listener) error {
	s := &service{out: map[vaultsync.MountID]error{}, counts: map[string]int{}}
	for _, t := range h.Targets {
		s.out[t.Mount.ID()] = errors.New("not synced yet")
	}
	h.OnEvent = s.hear
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(l)                            //nolint:errcheck // ends with the server
	defer server.Close()                          //nolint:errcheck // nobody waits for its answers any more
	return h.Watch(ctx, vaultsync.WatchOptions{}) // nil, once a write that is under way has ended
}

// oneAtATime refuses plans that remove more than one key.
func oneAtATime(_ context.Context, p *plan.Plan) error {
	if n := len(p.Remove); n > 1 {
		return fmt.Errorf("%d keys would go at once", n)
	}
	return nil
}

// ask has a person approve each plan before it is written; they may take their time.
func ask(ctx context.Context, p *plan.Plan, answers <-chan bool) error {
	fmt.Print(p)
	select {
	case approved := <-answers:
		if !approved {
			return errors.New("somebody said no")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// store plans a sync and writes the plan to a file.
func store(ctx context.Context, mount *vaultsync.Mount, want plan.Desired, o vaultsync.Options, file string) error {
	report, err := mount.Plan(ctx, want, o)
	if err != nil {
		return err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// apply writes that plan tomorrow, if the mount is still the same and nothing in it is refused
// by then.
func apply(ctx context.Context, mount *vaultsync.Mount, file string, o vaultsync.Options) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var p plan.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	_, err = mount.Apply(ctx, &p, o)
	if errors.Is(err, plan.ErrStale) {
		return fmt.Errorf("make another plan: %w", err)
	}
	return err
}

// registry is a source of a kind that jwks doesn't know, asked with a bearer token from a file.
func registry(address, tokenFile string, client *http.Client) jwks.Source {
	c := &jwks.Client{HTTPClient: client, Token: jwks.TokenFile(tokenFile)}
	return jwks.SourceFunc(func(ctx context.Context) (*jwks.Set, error) {
		return jwks.URL(address+"/v1/our-keys", c).Fetch(ctx) // or from wherever they are
	})
}
