package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/manual"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/verify"
	"github.com/jwksharvest/harvest/vaultsync"
)

// tags are what stands for the colours in golden files.
var tags = strings.NewReplacer(
	"\x1b[1m", "<bold>", "\x1b[31m", "<red>", "\x1b[32m", "<green>", "\x1b[33m", "<yellow>", "\x1b[36m", "<cyan>", "\x1b[1;31m", "<alarm>", "\x1b[0m", "</>",
)

var colours = regexp.MustCompile("\x1b\\[(0|1|31|32|33|36|1;31)m")

// onScreen runs the command in this process, on a screen.
func onScreen(t *testing.T, s terminal.Terminal, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	run(t.Context(), append([]string{"harvest"}, args...), process{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, outTerminal: s,
		getenv: func(string) string { return "" }, now: func() time.Time { return now },
	})
	require.NotEmpty(t, out.String(), errs.String())
	return out.String()
}

// looksRight checks what goes for all that is printed on a screen: the colours are ours and
// the text is the same without them; nothing of a remote steers the terminal; no line is too
// long, but for one with a word that is.
func looksRight(t *testing.T, text, uncoloured string, width int) {
	t.Helper()
	bare := colours.ReplaceAllString(text, "")
	assert.Equal(t, uncoloured, bare)
	assert.NotContains(t, bare, "\x1b")
	assert.NotContains(t, bare, "\u202e")
	for line := range strings.SplitSeq(bare, "\n") {
		if terminal.Columns(line) <= width {
			continue
		}
		words := strings.Fields(line)
		long := ""
		for _, word := range words {
			if terminal.Columns(word) > terminal.Columns(long) {
				long = word
			}
		}
		assert.Greater(t, terminal.Columns(long), width/3, "%d columns, and no word that is long:\n%s", terminal.Columns(line), line)
	}
}

const (
	longCluster = "production-europe-west-1-nomad-cluster-of-the-platform-team-a"
	longMount   = "workloads/platform/production/europe-west-1/jwt-nomad-of-the-platform-team"
)

