package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/fenced"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
)

// docPages returns the documentation, relative to the root of the sources.
func docPages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob("../../" + pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		for _, name := range found {
			all = append(all, strings.TrimPrefix(filepath.ToSlash(name), "../../"))
		}
	}
	return all
}

func docPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	require.NoError(t, err)
	return string(text)
}

// blocksOf returns the fenced blocks of a text.
func blocksOf(t *testing.T, text string) []fenced.Block {
	t.Helper()
	blocks, ok := fenced.Blocks(text)
	require.True(t, ok, "a block without an end")
	return blocks
}

// TestBlocks: each block says what it is, and one with commands is run by the end-to-end
// tests, or says that it isn't.
func TestBlocks(t *testing.T) {
	t.Parallel()
	languages := []string{"sh", "console", "text", "hcl", "json", "yaml", "go"}
	for _, name := range docPages(t) {
		if strings.HasPrefix(name, "examples/") { // has tests of its own
			continue
		}
		for _, b := range blocksOf(t, docPage(t, name)) {
			assert.Contains(t, languages, b.Language, "%s:%d", name, b.Line)
			if b.Language == "sh" {
				assert.True(t, b.Run(name) || b.Illustrates(), "%s:%d: put an illustration's mark above it, or make the end-to-end tests run it", name, b.Line)
			} else {
				assert.False(t, b.Illustrates(), "%s:%d: only commands are marked", name, b.Line)
			}
			if b.Language == "console" {
				assert.Regexp(t, `(?m)^\$ `, b.Text, "%s:%d", name, b.Line)
			}
		}
	}
}

// commandLine is a line with harvest in it.
type commandLine struct {
	where string
	words []string // after harvest
}

var (
	calledInline = regexp.MustCompile("`(harvest(?: [^`]*)?)`")
	cronTime     = regexp.MustCompile(`^(?:[0-9*/,-]+ +){5}`)
	aWord        = regexp.MustCompile(`'[^']*'|"[^"]*"|\$\{[^}]*\}|[^ ]+`)
)

// commandLines returns every call of harvest in a page: in blocks, and between backquotes.
func commandLines(t *testing.T, name string) []commandLine {
	t.Helper()
	text := docPage(t, name)
	var all []commandLine
	add := func(where, line string) {
		for part := range strings.SplitSeq(line, " | ") {
			part = cronTime.ReplaceAllString(strings.TrimSpace(part), "")
			part = strings.TrimPrefix(strings.TrimPrefix(part, "$ "), "sudo ")
			part, _, _ = strings.Cut(part, " >")
			part, _, _ = strings.Cut(part, " #")
			if part == "harvest" || strings.HasPrefix(part, "harvest ") {
				all = append(all, commandLine{where, aWord.FindAllString(part, -1)[1:]})
			}
		}
	}
	blocks := text
	for _, b := range blocksOf(t, text) {
		if slices.Contains([]string{"sh", "console", "text"}, b.Language) {
			for line := range strings.SplitSeq(strings.ReplaceAll(b.Text, "\\\n", " "), "\n") {
				add(name+" "+line, line)
			}
		}
	}
	for _, m := range calledInline.FindAllStringSubmatch(blocks, -1) {
		add(name+" "+m[1], m[1])
	}
	return all
}

// isPlaceholder reports whether a word of a command stands for others.
func isPlaceholder(word string) bool {
	return word == "…" || word == "COMMAND" || strings.Contains(word, "|")
}

