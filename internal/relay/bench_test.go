package relay

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// benchmarked returns a server of a relay with three keys.
func benchmarked(b *testing.B) *Server {
	b.Helper()
	r := &Relay{Name: "nomad", Clusters: []string{"a"}}
	require.NoError(b, r.serve(plan.Read([]string{fakekeys.Trust("a", "k1"), fakekeys.Trust("a", "k2"), fakekeys.Trust("a", "k3")})))
	s := new(Server)
	s.Use([]*Relay{r})
	return s
}

// BenchmarkServe is a request without its connection: nothing is parsed or made for it.
func BenchmarkServe(b *testing.B) {
	s := benchmarked(b)
	get := httptest.NewRequestWithContext(b.Context(), http.MethodGet, keySetPath, nil)
	w := &discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(w, get)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header       { return d.header }
func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) WriteHeader(int)             {}

// BenchmarkRequests is requests over loopback, their clients included. With -cpu 1 its requests/s
// are those of a core:
//
//	go test -run '^$' -bench Requests -cpu 1 ./internal/relay
func BenchmarkRequests(b *testing.B) {
	listener, err := Listening{Address: "127.0.0.1:0"}.Listen(b.Context(), slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	defer benchmarked(b).Serve(listener, slog.New(slog.DiscardHandler))()
	address := "http://" + listener.Addr().String() + keySetPath
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	began := time.Now()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, nil)
			if err != nil {
				b.Error(err)
				return
			}
			reply, err := client.Do(request)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, reply.Body)
			_ = reply.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "requests/s")
}

// BenchmarkIdle is what a server keeps for 10,000 clients that connect and ask nothing more: the
// memory and the goroutines of the 1,024 that it holds.
func BenchmarkIdle(b *testing.B) {
	const clients = 10_000
	listener, err := Listening{Address: "127.0.0.1:0"}.Listen(b.Context(), slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	defer benchmarked(b).Serve(listener, slog.New(slog.DiscardHandler))()
	before := inUse()
	goroutines := runtime.NumGoroutine()
	for b.Loop() {
		var open []net.Conn
		for range clients {
			conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(b.Context(), "tcp", listener.Addr().String())
			require.NoError(b, err)
			_, err = io.WriteString(conn, "GET "+keySetPath+" HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(b, err)
			open = append(open, conn)
		}
		b.ReportMetric(float64(inUse()-before)/(1<<20), "MiB")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
		for _, conn := range open {
			_ = conn.Close()
		}
	}
}

// inUse returns the bytes of heap and stacks, of garbage none.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
