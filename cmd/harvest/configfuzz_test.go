package main

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

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// FuzzConfig: whatever the file, there is an error that names each mistake with its place, or
// a configuration within the bounds that is a Harvester.
func FuzzConfig(f *testing.F) {
	for _, seed := range configSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		cfg, err := parseConfig("x.hcl", []byte(src))
		if err != nil {
			require.Nil(t, cfg)
			requirePlaces(t, src, err)
			return
		}
		cfg.finish(nil, nil, false)
		for _, c := range cfg.clusters {
			requireCluster(t, c)
		}
		for _, v := range cfg.vaults {
			requireVault(t, v)
		}
		requireMounts(t, cfg)
		requireHarvester(t, cfg)
		require.NotContains(t, policies(cfg, true), "\x1b")
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
	scripts, err := filepath.Glob("testdata/script/*.txt")
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

func requireCluster(t *testing.T, c clusterConfig) {
	t.Helper()
	require.NoError(t, vaultsync.CheckClusterName(c.name))
	sources := slices.DeleteFunc([]string{c.address, c.jwksURL, c.jwksFile, c.oidcIssuer}, func(s string) bool { return s == "" })
	require.Len(t, sources, 1)
	requireAddress(t, c.url(), "http", "https")
	require.Equal(t, c.tls.ClientCert == "", c.tls.ClientKey == "")
	require.True(t, c.tls.CACert == "" || c.tls.CAPath == "")
	require.True(t, !c.tls.InsecureSkipVerify || c.allowPlaintext, "certificates unchecked, and nobody asked for it")
	require.True(t, c.jwksFile == "" || c.tls == jwks.TLS{} && !c.allowPlaintext)
	require.True(t, len(c.regions) == 0 || c.address != "")
	for i, region := range c.regions {
		require.Regexp(t, `^([A-Za-z0-9._-]{0,128}|\*)$`, region)
		require.NotContains(t, c.regions[:i], region)
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

func requireVault(t *testing.T, v vaultConfig) {
	t.Helper()
	requireAddress(t, v.address, "http", "https", "unix")
	require.Equal(t, v.clientCert == "", v.clientKey == "")
	require.Equal(t, v.namespace, strings.Trim(v.namespace, "/"))
	if a := v.auth; a != nil {
		complete := map[string]bool{
			"jwt": a.mount != "" && a.tokenFile != "", "approle": a.roleID != "" && a.secretIDFile != "", "kubernetes": a.role != "", "token_file": a.tokenFile != "",
		}
		require.True(t, complete[a.method], "%+v", a)
	}
}

func requireMounts(t *testing.T, cfg *config) {
	t.Helper()
	require.NotEmpty(t, cfg.mounts)
	const tenYears = 10 * 365 * 24 * time.Hour
	seen := map[[3]string]bool{}
	for _, m := range cfg.mounts {
		require.NoError(t, checkMountPath(m.path))
		require.False(t, seen[cfg.target(m)], "two blocks for one mount")
		seen[cfg.target(m)] = true
		o := m.options
		require.NotEmpty(t, m.clusters)
		require.Contains(t, []vaultsync.Foreign{"", "keep", "warn", "remove"}, o.Foreign)
		require.True(t, o.Retain >= 0 && o.Retain <= tenYears && o.Settle >= 0 && o.Settle <= tenYears)
		for _, name := range m.clusters {
			require.True(t, slices.ContainsFunc(cfg.clusters, func(c clusterConfig) bool { return c.name == name }))
			require.NotContains(t, o.Retired, name)
		}
		for _, f := range cfg.deny {
			require.Contains(t, o.Deny, f)
		}
		for _, c := range cfg.clusters {
			require.ElementsMatch(t, c.pin, o.Pin[c.name])
		}
	}
}

// requireHarvester makes the Harvester that sync would, and has it checked. It reads no file.
func requireHarvester(t *testing.T, cfg *config) {
	t.Helper()
	h := &vaultsync.Harvester{}
	for _, c := range cfg.clusters {
		c.tls = jwks.TLS{}
		h.Clusters = append(h.Clusters, c.cluster(false))
	}
	mounts := map[string]bool{}
	twice := false
	for _, m := range cfg.mounts {
		v := cfg.vaults[m.vault]
		client, err := api.NewClient(&api.Config{Address: cmp.Or(v.address, "https://vault.example.com:8200")})
		require.NoError(t, err, v.address)
		client.SetNamespace(v.namespace)
		mount := vaultsync.NewMount(client, m.path)
		mount.Namespace = m.namespace
		twice = twice || mounts[mount.String()]
		mounts[mount.String()] = true
		h.Targets = append(h.Targets, vaultsync.Target{Mount: mount, Clusters: m.clusters, Options: m.options})
	}
	if err := h.Check(); twice {
		require.ErrorContains(t, err, "named by two targets") // two Vaults without an address
	} else {
		require.NoError(t, err)
	}
}
