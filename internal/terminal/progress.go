package terminal

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/jwksharvest/harvest/jwks"
)

// slow is how long clusters may take before it is shown who is waited for.
const slow = time.Second

// CanProgress reports whether progress can be shown on w: it must be a terminal that can wipe a
// line.
func CanProgress(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && capable(getenv)
}

// Progress rewrites a line on w, of at most width columns (0: no limit), while clusters are waited
// for. It wraps the clusters' sources in place to see who was asked and hasn't answered. The
// returned function wipes the line.
func Progress(w io.Writer, width int, clusters []jwks.Cluster) (stop func()) {
	p := &progress{asked: map[string]int{}}
	for i, c := range clusters {
		sources := make([]jwks.Source, len(c.Sources))
		for j, s := range c.Sources {
			sources[j] = jwks.Wrap(s, func(ctx context.Context, fetch func(context.Context) (*jwks.Set, error)) (*jwks.Set, error) {
				p.note(c.Name, 1)
				defer p.note(c.Name, -1)
				return fetch(ctx)
			})
		}
		clusters[i].Sources = sources
	}
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { p.show(w, width, done) })
	return sync.OnceFunc(func() { close(done); writer.Wait() })
}

// progress knows which clusters have been asked and haven't answered.
type progress struct {
	mu    sync.Mutex
	asked map[string]int // requests under way, by cluster
}

func (p *progress) note(cluster string, change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked[cluster] += change; p.asked[cluster] == 0 {
		delete(p.asked, cluster)
	}
}

func (p *progress) show(w io.Writer, width int, done <-chan struct{}) {
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
			text := fmt.Sprintf("%s (%d s)", p, int(time.Since(began).Seconds()))
			if width > 0 { // a second line could not be wiped
				text = Shorten(text, width-1)
			}
			_, _ = fmt.Fprintf(w, "\r\x1b[K%s", text)
			shown = true
			wait.Reset(slow)
		}
	}
}

// mostNames is how many clusters the line names.
const mostNames = 4

// String says who is waited for.
func (p *progress) String() string {
	p.mu.Lock()
	names := slices.Sorted(maps.Keys(p.asked))
	p.mu.Unlock()
	switch n := len(names); {
	case n == 0:
		return "waiting for Vault, or for a list of regions"
	case n > mostNames:
		return fmt.Sprintf("waiting for %s and %d more clusters", strings.Join(names[:mostNames], ", "), n-mostNames)
	default:
		return "waiting for " + strings.Join(names, ", ")
	}
}
