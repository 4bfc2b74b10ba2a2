package daemon

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/monitor"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestListenAddress(t *testing.T) {
	for in, want := range map[string]string{":8300": "127.0.0.1:8300", "0.0.0.0:1": "0.0.0.0:1", "[::1]:2": "[::1]:2", "8300": "", "host": "", "host:": "", "": ""} {
		got, err := ListenAddress(in)
		assert.Equal(t, want, got, in)
		assert.Equal(t, want == "", err != nil, in)
	}
}

// TestPartition: mounts stand together where they share clusters, directly or not.
func TestPartition(t *testing.T) {
	mount := func(path string, clusters ...string) config.Mount {
		return config.Mount{Path: path, Clusters: clusters}
	}
	var got []string
	for _, part := range partition([]config.Mount{
		mount("1", "a"), mount("2", "b"), mount("3", "c", "d"), mount("4", "d", "a"), mount("5", "e"), mount("6", "b"),
	}) {
		var paths []string
		for _, m := range part {
			paths = append(paths, m.Path)
		}
		got = append(got, strings.Join(paths, ""))
	}
	assert.Equal(t, []string{"134", "26", "5"}, got)
}

// What a page may do is said in its header, and in the document.
func TestPageHeaders(t *testing.T) {
	b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	handler := pages(b, monitor.NewRegistry(b, monitor.Build{}), "0.1.0", func() time.Time { return now })
	get := func(method, path string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
		return recorder
	}
	page := get("GET", "/")
	require.Equal(t, http.StatusOK, page.Code)
	body := page.Body.String()
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	require.NotNil(t, style)
	sum := sha256.Sum256([]byte(style[1]))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	assert.Equal(t, map[string][]string{
		"Content-Type":                 {"text/html; charset=utf-8"},
		"Content-Security-Policy":      {"default-src 'none'; style-src 'sha256-" + hash + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"DENY"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Cache-Control":                {"no-store"},
	}, map[string][]string(page.Header()))
	assert.Contains(t, body, `http-equiv="refresh" content="30"`)
	assert.NotRegexp(t, `(?i)<script|<link|<img|<iframe|<form|javascript:|\sstyle=|\son[a-z]+=|\ssrc=|url\(`, body)

	assert.Equal(t, http.StatusOK, get("HEAD", "/").Code)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"} {
		refused := get(method, "/")
		assert.Equal(t, http.StatusMethodNotAllowed, refused.Code, method)
		assert.Equal(t, "GET, HEAD", refused.Header().Get("Allow"))
	}
	for _, path := range []string{"/index.html", "/status", "//x"} {
		assert.NotEqual(t, http.StatusOK, get("GET", path).Code, path)
	}
}

// TestSystemd: states go to NOTIFY_SOCKET, and a watchdog is fed at half its time.
func TestSystemd(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	tell(slog.New(slog.DiscardHandler), reloading())
	state := make([]byte, 100)
	n, err := socket.Read(state)
	require.NoError(t, err)
	assert.Regexp(t, `^RELOADING=1\n(MONOTONIC_USEC=\d+\n)?$`, string(state[:n]))

	t.Setenv("NOTIFY_SOCKET", name+".none")
	var log strings.Builder
	tell(slog.New(slog.NewTextHandler(&log, nil)), "READY=1")
	assert.Contains(t, log.String(), "no word to systemd")

	for usec, beats := range map[string]bool{"20000": true, "": false, "-1": false, "x": false} {
		t.Setenv("WATCHDOG_USEC", usec)
		c, stop := beat()
		assert.Equal(t, beats, c != nil, usec)
		stop()
	}
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()+1))
	c, _ := beat()
	assert.Nil(t, c, "another process is watched")
}