// screenWorld is a Vault and a configuration with names that are long, wide or hostile.
func screenWorld(t *testing.T) (config string, vault *fakevault.Server) {
	t.Helper()
	vault = ownVault(t)
	vault.Enable("", longMount, "jwt")
	upgraded := keysOf(t, "../../jwks/testdata/nomad-upgraded.json")
	mixed := keysOf(t, "../../jwks/testdata/mixed.json")
	foreign := keysOf(t, "../../jwks/testdata/rfc7517-a1.json")
	require.NoError(t, vault.WriteConfig("", longMount, map[string]any{
		"jwt_supported_algs": []string{"RS256", "ES384"},
		"jwt_validation_pubkeys": []string{
			element(t, upgraded["3f0f"], longCluster, now.Add(-3*time.Hour)),
			element(t, upgraded["fd33"], longCluster, now.Add(-40*24*time.Hour)),
			element(t, foreign["2011"], "", now),
			element(t, mixed["p256"], "another\x1b[2J\u202e", now.Add(-90*24*time.Hour)),
			element(t, mixed["p384"], "edge", now.Add(-5*time.Minute)),
			element(t, mixed["p521"], "東京都のクラスタ", now.Add(-time.Hour)),
		},
	}))
	config = filepath.Join(t.TempDir(), "c.hcl")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
cluster %q { jwks_file = "testdata/us-east.json" }
cluster %q { jwks_file = "../../jwks/testdata/nomad-docs.json" }
cluster "edge" { jwks_file = "testdata/missing.json" }
mount %q {
  clusters = [%q, %q, "edge"]
  settle   = "300ms"
}
`, longCluster, longCluster+"b", longMount, longCluster, longCluster+"b"), 0o600))
	return config, vault
}

// TestScreen: what each command prints on terminals of 80 and 120 columns.
func TestScreen(t *testing.T) {
	for _, width := range []int{80, 120} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			config, vault := screenWorld(t)
			// A word that is long whatever the temporary directory is called: such a line isn't
			// folded.
			mistakes := filepath.Join(t.TempDir(), strings.Repeat("d", width/3), "m.hcl")
			require.NoError(t, os.Mkdir(filepath.Dir(mistakes), 0o700))
			require.NoError(t, os.WriteFile(mistakes, []byte(validateTexts["every mistake"].src+"cluster \"unused\" { jwks_file = \"testdata/us-east.json\" }\n"), 0o600))
			for _, test := range []struct {
				name string
				args []string
			}{
				{"plan", []string{"plan", "-config", config}},
				{"pem", []string{"pem", "testdata/us-east.json"}},
				{"policy", []string{"policy", "-config", config}},
				{"validate", []string{"config", "validate", "-config", mistakes}},
				{"validate-good", []string{"config", "validate", "-config", config, "-skip-files"}},
				{"status", []string{"status", "-config", config}},
				{"sync", []string{"sync", "-config", config}},
			} {
				text := onScreen(t, terminal.Terminal{Width: width, Colour: true}, test.args...)
				uncoloured := colours.ReplaceAllString(text, "")
				if test.name != "sync" { // which has nothing left to do the second time
					uncoloured = onScreen(t, terminal.Terminal{Width: width}, test.args...)
				}
				looksRight(t, text, uncoloured, width)
				text = strings.ReplaceAll(strings.ReplaceAll(text, mistakes, "m.hcl"), config, "c.hcl")
				golden(t, filepath.Join("screen", fmt.Sprintf("%s.%d.txt", test.name, width)), tags.Replace(text), vault.URL)
			}
		})
	}
}

// TestScreenHelp: help keeps to the width, of which a file has 80, in every command, and its flags
// have one dash.
func TestScreenHelp(t *testing.T) {
	for _, width := range []int{80, 120} {
		golden(t, filepath.Join("screen", fmt.Sprintf("help.%d.txt", width)), onScreen(t, terminal.Terminal{Width: width}, "sync", "-help"), "$none")
	}
	names, _ := manual.Leaves(manRoot().Commands, "")
	for _, name := range append(names, "", "config", "completion", "completion bash") {
		if name == " help" { // which is help
			continue
		}
		args := append(strings.Fields(name), "-help")
		text := onScreen(t, terminal.Terminal{}, args...)
		looksRight(t, onScreen(t, terminal.Terminal{Width: 80, Colour: true}, args...), text, 80)
		assert.NotContains(t, text, "--", name)
	}
}

// TestScreenFailures: what a terminal shows of both streams, where something fails. Each failure is
// there once, with what to do next.
func TestScreenFailures(t *testing.T) {
	for _, width := range []int{80, 120} {
		var all strings.Builder
		for _, test := range []struct {
			name    string
			prepare func(v *fakevault.Server, n *fakenomad.Server)
			env     map[string]string
			args    []string
		}{
			{name: "a sealed Vault", prepare: func(v *fakevault.Server, _ *fakenomad.Server) { v.Seal() }},
			{name: "a token that expired", env: map[string]string{"VAULT_TOKEN": "hvs.unknown"}},
			{name: "no mount", args: []string{"-mount", "jwt-none"}},
			{name: "no VAULT_ADDR", env: map[string]string{"VAULT_ADDR": "", "VAULT_MAX_RETRIES": "0"}},
			{name: "VAULT_ADDR without a scheme", env: map[string]string{"VAULT_ADDR": "vault.example.com:8200"}},
			{name: "a namespace, and a Vault without any", prepare: func(v *fakevault.Server, _ *fakenomad.Server) { v.SetCommunity(true) }, args: []string{"-namespace", "team-a"}},
			{name: "a dead cluster", prepare: func(_ *fakevault.Server, n *fakenomad.Server) { n.Region("").Clear() }},
			{name: "a refused turnover", prepare: func(_ *fakevault.Server, n *fakenomad.Server) { n.Region("").Rebuild() }},
		} {
			vault, nomad := ownVault(t), fakenomad.New(t)
			vault.Enable("", "jwt-nomad", "jwt")
			show := func(args ...string) string {
				var both bytes.Buffer
				s := terminal.Terminal{Width: width}
				args = append([]string{"harvest", "sync", "-cluster", "us-east", "-nomad-address", nomad.URL, "-mount", "jwt-nomad", "-settle", "300ms"}, args...)
				code := run(t.Context(), args, process{
					stdin: strings.NewReader(""), stdout: &both, stderr: &both, outTerminal: s, errTerminal: s, getenv: os.Getenv, now: func() time.Time { return now },
				})
				return fmt.Sprintf("%s=> %d\n", &both, code)
			}
			show()
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if test.prepare != nil {
				test.prepare(vault, nomad)
			}
			text := strings.NewReplacer(vault.URL, "http://127.0.0.1:8200", nomad.URL, "http://127.0.0.1:4646").Replace(show(test.args...))
			text = regexp.MustCompile(`sha256:[0-9a-f]{8}`).ReplaceAllString(regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(text, "sha256:WHOLE"), "sha256:ffffffff")
			fmt.Fprintf(&all, "--- %s\n%s\n", test.name, regexp.MustCompile(`\b[0-9a-f]{8}  `).ReplaceAllString(text, "kkkkkkkk  "))
		}
		golden(t, filepath.Join("screen", fmt.Sprintf("failures.%d.txt", width)), all.String(), "$none")
	}
}

// TestScreenSetup: the same for setup, which begins with a mount that isn't there.
func TestScreenSetup(t *testing.T) {
	for _, width := range []int{80, 120} {
		config, vault := screenWorld(t)
		vault.Disable("", longMount)
		text := onScreen(t, terminal.Terminal{Width: width, Colour: true}, "setup", "-config", config, "-y")
		looksRight(t, text, colours.ReplaceAllString(text, ""), width)
		golden(t, filepath.Join("screen", fmt.Sprintf("setup.%d.txt", width)), tags.Replace(text), vault.URL)
	}
}

// TestScreenVerify: the same for the verdicts of verify.
func TestScreenVerify(t *testing.T) {
	verdicts := []*verify.Result{
		{MountID: vaultsync.MountID{Vault: "https://vault.example.com:8200", Path: longMount}, Verdict: &verify.Verdict{Findings: []verify.Finding{
			{Check: "signature", Outcome: verify.OutcomeFail, Detail: "key 226d9b52 of cluster " + longCluster + " is published, and this mount does not trust it yet",
				Fix: "harvest sync -config /etc/harvest/harvest.hcl -allow-turnover=" + longCluster},
			{Check: "audience", Outcome: verify.OutcomeOK, Detail: `"vault.io"`},
			{Check: "claims", Outcome: verify.OutcomeNote, Detail: "a\x1b[2Jb\u202e was not compared"},
		}}},
		{Source: "https://keys.example.com/jwks.json", Verdict: &verify.Verdict{Accepted: true, Findings: []verify.Finding{
			{Check: "signature", Outcome: verify.OutcomeOK, Detail: "by 東京都 and quite a long explanation of which key that was, of whom and since when"},
		}}},
		{MountID: vaultsync.MountID{Vault: "https://vault.example.com:8200", Path: "m"}, Err: fmt.Errorf("auth/m/config: the token may not read that\x1b[2J, and here is a long explanation of what to do")},
	}
	for _, width := range []int{80, 120} {
		printed := func(s terminal.Terminal) string {
			var text bytes.Buffer
			o := &render.Output{Output: terminal.Output{W: &text, Terminal: s}}
			o.Verdicts(verdicts)
			return text.String()
		}
		text := printed(terminal.Terminal{Width: width, Colour: true})
		looksRight(t, text, printed(terminal.Terminal{Width: width}), width)
		golden(t, filepath.Join("screen", fmt.Sprintf("verify.%d.txt", width)), tags.Replace(text), "https://vault.example.com:8200")
	}
}
