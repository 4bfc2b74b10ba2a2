package config

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/redact"
)

// CredentialFiles are the files with secrets that the configuration reads: tokens, secret
// ids, JWTs and private keys.
func (c *Config) CredentialFiles(getenv func(string) string) []string {
	var names []string
	for _, m := range c.Mounts {
		if m.Relay != nil {
			continue
		}
		v := c.Vaults[m.Vault]
		names = append(names, v.TLS.ClientKey)
		if !v.IsIsolated() && v.TLS.ClientKey == "" {
			names = append(names, getenv("VAULT_CLIENT_KEY"))
		}
		if v.Auth != nil {
			names = append(names, v.Auth.TokenFile, v.Auth.SecretIDFile)
		}
	}
	for _, cluster := range c.Clusters {
		if c.Uses(cluster.Name) {
			names = append(names, cluster.TLS.ClientKey, cluster.TokenFile)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// PlainVaults are the addresses on other machines to which a credential for Vault would go in plain
// HTTP, sorted. A password in one is left out.
func (c *Config) PlainVaults(getenv func(string) string) []string {
	var addresses []string
	for _, m := range c.Mounts {
		if m.Relay != nil || c.Vaults[m.Vault].Auth.IsNone() {
			continue
		}
		address := cmp.Or(c.Vaults[m.Vault].Address, getenv("VAULT_AGENT_ADDR"), getenv("VAULT_ADDR"))
		if nethint.IsPlaintext(address) {
			addresses = append(addresses, redact.Text(address))
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// Exposed returns those of the files that every user of this machine can read. Where the
// platform puts secrets, modes are the platform's business.
func Exposed(names []string, getenv func(string) string) []string {
	platform := []string{"/var/run/secrets", "/run/secrets"}
	if nomad := getenv("NOMAD_SECRETS_DIR"); nomad != "" {
		platform = append(platform, nomad)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		path, err := filepath.Abs(name)
		return err != nil || slices.ContainsFunc(platform, func(dir string) bool { return within(dir, path) }) || !readableByOthers(path)
	})
}

func within(dir, path string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// readableByOthers reports whether the mode of a file, and those of the directories on the
// way to it, let everybody in.
func readableByOthers(path string) bool {
	if runtime.GOOS == "windows" { // whose modes say nothing of this
		return false
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false // anyone who reads it will say so
	}
	const read, enter = 0o004, 0o001
	info, err := os.Stat(path)
	if err != nil || info.Mode()&read == 0 {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&enter == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}
