package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pinned is a version that the test needn't know.
func pinned(t *testing.T, pair Pair, name string) string {
	t.Helper()
	version, err := Version(pair, name)
	require.NoError(t, err)
	require.Regexp(t, `^\d+\.\d+\.\d+$`, version)
	return module(name) + "-" + version
}

func TestVersion(t *testing.T) {
	for _, name := range []string{"vault", "nomad"} {
		require.NotEqual(t, pinned(t, Current, name), pinned(t, Older, name))
		require.NotEqual(t, pinned(t, Older, name), pinned(t, Floor, name))
	}
	require.Equal(t, pinned(t, Current, "vault"), pinned(t, Newest, "vault"))
	require.NotEqual(t, pinned(t, Current, "nomad"), pinned(t, Newest, "nomad"))
	pinned(t, Newest, "jwt")
	_, err := Version("newer", "vault")
	require.ErrorContains(t, err, "no such pair")
}

func TestFind(t *testing.T) {
	cache, bin := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("PATH", bin)
	t.Setenv("HARVEST_VAULT", "")
	t.Setenv("HARVEST_NOMAD", "")

	for _, pair := range []Pair{Floor, Older, Current, Newest} {
		_, err := Find(pair)
		require.ErrorIs(t, err, ErrNotBuilt)
		require.ErrorContains(t, err, "make lab")
	}
	touch := func(path string) string {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o755))
		return path
	}
	nomad := touch(filepath.Join(bin, "nomad"))
	touch(filepath.Join(bin, "vault"))
	vault := touch(filepath.Join(cache, "harvest-lab", pinned(t, Current, "vault"), "vault"))

	got, err := Find(Current)
	require.NoError(t, err)
	require.Equal(t, Binaries{Vault: vault, Nomad: nomad}, got, "built before found")
	_, err = Find(Older)
	require.ErrorIs(t, err, ErrNotBuilt, "a server on the PATH isn't the older one")
	t.Setenv("HARVEST_LAB", "older")
	_, err = Find("")
	require.ErrorIs(t, err, ErrNotBuilt)

	own := touch(filepath.Join(bin, "bao"))
	t.Setenv("HARVEST_VAULT", own)
	t.Setenv("HARVEST_NOMAD", nomad)
	got, err = Find("")
	require.NoError(t, err)
	require.Equal(t, Binaries{Vault: own, Nomad: nomad}, got, "of one's own")
}

func TestBuild(t *testing.T) {
	cache := t.TempDir()
	var want string
	for _, name := range []string{"vault", "nomad", "consul"} {
		path := filepath.Join(cache, "harvest-lab", pinned(t, Older, name), name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o755))
		version, _ := Version(Older, name)
		want += name + " " + version + ": there already, " + path + "\n"
	}
	cmd := exec.Command("./build", "older")
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, want, string(out))
}

// script is a stand-in for a server.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

func TestServerThatFails(t *testing.T) {
	_, err := StartVault(t.Context(), VaultOptions{Binary: script(t, "echo no storage; exit 3")})
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no storage")

	_, err = StartNomad(t.Context(), NomadOptions{Binary: script(t, "echo bad config; exit 1")})
	require.ErrorContains(t, err, "bad config")
}

func TestPortsAreTriedAgain(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	_, err := StartVault(t.Context(), VaultOptions{Binary: script(t,
		"echo . >>"+count+"; echo listen tcp: bind: address already in use; exit 1")})
	require.ErrorContains(t, err, "address already in use")
	tries, err := os.ReadFile(count)
	require.NoError(t, err)
	require.Len(t, tries, 2*portTries)
}

func TestServerThatIsNeverReady(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := StartVault(ctx, VaultOptions{Binary: script(t, "echo starting; exec sleep 600")})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "starting")
}

func TestFreePorts(t *testing.T) {
	seen := map[int]bool{}
	for range 20 {
		ports, err := freePorts(3)
		require.NoError(t, err)
		for _, p := range ports {
			require.False(t, seen[p], "port %d twice", p)
			seen[p] = true
		}
	}
}