// checkCommand returns what is amiss with a call, or "".
func checkCommand(root *cli.Command, words []string) string {
	cmd := root
	for len(words) > 0 && len(cmd.Commands) > 0 && !strings.HasPrefix(words[0], "-") {
		if isPlaceholder(words[0]) || cmd == root && slices.Contains([]string{"help", "completion"}, words[0]) {
			return ""
		}
		next := cmd.Command(words[0])
		if next == nil {
			return "no command " + words[0]
		}
		cmd, words = next, words[1:]
	}
	for i := 0; i < len(words); i++ {
		if len(words[i]) < 2 || words[i][0] != '-' || isPlaceholder(words[i]) {
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(words[i], "-"), "=")
		name, _, _ = strings.Cut(name, "[")
		if name == "help" || name == "h" {
			continue
		}
		at := slices.IndexFunc(cmd.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if at < 0 {
			return cmd.Name + " has no flag -" + name
		}
		takes, ok := cmd.Flags[at].(cli.DocGenerationFlag)
		if !ok || !takes.TakesValue() || name == "allow-turnover" || given && value != "" {
			continue
		}
		if i++; !given && i == len(words) {
			// Named alone, between backquotes: the flag, and no call.
			return ""
		}
	}
	return ""
}

// TestDocumentedFlags: every call of harvest in the documentation has a command and flags
// that there are.
func TestDocumentedFlags(t *testing.T) {
	t.Parallel()
	a := &app{out: &render.Output{}, says: &terminal.Messages{}}
	root, count := a.root(), 0
	for _, name := range docPages(t) {
		for _, line := range commandLines(t, name) {
			assert.Empty(t, checkCommand(root, line.words), line.where)
			count++
		}
	}
	assert.Greater(t, count, 80)
	for _, wrong := range []string{"sink", "sync -colour", "sync -mount a -nomad-adress b", "config check", "plan --format json -y"} {
		assert.NotEmpty(t, checkCommand(root, strings.Fields(wrong)), wrong)
	}
}

// TestDocumentedConfigurations: every configuration in the documentation is taken by the
// command, the blocks of docs/start.md also together.
func TestDocumentedConfigurations(t *testing.T) {
	noVault(t)
	ours := regexp.MustCompile(`(?m)^(cluster|vault|mount)\b[^\n]*\{`)
	dir, count, start := t.TempDir(), 0, ""
	check := func(where, text string) {
		file := filepath.Join(dir, "harvest.hcl")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		code, stdout, stderr := harvest(t, nil, "config", "validate", "-config", file, "-skip-files")
		assert.Equal(t, exitOK, code, "%s: %s%s", where, stdout, stderr)
		count++
	}
	for _, name := range docPages(t) {
		for _, b := range blocksOf(t, docPage(t, name)) {
			if b.Language != "hcl" || !ours.MatchString(b.Text) {
				continue
			}
			if name == "docs/start.md" {
				start += b.Text
				check(name, start)
				continue
			}
			check(name, b.Text)
		}
	}
	assert.GreaterOrEqual(t, count, 3)
}

// TestWhereThingsGo: the files are there that CONTRIBUTING.md sends its readers to.
func TestWhereThingsGo(t *testing.T) {
	t.Parallel()
	paths := regexp.MustCompile("(?m)^\\|.*`").FindAllString(docPage(t, "CONTRIBUTING.md"), -1)
	assert.GreaterOrEqual(t, len(paths), 10)
	for _, m := range regexp.MustCompile("`(\\w+/[\\w./]+)`").FindAllStringSubmatch(strings.Join(paths, "\n"), -1) {
		_, err := os.Stat("../../" + m[1])
		assert.NoError(t, err)
	}
}

// TestNamedTests: each test that the documentation names is there.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	}))
	count := 0
	for _, name := range docPages(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)(…?)[`/]").FindAllStringSubmatch(docPage(t, name), -1) {
			count++
			end := "("
			if m[2] != "" {
				end = "" // the beginning of several names
			}
			assert.Contains(t, tests.String(), "\nfunc "+m[1]+end, name)
		}
	}
	assert.Greater(t, count, 80)
}

var (
	aLink      = regexp.MustCompile(`(?:\]\(|src(?:set)?=")([^)\s"]+)[)"]`)
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	notInASlug = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// anchors returns what # of a page leads to, as GitHub names it.
func anchors(t *testing.T, text string) map[string]bool {
	t.Helper()
	all, within := map[string]bool{}, false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			within = !within
		}
		title, found := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if within || !strings.HasPrefix(line, "#") || !found {
			continue
		}
		slug := strings.ReplaceAll(notInASlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
		require.False(t, all[slug], "two headings %q", slug)
		all[slug] = true
	}
	return all
}

// TestLinks: every link within the documentation leads somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	count, linked := 0, map[string]bool{}
	for _, name := range docPages(t) {
		text := docPage(t, name)
		for _, b := range blocksOf(t, text) {
			text = strings.Replace(text, b.Text, "", 1)
		}
		text = codeSpan.ReplaceAllString(text, "")
		for _, link := range aLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			count++
			path, anchor, _ := strings.Cut(link[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			_, err := os.Stat("../../" + target)
			if !assert.NoError(t, err, "%s: %s", name, link[1]) {
				continue
			}
			if name == "docs/README.md" {
				linked[target] = true
			}
			if anchor != "" {
				assert.Contains(t, anchors(t, docPage(t, target)), anchor, "%s: %s", name, link[1])
			}
		}
	}
	assert.Greater(t, count, 100)
	for _, name := range docPages(t) {
		if strings.HasPrefix(name, "docs/") && name != "docs/README.md" {
			assert.True(t, linked[name], "docs/README.md doesn't have %s", name)
		}
	}
}

// TestReaders: each page of the book says in its first line who it is for.
func TestReaders(t *testing.T) {
	t.Parallel()
	for _, name := range docPages(t) {
		if strings.Contains(name, "/") {
			assert.Regexp(t, `^# [^\n]+\n\nFor `, docPage(t, name), name)
		}
	}
}

// TestVersions: docs/versions.md has the versions of the servers that the lab builds, with their
// dates, and README.md the oldest of them, those that each change is tested with, and Go's.
func TestVersions(t *testing.T) {
	t.Parallel()
	unwrapped := func(page string) string { return strings.Join(strings.Fields(docPage(t, page)), " ") }
	readme, table := unwrapped("README.md"), unwrapped("docs/versions.md")
	pinned := func(pair lab.Pair, server string) string {
		version, err := lab.Version(pair, server)
		require.NoError(t, err)
		assert.Contains(t, table, " "+version+" (", "%s %s", pair, server)
		return version
	}
	for server, name := range map[string]string{"vault": "Vault ", "nomad": "Nomad "} {
		pinned(lab.Older, server)
		pinned(lab.Newest, server)
		assert.Contains(t, readme, name+pinned(lab.Current, server))
		floor := pinned(lab.Floor, server)
		assert.Contains(t, readme, name+floor[:strings.LastIndex(floor, ".")]+" (")
	}
	pinned(lab.Newest, "jwt")
	assert.Contains(t, readme, "Consul "+pinned(lab.Current, "consul"))
	_, version, _ := strings.Cut(docPage(t, "go.mod"), "\ngo ")
	version, _, _ = strings.Cut(version, ".0\n")
	assert.Contains(t, readme, "With Go "+version+" or newer")
	assert.Contains(t, table, "with Go "+version)
}
