package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jwksharvest/harvest/pem"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

func pemOf(k *fakenomad.Key) (string, error) {
	b, err := pem.Encode(k.Public())
	return string(b), err
}

func TestListenAddress(t *testing.T) {
	for in, want := range map[string]string{":8300": "127.0.0.1:8300", "0.0.0.0:1": "0.0.0.0:1", "[::1]:2": "[::1]:2", "8300": "", "host": "", "host:": "", "": ""} {
		got, err := listenAddress(in)
		assert.Equal(t, want, got, in)
		assert.Equal(t, want == "", err != nil, in)
	}
}

// TestPartition: mounts stand together where they share clusters, directly or not.
func TestPartition(t *testing.T) {
	mount := func(path string, clusters ...string) mountConfig { return mountConfig{path: path, clusters: clusters} }
	var got []string
	for _, part := range partition([]mountConfig{
		mount("1", "a"), mount("2", "b"), mount("3", "c", "d"), mount("4", "d", "a"), mount("5", "e"), mount("6", "b"),
	}) {
		var paths []string
		for _, m := range part {
			paths = append(paths, m.path)
		}
		got = append(got, strings.Join(paths, ""))
	}
	assert.Equal(t, []string{"134", "26", "5"}, got)
}

func TestNotifier(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	require.NoError(t, newNotifier(env(), 7).tell("READY=1"))
	require.Error(t, newNotifier(env("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none")), 7).tell("READY=1"))
	assert.Equal(t, 2*time.Second, newNotifier(env("WATCHDOG_USEC", "2000000", "WATCHDOG_PID", "7"), 7).watchdog)
	assert.Zero(t, newNotifier(env("WATCHDOG_USEC", "2000000", "WATCHDOG_PID", "8"), 7).watchdog)
	assert.Zero(t, newNotifier(env("WATCHDOG_USEC", "-1"), 7).watchdog)
	assert.Contains(t, reloading(), "RELOADING=1")
}
