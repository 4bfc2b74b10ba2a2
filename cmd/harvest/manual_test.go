package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/manual"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
)

// manualGroups are flags that several commands share.
func manualGroups() []manual.Group {
	return []manual.Group{
		{Title: "Options of the cluster", Mention: "of the cluster", Flags: clusterFlags()},
		{Title: "Options of the mount", Mention: "of the mount", Flags: mountFlags()},
		{Title: "Options for every mount", Mention: "for every mount", Flags: ruleFlags()},
		{Title: "Options of the log", Mention: "of the log", Flags: logFlags("none")},
	}
}

// page compares a manual page with the one in docs/man, which -update writes.
func page(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("..", "..", "docs", "man", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, os.Chmod(file, 0o644))
	}
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(kept), text, "write it again: make manual")
}

func manRoot() *cli.Command {
	a := &app{out: &render.Output{Output: terminal.Output{W: io.Discard}}, says: &terminal.Messages{W: io.Discard}, process: process{stderr: io.Discard}}
	return a.root()
}

// TestManual: harvest(1) is what the command's definitions make it, and has each of them.
func TestManual(t *testing.T) {
	root := manRoot()
	text := manual.Command(root, manualGroups(), config.Usual)
	page(t, "harvest.1", text)
	names, commands := manual.Leaves(root.Commands, "harvest")
	for i, c := range commands {
		assert.Contains(t, text, ".SS "+manual.Escape(names[i])+"\n")
		for _, f := range c.Flags {
			assert.Contains(t, text, ".TP\n"+manual.FlagTag(f), "%s", names[i])
		}
	}
}

// forTests are the rooms that no operator runs.
var forTests = regexp.MustCompile(`/internal/(lab|fixture|fa[a-z]*)/`)

// TestManualEnvironment: the manual has every variable that the code names, and no Nomad
// variable that it doesn't.
func TestManualEnvironment(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	rooms, err := filepath.Glob("../../internal/*/*.go")
	require.NoError(t, err)
	files = append(files, rooms...)
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || forTests.MatchString(file) {
			continue
		}
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		source.Write(data)
	}
	var documented []string
	for _, e := range manual.Environment {
		documented = append(documented, strings.Split(e.Names, ", ")...)
	}
	for _, m := range regexp.MustCompile(`(?:etenv\(|env\("[a-z-]+", )"([A-Z_]+)"`).FindAllStringSubmatch(source.String(), -1) {
		assert.Contains(t, documented, m[1])
	}
	for _, name := range documented {
		if strings.HasPrefix(name, "NOMAD_") {
			assert.Contains(t, source.String(), `"`+name+`"`)
		}
	}
}

// TestManualConfig: harvest.hcl(5) is as it was written last.
func TestManualConfig(t *testing.T) {
	page(t, "harvest.hcl.5", manual.Config(config.Usual, config.MaxFile>>20))
}
