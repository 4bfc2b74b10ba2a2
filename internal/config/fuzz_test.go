package config

import (
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hashicorp/vault/api"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// FuzzConfig: whatever the file, there is an error that names each mistake with its place, or
// a configuration within the bounds that is a Harvester.
func FuzzConfig(f *testing.F) {
	for _, seed := range configSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		cfg, err := Parse("x.hcl", []byte(src))
		if err != nil {
			require.Nil(t, cfg)
			requirePlaces(t, src, err)
			return
		}
		require.NoError(t, cfg.Finish(flags{}))
		for _, c := range cfg.Clusters {
			requireCluster(t, c)
		}
		for _, v := range cfg.Vaults {
			requireVault(t, v)
		}
		requireMounts(t, cfg)
		requireHarvester(t, cfg)
		require.NotContains(t, cfg.Policy(true), "\x1b")
	})
}

// configSeeds are the files of the documentation and of the tests.
func configSeeds(f *testing.F) []string {
	seeds := []string{
		"vault \"x\" {\n  address = \"https://v\"\n  auth \"approle\" {\n    role_id = \"a\"\n    secret_id_file = \"b\"\n  }\n}\n",
		"deny = [\"" + aFingerprint + "\", null]\ncluster a { pin = [] }", "a = <<X\n${b}\nX\n", "mount \"a\" { clusters = { a = 1 } }",
		"cluster \"a\" {\n  address = \"https://user:canary@nomad\"\n}\n", "vault {\n  address = \"https://user:canary@vault:x\"\n}\n",
		"cluster \"a\" {\n  oidc_issuer = \"https://user:canary@%zz\"\n", "cluster \"a\" {\n  jwks_url = \"ftp://:canary@x\"\n  address = \"https://:canary@x y\"\n}\n",
	}
	const sound = "cluster \"zz\" { jwks_file = \"z.json\" }\nmount \"zz\" { clusters = [\"zz\"] }\n"
	for _, mistake := range configMistakes {
		if len(mistake.src) < 4096 {
			seeds = append(seeds, mistake.src, mistake.src+sound)
		}
	}
	documents, err := filepath.Glob("../../docs/*.md")
	require.NoError(f, err)
	for _, name := range append(documents, "../../README.md") {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		for _, fenced := range regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			seeds = append(seeds, fenced[1])
		}
	}
	scripts, err := filepath.Glob("../../cmd/harvest/testdata/script/*.txt")
	require.NoError(f, err)
	for _, name := range scripts {
		archive, err := txtar.ParseFile(name)
		require.NoError(f, err)
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".hcl") {
				seeds = append(seeds, string(file.Data))
			}
		}
	}
	slices.Sort(seeds) // or each run names another by the same number
	return seeds
}

var (
	place = regexp.MustCompile(`^x\.hcl:(\d+):(\d+): .`)
	// secrets are passwords in addresses, the only ones that a file could hold.
	secrets = regexp.MustCompile(`(address|jwks_url|oidc_issuer) *= *"[a-z]+://[a-z]*:canary@`)
)

// requirePlaces checks that each line of an error names a place within the file, can be
// printed, and shows no password.
func requirePlaces(t *testing.T, src string, err error) {
	t.Helper()
	lines := strings.Split(err.Error(), "\n")
	require.LessOrEqual(t, len(lines), maxConfigErrors+1)
	for i, line := range lines {
		if i == maxConfigErrors && line == "and more" {
			continue
		}
		at := place.FindStringSubmatch(line)
		require.NotNil(t, at, "an error without a place: %q", err)
		row, _ := strconv.Atoi(at[1])
		column, _ := strconv.Atoi(at[2])
		require.True(t, row >= 1 && row <= strings.Count(src, "\n")+2, "%q", line)
		require.True(t, column >= 1 && column <= len(src)+2, "%q in %q", line, src)
		require.False(t, strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }), "unprintable: %q", line)
	}
	if strings.Count(src, "canary") == len(secrets.FindAllString(src, -1)) {
		require.NotContains(t, err.Error(), "canary")
	}
}

