package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/bench/internal/compare"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// oneSyncFlag makes of this program one sync.
const oneSyncFlag = "-one-sync"

// oneSync is what a process of its own is to do: keep so many mounts equal to these
// clusters, once.
type oneSync struct {
	Clusters     []string // addresses
	Vault, Token string
	Mounts       int
	Prefix       string        // of the mounts' names
	Limit        time.Duration // of the whole; 0: none
	Requests     int           // no sync: so many requests, one after another
	Judged       int           // how many clusters there are in all; these are the last of them, and their keys are judged first
}

// oneSyncDone is what it did.
type oneSyncDone struct {
	Begin             int64         // when it began, in nanoseconds since 1970
	Took              time.Duration // until the sync ended, its settle time included
	Fetched           time.Duration // until the last good answer of a cluster
	Trusted           time.Duration // until a key was trusted, the last of them; 0: none was to be
	CPU               time.Duration // from Begin on
	Failed            int           // clusters
	Allocated, Allocs uint64
}

func (o oneSync) mountName(i int) string { return fmt.Sprintf("%sjwt-%03d", o.Prefix, i) }

// run runs it in a process of its own.
func (o oneSync) run(ctx context.Context, env *compare.Env) (compare.Measures, oneSyncDone, error) {
	var done oneSyncDone
	self, err := os.Executable()
	if err != nil {
		return nil, done, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, done, err
	}
	in, out := filepath.Join(env.Dir, "sync.json"), filepath.Join(env.Dir, "done.json")
	if err := os.WriteFile(in, text, 0o600); err != nil {
		return nil, done, err
	}
	measures, err := compare.Process(ctx, "", nil, self, oneSyncFlag, in, out)
	if err != nil {
		return nil, done, err
	}
	if text, err = os.ReadFile(out); err != nil {
		return nil, done, err
	}
	return measures, done, json.Unmarshal(text, &done)
}

// runOneSync is the process.
func runOneSync(in, out string) error {
	var o oneSync
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	if o.Judged > 0 {
		if err := o.judgeAhead(); err != nil {
			return err
		}
	}
	ctx := context.Background()
	if o.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Limit)
		defer cancel()
	}
	do := o.sync
	if o.Requests > 0 {
		do = o.floor
	}
	before := processorTime()
	done, err := do(ctx)
	if err != nil {
		return err
	}
	done.CPU = processorTime() - before
	if text, err = json.Marshal(done); err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o600)
}

// judgeAhead judges the keys of the stand-ins' clusters, which jwks.Judge remembers.
func (o oneSync) judgeAhead() error {
	document, err := keySet(kindRSA, o.Judged)
	if err != nil {
		return err
	}
	set, err := jwks.Parse(document)
	if err != nil {
		return err
	}
	for _, key := range set.Keys[o.Judged-len(o.Clusters):] {
		if err := jwks.Judge(key); err != nil {
			return err
		}
	}
	return nil
}

// processorTime is what this process has used up.
func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it has no other error than a wrong argument
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// harvester has each cluster on one mount, in turn; where there are more mounts, several
// trust the same cluster.
func (o oneSync) harvester() (*vaultsync.Harvester, error) {
	config := api.DefaultConfig()
	config.Address = o.Vault
	client, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	client.SetToken(o.Token)
	h := new(vaultsync.Harvester)
	for i := range o.Mounts {
		h.Targets = append(h.Targets, vaultsync.Target{Mount: vaultsync.NewMount(client, o.mountName(i))})
	}
	for i := range max(len(o.Clusters), o.Mounts) {
		j, t := i%len(o.Clusters), &h.Targets[i%o.Mounts]
		name := fmt.Sprintf("cluster-%04d", j)
		if i < len(o.Clusters) {
			h.Clusters = append(h.Clusters, jwks.Cluster{Name: name, Sources: []jwks.Source{jwks.Nomad{Address: o.Clusters[j]}}})
		}
		t.Clusters = append(t.Clusters, name)
	}
	return h, nil
}

func (o oneSync) sync(ctx context.Context) (done oneSyncDone, err error) {
	h, err := o.harvester()
	if err != nil {
		return done, err
	}
	var trusted atomic.Int64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	for i := range h.Targets {
		h.Targets[i].Options.OnEvent = func(e vaultsync.Event) {
			now := int64(time.Since(begin))
			for last := trusted.Load(); e.Kind == vaultsync.EventAdded && now > last && !trusted.CompareAndSwap(last, now); last = trusted.Load() {
			}
		}
	}
	report, err := h.Sync(ctx)
	done.Trusted = time.Duration(trusted.Load())
	done.Begin, done.Took = begin.UnixNano(), time.Since(begin)
	runtime.ReadMemStats(&after)
	done.Allocated, done.Allocs = after.TotalAlloc-before.TotalAlloc, after.Mallocs-before.Mallocs
	if report == nil {
		return done, err
	}
	for _, m := range report.Mounts {
		if m.Err != nil {
			return done, m.Err
		}
	}
	for _, r := range report.Clusters {
		if r.Err != nil {
			done.Failed++
			continue
		}
		done.Fetched = max(done.Fetched, r.Asked.Add(r.Took).Sub(begin))
	}
	return done, nil
}

// floor asks a cluster, and then Vault for the first mount as often as is left.
func (o oneSync) floor(ctx context.Context) (done oneSyncDone, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	url := o.Clusters[0] + "/.well-known/jwks.json"
	for range o.Requests {
		if err := exchange(ctx, http.MethodGet, url, http.StatusOK, nil, io.Discard); err != nil {
			return done, err
		}
		url = o.Vault + "/v1/auth/" + o.mountName(0) + "/config"
	}
	done.Begin, done.Took = begin.UnixNano(), time.Since(begin)
	runtime.ReadMemStats(&after)
	done.Allocated, done.Allocs = after.TotalAlloc-before.TotalAlloc, after.Mallocs-before.Mallocs
	return done, nil
}
