package daemon

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/serving"
	"github.com/jwksharvest/harvest/internal/statuspage"
)

// ListenAddress returns what -listen means: without a host, loopback only. What is served
// takes no password.
func ListenAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || port == "" {
		return "", fmt.Errorf("%q: want HOST:PORT, or :PORT for 127.0.0.1", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Serve answers GET /, /metrics, /healthz, /readyz and /insync until stop is called. On a loopback
// address it answers to Hosts that are one, and to host.
func (d *Daemon) Serve(listener net.Listener, host string, build monitor.Build) (stop func()) {
	registry := monitor.NewRegistry(d.board, build)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return serving.Service{
		Name: "the status page, metrics and health", Connections: serving.Pages, Reply: 30 * time.Second, Header: 16 << 10,
		Handler: hostChecked(listener.Addr(), host, pages(d.board, registry, build.Version, d.Now)),
	}.Serve(listener, d.Log)
}

// ServeRelays serves the key sets of relays until stop is called, and nothing else.
func (d *Daemon) ServeRelays(listener net.Listener) (stop func()) {
	return d.relays.Serve(listener, d.Log)
}

// unless answers 200 and a word where there are no reasons against it, else 503 and those.
func unless(reasons func() []string, word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		status, lines := http.StatusOK, []string{word}
		if against := reasons(); len(against) > 0 {
			status, lines = http.StatusServiceUnavailable, against
		}
		statuspage.WriteText(w, status, strings.Join(lines, "\n"))
	}
}

// pages are what is served.
func pages(b *monitor.Board, registry *prometheus.Registry, version string, now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 20 * time.Second, ErrorHandling: promhttp.ContinueOnError,
	}))
	mux.Handle("/{$}", statuspage.NewServer(b, version, now))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { statuspage.WriteText(w, http.StatusOK, "ok") })
	mux.HandleFunc("/readyz", unless(b.Untried, "ready"))
	mux.HandleFunc("/insync", unless(b.OutOfSync, "in sync"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		allowed := []string{http.MethodGet}
		if r.URL.Path == "/" {
			allowed = append(allowed, http.MethodHead)
		}
		if !slices.Contains(allowed, r.Method) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			statuspage.WriteText(w, http.StatusMethodNotAllowed, "only "+strings.Join(allowed, ", "))
			return
		}
		mux.ServeHTTP(w, r)
	})
}