func requireCluster(t *testing.T, c Cluster) {
	t.Helper()
	require.NoError(t, rule.CheckCluster(c.Name))
	sources := slices.DeleteFunc([]string{c.Address, c.JWKSURL, c.JWKSFile, c.OIDCIssuer, c.Kubernetes}, func(s string) bool { return s == "" })
	require.Len(t, sources, 1)
	requireAddress(t, c.URL(), "http", "https")
	require.Equal(t, c.TLS.ClientCert == "", c.TLS.ClientKey == "")
	require.True(t, c.TLS.CACert == "" || c.TLS.CAPath == "")
	if c.TokenFile != "" {
		require.False(t, c.TLS.InsecureSkipVerify || c.AllowPlaintext, "a token for anyone on the path")
		requireAddress(t, c.URL(), "https")
	}
	require.True(t, !c.TLS.InsecureSkipVerify || c.AllowPlaintext, "certificates unchecked, and nobody asked for it")
	require.True(t, c.JWKSFile == "" || c.TLS == jwks.TLS{} && !c.AllowPlaintext)
	require.True(t, len(c.Regions) == 0 || c.Address != "")
	for i, region := range c.Regions {
		require.Regexp(t, `^([A-Za-z0-9._-]{0,128}|\*)$`, region)
		require.NotContains(t, c.Regions[:i], region)
	}
}

func requireAddress(t *testing.T, raw string, schemes ...string) {
	t.Helper()
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	require.NoError(t, err)
	require.Contains(t, schemes, u.Scheme)
	require.Nil(t, u.User)
	require.True(t, u.Host != "" || u.Scheme == "unix")
}

func requireVault(t *testing.T, v Vault) {
	t.Helper()
	requireAddress(t, v.Address, "http", "https", "unix")
	require.Equal(t, v.TLS.ClientCert == "", v.TLS.ClientKey == "")
	require.Equal(t, v.Namespace, strings.Trim(v.Namespace, "/"))
	if a := v.Auth; a != nil {
		complete := map[string]bool{
			"jwt": a.Mount != "" && a.TokenFile != "", "approle": a.RoleID != "" && a.SecretIDFile != "", "kubernetes": a.Role != "", "token_file": a.TokenFile != "",
		}
		require.True(t, complete[a.Method], "%+v", a)
	}
}

func requireMounts(t *testing.T, cfg *Config) {
	t.Helper()
	require.NotEmpty(t, cfg.Mounts)
	const tenYears = 10 * 365 * 24 * time.Hour
	seen := map[vaultsync.MountID]bool{}
	for _, m := range cfg.Mounts {
		require.NoError(t, checkMountPath(m.Path))
		require.False(t, seen[cfg.Target(m)], "two blocks for one mount")
		seen[cfg.Target(m)] = true
		o := m.Options
		require.NotEmpty(t, m.Clusters)
		require.Contains(t, []plan.Foreign{"", "keep", "warn", "remove"}, o.Foreign)
		require.True(t, o.Retain >= 0 && o.Retain <= tenYears && o.Settle >= 0 && o.Settle <= tenYears)
		for _, name := range m.Clusters {
			require.True(t, slices.ContainsFunc(cfg.Clusters, func(c Cluster) bool { return c.Name == name }))
			require.NotContains(t, o.Retired, name)
		}
		for _, f := range cfg.Deny {
			require.Contains(t, o.Deny, f)
		}
		for _, c := range cfg.Clusters {
			require.ElementsMatch(t, c.Pin, o.Pin[c.Name])
		}
	}
}

// requireHarvester makes the Harvester that sync would, and has it checked. It reads no file.
func requireHarvester(t *testing.T, cfg *Config) {
	t.Helper()
	h := &vaultsync.Harvester{}
	for _, c := range cfg.Clusters {
		c.TLS = jwks.TLS{}
		h.Clusters = append(h.Clusters, c.Open(Reading{}))
	}
	mounts := map[string]bool{}
	twice := false
	for _, m := range cfg.Mounts {
		v := cfg.Vaults[m.Vault]
		client, err := api.NewClient(&api.Config{Address: cmp.Or(v.Address, "https://vault.example.com:8200")})
		require.NoError(t, err, v.Address)
		client.SetNamespace(v.Namespace)
		mount := vaultsync.NewMount(client, m.Path)
		mount.Namespace = m.Namespace
		twice = twice || mounts[mount.String()]
		mounts[mount.String()] = true
		h.Targets = append(h.Targets, vaultsync.Target{Mount: mount, Clusters: m.Clusters, Options: m.Options})
	}
	if err := h.Check(); twice {
		require.ErrorContains(t, err, "named by two targets") // two Vaults without an address
	} else {
		require.NoError(t, err)
	}
}
