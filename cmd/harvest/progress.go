package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/jwksharvest/harvest/jwks"
)

// slow is how long a command may take before it shows that it is alive.
const slow = time.Second

// showProgress rewrites a line on stderr while clusters are waited for, if stderr is a
// terminal and carries no log. It wraps the clusters' sources in place to count the answers.
// The returned function wipes the line.
func (a *app) showProgress(cmd *cli.Command, clusters []jwks.Cluster) (stop func()) {
	f, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || a.says.log != nil || cmd.IsSet("log-level") {
		return func() {}
	}
	return startProgress(a.stderr, clusters)
}

// startProgress is showProgress for any writer.
func startProgress(w io.Writer, clusters []jwks.Cluster) (stop func()) {
	p := &progress{}
	for i, c := range clusters {
		if c.Federation != nil {
			p.federated++ // its regions aren't known here
		}
		sources := make([]jwks.Source, len(c.Sources))
		for j, s := range c.Sources {
			p.total++
			sources[j] = counted{s, p}
		}
		clusters[i].Sources = sources
	}
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { p.show(w, done) })
	return sync.OnceFunc(func() { close(done); writer.Wait() })
}

type progress struct {
	total, federated int
	answered         atomic.Int64
}

func (p *progress) show(w io.Writer, done <-chan struct{}) {
	began := time.Now()
	wait := time.NewTimer(slow)
	defer wait.Stop()
	shown := false
	for {
		select {
		case <-done:
			if shown {
				_, _ = fmt.Fprint(w, "\r\x1b[K")
			}
			return
		case <-wait.C:
			_, _ = fmt.Fprintf(w, "\r\x1b[K%s (%d s)", p, int(time.Since(began).Seconds()))
			shown = true
			wait.Reset(slow)
		}
	}
}

// String says what is waited for.
func (p *progress) String() string {
	answered := int(p.answered.Load())
	switch {
	case answered < p.total:
		return fmt.Sprintf("fetching: %d of %d sources answered", answered, p.total)
	case p.federated > 0:
		return "fetching regions, or waiting for Vault"
	default:
		return "waiting for Vault"
	}
}

// counted is a source whose answers are counted.
type counted struct {
	jwks.Source
	progress *progress
}

// Fetch implements jwks.Source.
func (c counted) Fetch(ctx context.Context) (*jwks.Set, error) {
	defer c.progress.answered.Add(1)
	return c.Source.Fetch(ctx)
}
