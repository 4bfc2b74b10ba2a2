package daemon

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/statuspage"
)

// A page of a name that was pointed at loopback reads nothing.
func TestListenHost(t *testing.T) {
	b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	all := pages(b, monitor.NewRegistry(b, monitor.Build{}), "0.1.0", func() time.Time { return now })
	for host, taken := range map[string]bool{
		"127.0.0.1:8300": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]:8300": true, "[::1]": true, "[::ffff:127.0.0.1]:80": true,
		"localhost": true, "LocalHost:8300": true, "localhost.:8300": true, "harvest.localhost": true,
		"harvest.internal": true, "HARVEST.internal.:9": true, // as -listen has it
		"": true, // HTTP/1.0

		"attacker.example": false, "attacker.example:8300": false, "localhost.attacker.example": false, "notlocalhost": false,
		"127.0.0.1.attacker.example:8300": false, "0.0.0.0:8300": false, "[::]:8300": false, "192.0.2.1:8300": false, "10.0.0.1": false,
		"a.harvest.internal": false, "127.1": false, "2130706433": false, "localhost:a": false, "localhost:80:80": false, "127.0.0.1@attacker.example": false,
		" localhost": false, ".": false, ":8300": false,
	} {
		for _, path := range []string{"/", "/metrics", "/healthz", "/readyz", "/insync", "/nothing"} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			request.Host = host
			answer := httptest.NewRecorder()
			hostChecked(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "harvest.internal", all).ServeHTTP(answer, request)
			if taken {
				assert.NotEqual(t, http.StatusMisdirectedRequest, answer.Code, "%s of %q", path, host)
				continue
			}
			assert.Equal(t, http.StatusMisdirectedRequest, answer.Code, "%s of %q", path, host)
			assert.Contains(t, answer.Body.String(), "Let the proxy in front send such a Host")
			assert.NotContains(t, answer.Body.String(), "harvest_")
			assert.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
		}
	}
}

// A listener on the network is asked by whatever name it has there.
func TestListenHostOfTheNetwork(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { statuspage.WriteText(w, http.StatusOK, "ok") })
	for name, ip := range map[string]net.IP{"all": net.IPv4zero, "all of IPv6": net.IPv6unspecified, "one": net.IPv4(192, 0, 2, 1)} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Host = "harvest.example.com"
		answer := httptest.NewRecorder()
		hostChecked(&net.TCPAddr{IP: ip}, "", ok).ServeHTTP(answer, request)
		assert.Equal(t, http.StatusOK, answer.Code, name)
	}
	for name, ip := range map[string]net.IP{"IPv6": net.IPv6loopback, "another": net.IPv4(127, 0, 1, 1)} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Host = "harvest.example.com"
		answer := httptest.NewRecorder()
		hostChecked(&net.TCPAddr{IP: ip}, "", ok).ServeHTTP(answer, request)
		assert.Equal(t, http.StatusMisdirectedRequest, answer.Code, name)
	}
}
