// Package lab runs real servers of Vault, Nomad and Consul on free loopback ports, for
// tests and for the demonstration. No containers: the servers are binaries built from
// their own sources by internal/lab/build (make lab).
//
//	vault, err := lab.StartVault(ctx, lab.VaultOptions{})
//	defer vault.Stop()
//	nomad, err := lab.StartNomad(ctx, lab.NomadOptions{Region: "us-east", VaultAddress: vault.Address})
//	defer nomad.Stop()
//
// A server runs until Stop or, on Linux, until its parent dies, whichever is first. Both
// leave nothing behind: no task, no mount, no file.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Pair is a pair of versions that the lab pins.
type Pair string

// The pairs there are.
const (
	Floor   Pair = "floor"   // the oldest that harvest supports: internal/lab/floor
	Older   Pair = "older"   // internal/lab/older
	Current Pair = "current" // internal/lab/vault and internal/lab/nomad
	Newest  Pair = "newest"  // internal/lab/newest, and its JWT auth method in Current's Vault
)

// ErrNotBuilt says that a server's binary isn't there yet.
var ErrNotBuilt = errors.New("not built: run make lab")

// Binaries are the paths of a pair's servers.
type Binaries struct {
	Vault, Nomad string
}

// PairFromEnv is the pair that HARVEST_LAB names; without it, Current.
func PairFromEnv() Pair {
	if p := os.Getenv("HARVEST_LAB"); p != "" {
		return Pair(p)
	}
	return Current
}

// Find returns the paths of a pair's binaries; "" is the pair of PairFromEnv. HARVEST_VAULT and
// HARVEST_NOMAD name binaries of one's own, such as OpenBao's, in their place. For Current a
// vault or nomad on the PATH serves where none was built. The error is ErrNotBuilt,
// with the name of what is missing.
func Find(pair Pair) (Binaries, error) {
	if pair == "" {
		pair = PairFromEnv()
	}
	vault, err := find(pair, "vault")
	if err != nil {
		return Binaries{}, err
	}
	nomad, err := find(pair, "nomad")
	if err != nil {
		return Binaries{}, err
	}
	return Binaries{Vault: vault, Nomad: nomad}, nil
}

func find(pair Pair, name string) (string, error) {
	if own := os.Getenv("HARVEST_" + strings.ToUpper(name)); own != "" {
		return exec.LookPath(own)
	}
	version, err := Version(pair, name)
	if err != nil {
		return "", err
	}
	cache := os.Getenv("XDG_CACHE_HOME") // as internal/lab/build has it, on every system
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	path := filepath.Join(cache, "harvest-lab", module(name)+"-"+version, name)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return path, nil
	}
	if pair == Current {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s %s (%s): %w", name, version, path, ErrNotBuilt)
}

// Version is the version of a server (vault or nomad), or of an external auth method (jwt), that
// the pair pins, without a v.
func Version(pair Pair, name string) (string, error) {
	dir, err := directory()
	if err != nil {
		return "", err
	}
	switch {
	case pair == Current, pair == Newest && name == "vault", name == "consul":
	case pair == Floor, pair == Older, pair == Newest:
		dir = filepath.Join(dir, string(pair))
	default:
		return "", fmt.Errorf("lab: no such pair: %q (floor, older, current, newest)", pair)
	}
	path := filepath.Join(dir, name, "go.mod")
	mod, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	required := regexp.MustCompile(`(?m)^(?:require)?\s*github\.com/hashicorp/` + module(name) + ` v(\S+)`)
	m := required.FindSubmatch(mod)
	if m == nil {
		return "", fmt.Errorf("%s requires no %s", path, module(name))
	}
	return string(m[1]), nil
}

func module(name string) string {
	if name == "jwt" {
		return "vault-plugin-auth-jwt"
	}
	return name
}

// directory finds this package's sources from the working directory upwards: the pins
// are modules of their own and can't be embedded.
func directory() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := at; ; {
		lab := filepath.Join(dir, "internal", "lab")
		if _, err := os.Stat(filepath.Join(lab, "vault", "go.mod")); err == nil {
			return lab, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("lab: no internal/lab/vault/go.mod in %s or above it", at)
		}
		dir = up
	}
}

// environ is this process's environment without what would steer the servers: their own
// variables, and AWS's, whose client gives up on a certificate file that isn't there.
func environ(extra ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "VAULT_") || strings.HasPrefix(name, "NOMAD_") ||
			strings.HasPrefix(name, "CONSUL_") || name == "AWS_CA_BUNDLE" {
			continue
		}
		env = append(env, kv)
	}
	return append(env, extra...)
}
