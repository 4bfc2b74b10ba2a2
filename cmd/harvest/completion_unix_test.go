//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCompletionInBash: a bash without any other package completes commands, flags and values, and
// leaves files to itself. Nothing that was typed is run.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	require.NoError(t, err, "make itself needs one")
	dir := t.TempDir()
	// The script asks this one, which hands its arguments to the command in this process.
	asked := filepath.Join(dir, "asked")
	fake := filepath.Join(dir, "harvest")
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >\""+asked+"\"\ncat \""+dir+"/offers\" 2>/dev/null\n"), 0o700))
	_, script, _ := harvest(t, nil, "completion", "bash")
	complete := func(typed string) string {
		request := script + `
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=(harvest)
_harvest
printf '%s ' "${COMPREPLY[@]}"`
		call := func() string {
			cmd := exec.CommandContext(t.Context(), bash, "--norc", "--noprofile", "-c", request, "bash", typed)
			cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "HOME=" + dir}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			return strings.TrimSpace(string(out))
		}
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "offers")))
		call()
		args, err := os.ReadFile(asked)
		require.NoError(t, err)
		_, offers, _ := harvest(t, nil, strings.Split(strings.TrimSuffix(string(args), "\n"), "\n")...)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "offers"), []byte(offers), 0o600))
		return call()
	}
	for typed, want := range map[string]string{
		"harvest config ":                     "validate init",
		"harvest sync -allow":                 "-allow-plaintext -allow-turnover -allow-empty",
		"harvest sync --allow-t":              "--allow-turnover",
		"harvest sync -format ":               "text json",
		"harvest sync -format j":              "json",
		"harvest sync --format=j":             "json",
		"harvest status -format ":             "text json html",
		"harvest plan -foreign r":             "remove",
		"harvest setup -print ":               "vault terraform removal",
		"harvest sync -log-level=":            "none error warn info debug",
		"harvest sync -config ":               "",
		"harvest verify -jwks ":               "",
		"harvest sync -config $(touch ran) -": "",
	} {
		got := complete(typed)
		if strings.HasSuffix(typed, " -") {
			assert.Contains(t, got, "-mount", typed)
			continue
		}
		assert.Equal(t, want, got, typed)
	}
	assert.NoFileExists(t, "ran")
}
