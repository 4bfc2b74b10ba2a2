package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/manual"
)

// now is the time of every run in this process.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// harvest runs the command in this process.
func harvest(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"harvest"}, args...), process{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		getenv: func(name string) string { return env[name] },
		now:    func() time.Time { return now },
	})
	return code, out.String(), errs.String()
}

// noVault keeps the machine's own Vault settings out of a test.
func noVault(t *testing.T) {
	t.Helper()
	fakevault.ClearEnvironment(t)
}

// ownVault is a Vault for everything, and the only one that the environment names.
func ownVault(t *testing.T) *fakevault.Server {
	t.Helper()
	noVault(t)
	vault := fakevault.New(t)
	t.Setenv("VAULT_ADDR", vault.URL)
	t.Setenv("VAULT_TOKEN", fakevault.RootToken)
	return vault
}

// TestUsage: what can't be understood exits with 1 and a line that says where help is.
func TestUsage(t *testing.T) {
	noVault(t)
	one := []string{"-cluster", "a", "-mount", "m", "-jwks-file", "a.json"}
	with := func(command string, more ...string) []string {
		return append(append([]string{command}, one...), more...)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown command":        {[]string{"harvets"}, `unknown command "harvets"`},
		"a slip in a command":    {[]string{"synk"}, `unknown command "synk"; did you mean sync?`},
		"an empty -config":       {[]string{"plan", "-config", ""}, "-config is empty: name the file, or leave -config out"},
		"unknown flag":           {with("sync", "-moun", "x"), "unknown flag -moun; did you mean -mount? (see `harvest sync -help`)"},
		"unknown flag, no guess": {with("sync", "-zzz"), "unknown flag -zzz (see"},
		"flag before command":    {[]string{"-config", "x", "sync"}, "unknown flag -config: flags follow the command"},
		"argument":               {with("plan", "x"), `unexpected argument "x"`},
		"later argument":         {with("status", "--", "-mount"), `unexpected argument "-mount"`},
		"no value":               {[]string{"sync", "-mount"}, "flag needs an argument: -mount"},
		"bad duration":           {with("sync", "-retain", "soon"), `-retain "soon"`},
		"no keys":                {with("sync", "-max-keys", "0"), "-max-keys 0: want a number from 1 to 10000"},
		"negative duration":      {with("sync", "-retain", "-1h"), "-retain -1h0m0s"},
		"no timeout":             {with("sync", "-timeout", "0s"), `-timeout "0s": want a duration above zero`},
		"bad format":             {with("sync", "-format", "yaml"), `-format "yaml": want text, json`},
		"vault format of sync":   {with("sync", "-format", "vault"), `-format "vault"`},
		"bad log format":         {with("sync", "-log-format", "x"), `-log-format "x"`},
		"bad log level":          {with("sync", "-log-level", "x"), `-log-level "x"`},
		"no cluster":             {[]string{"plan", "-mount", "m"}, "no cluster: give -cluster NAME"},
		"no mount":               {[]string{"plan", "-cluster", "a"}, "no mount: give -mount PATH"},
		"no source":              {[]string{"plan", "-cluster", "a", "-mount", "m"}, "no source of keys: give -nomad-address URL (or NOMAD_ADDR)"},
		"two sources":            {with("plan", "-jwks-url", "https://x"), "-jwks-url and -jwks-file: a cluster has one source"},
		"bad cluster":            {[]string{"plan", "-cluster", "a/b", "-mount", "m", "-jwks-file", "x"}, `cluster name "a/b"`},
		"bad mount":              {[]string{"plan", "-cluster", "a", "-mount", "../sys", "-jwks-file", "x"}, `-mount: mount path "../sys"`},
		"bad pin":                {with("plan", "-pin", "abc"), `-pin: fingerprint "abc"`},
		"short deny":             {with("plan", "-deny", "sha256:0123"), `-deny: fingerprint "sha256:0123"`},
		"bad foreign":            {with("plan", "-foreign", "x"), `-foreign "x": want keep, warn, remove`},
		"bad URL":                {[]string{"plan", "-cluster", "a", "-mount", "m", "-nomad-address", "nomad:4646"}, "-nomad-address: not a URL"},
		"region of a file":       {with("plan", "-region", "x"), "-region is a Nomad agent's"},
		"certificate":            {with("plan", "-nomad-client-cert", "x"), "without its key: give -nomad-client-key"},
		"turnover":               {with("sync", "-allow-turnover=b"), `no cluster "b"; there is "a"`},
		"no turnover":            {with("sync", "-allow-turnover=false"), "-allow-turnover"},
		"retired too":            {with("sync", "-retired", "a"), "both trusted and retired"},
		"file and flags":         {with("sync", "-config", "x.hcl"), "says what the file of -config says"},
		"file missing":           {[]string{"sync", "-config", "missing.hcl"}, "configuration: open missing.hcl"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := harvest(t, nil, test.args...)
			assert.Equal(t, exitNothing, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, test.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"help"}, {"help", "sync"}, {"pem", "-help"}, {"version"}, {"--version"}} {
		code, stdout, stderr := harvest(t, nil, args...)
		assert.Zero(t, code, args)
		assert.NotEmpty(t, stdout, args)
		assert.Empty(t, stderr, args)
	}
	for _, name := range []string{"sync", "config", "config validate", "config init", "completion"} {
		code, stdout, _ := harvest(t, nil, append([]string{"help"}, strings.Fields(name)...)...)
		assert.Zero(t, code, name)
		assert.Contains(t, stdout, "NAME:\n   harvest "+name+" - ")
	}
	for _, name := range []string{"nothing", "config nothing", "plan nothing"} {
		code, stdout, stderr := harvest(t, nil, append([]string{"help"}, strings.Fields(name)...)...)
		assert.Equal(t, exitNothing, code, name)
		assert.Empty(t, stdout, name)
		assert.Contains(t, stderr, "unknown command \""+name+"\"")
	}
	// A cron line that lost its command is no success.
	code, stdout, stderr := harvest(t, nil)
	assert.Equal(t, exitNothing, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "COMMANDS:")
	code, stdout, stderr = harvest(t, nil, "config")
	assert.Equal(t, exitNothing, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "COMMANDS:")
}

// TestUsualConfiguration: every command has the same file where none is named, and flags of a mount
// go before it.
func TestUsualConfiguration(t *testing.T) {
	ownVault(t).Enable("", "jwt-usual", "jwt")
	usual := filepath.Join(t.TempDir(), "harvest.hcl")
	call := func(args ...string) (int, string) {
		var all bytes.Buffer
		code := run(t.Context(), append([]string{"harvest"}, args...), process{
			stdin: strings.NewReader(""), stdout: &all, stderr: &all, getenv: func(string) string { return "" }, now: time.Now, usual: usual,
		})
		return code, all.String()
	}
	code, said := call("sync")
	assert.Equal(t, exitNothing, code)
	assert.Contains(t, said, "no mount: give -mount PATH")
	code, said = call("config", "validate")
	assert.Equal(t, exitNothing, code)
	assert.Contains(t, said, "open "+usual)

	require.NoError(t, os.WriteFile(usual, []byte("cluster \"us-east\" { jwks_file = \"testdata/us-east.json\" }\nmount \"jwt-usual\" {\n  clusters = [\"us-east\"]\n  settle = \"300ms\"\n}\n"), 0o600))
	for _, args := range []string{"policy", "plan", "sync -allow-empty", "sync -dry-run", "status", "config validate -skip-files", "setup -print vault"} {
		code, said = call(strings.Fields(args)...)
		assert.Zero(t, code, "%s: %s", args, said)
		if args != "config validate -skip-files" {
			assert.Contains(t, said, "jwt-usual", args)
		}
	}
	_, said = call("policy", "-mount", "jwt-other")
	assert.NotContains(t, said, "jwt-usual")
	_, said = call("sync", "-cluster", "us-east")
	assert.Contains(t, said, "no mount: give -mount PATH")
	_, said = call("config", "validate", "-config", "")
	assert.Contains(t, said, "-config is empty")
	_, said = call("verify", "-config", "")
	assert.Contains(t, said, "-config is empty")
	_, said = call("setup", "-role", "x")
	assert.Contains(t, said, "-role beside "+usual)

	_, commands := manual.Leaves(manRoot().Commands, "")
	count := 0
	for _, c := range commands {
		for _, f := range c.Flags {
			if flag, ok := f.(*cli.StringFlag); ok && flag.Name == "config" {
				count++
				assert.Equal(t, config.Usual, flag.DefaultText, c.Name)
			}
		}
	}
	assert.Equal(t, 8, count)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestFullDisk(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"harvest", "policy", "-mount", "m"}, process{
		stdin: strings.NewReader(""), stdout: fullDisk{}, stderr: &stderr, getenv: os.Getenv, now: time.Now,
	})
	assert.Equal(t, exitNothing, code)
	assert.Contains(t, stderr.String(), "writing the results: no space left on device")
}
