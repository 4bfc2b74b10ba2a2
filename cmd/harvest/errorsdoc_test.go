package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/verify"
)

// declared calls f for each constant, variable and type that the files of a pattern declare
// at their top, tests left out. value is nil for types, and where there is none.
func declared(t *testing.T, pattern string, f func(name string, value ast.Expr)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					f(spec.Name.Name, nil)
				case *ast.ValueSpec:
					for i, name := range spec.Names {
						var value ast.Expr
						if i < len(spec.Values) {
							value = spec.Values[i]
						}
						f(name.Name, value)
					}
				}
			}
		}
	}
}

// literal returns the text of a string or number, or "".
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	if text, err := strconv.Unquote(lit.Value); err == nil {
		return text
	}
	return lit.Value
}

var (
	sentinel  = regexp.MustCompile(`^Err[A-Z]`)
	errorType = regexp.MustCompile(`^[A-Z]\w*Error$`)
	inQuotes  = regexp.MustCompile("^`([^`]+)`$")
)

// rowsOf returns the rows of those tables of a page whose header begins with a cell of that
// name: the first cells, without their backquotes, to the others.
func rowsOf(t *testing.T, page, header string) map[string][]string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	require.NoError(t, err)
	out, within := map[string][]string{}, false
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			within = false
		case cells[0] == header:
			within = true
		case within && !strings.HasPrefix(cells[0], "---"):
			name := inQuotes.FindStringSubmatch(cells[0])
			require.NotNil(t, name, line)
			assert.NotContains(t, out, name[1], "twice")
			for _, cell := range cells {
				assert.NotEmpty(t, strings.TrimSpace(cell), line)
			}
			out[name[1]] = cells[1:]
		}
	}
	require.NotEmpty(t, out, header)
	return out
}

// TestErrorsPage: docs/errors.md has every exported error, reason, kind and exit code, and
// nothing else.
func TestErrorsPage(t *testing.T) {
	t.Parallel()
	t.Run("errors", func(t *testing.T) {
		var want []string
		for _, pkg := range []string{"jwks", "pem", "vaultsync", "vaultsync/plan"} {
			declared(t, filepath.Join("..", "..", pkg, "*.go"), func(name string, value ast.Expr) {
				if sentinel.MatchString(name) || value == nil && errorType.MatchString(name) {
					want = append(want, path.Base(pkg)+"."+name)
				}
			})
		}
		got := rowsOf(t, "errors.md", "error")
		assert.ElementsMatch(t, want, slices.Collect(maps.Keys(got)))
		for name, cells := range got {
			assert.Len(t, cells, 2, name)
		}
	})
	t.Run("reasons", func(t *testing.T) {
		want := map[string]string{}
		declared(t, "../../jwks/*.go", func(name string, value ast.Expr) {
			if strings.HasPrefix(name, "Reason") && value != nil {
				want[literal(value)] = "`jwks." + name + "`"
			}
		})
		got := map[string]string{}
		for reason, cells := range rowsOf(t, "errors.md", "reason") {
			require.Len(t, cells, 3, reason)
			assert.Regexp(t, "^(skipped|rejected): ", cells[1])
			got[reason] = cells[0]
		}
		assert.Equal(t, want, got)
	})
	t.Run("kinds", func(t *testing.T) {
		want, ofErrors := map[string]bool{}, map[string]string{}
		kinds, err := os.ReadFile("../../vaultsync/kind.go")
		require.NoError(t, err)
		for _, of := range regexp.MustCompile(`(?m)^\t\{([\w.]+), "(\w+)"\},$`).FindAllStringSubmatch(string(kinds), -1) {
			want[of[2]] = true
			if !strings.Contains(of[1], ".") {
				of[1] = "vaultsync." + of[1]
			}
			ofErrors[of[1]] = "`" + of[2] + "`"
		}
		login, err := os.ReadFile("../../internal/vaultauth/login.go")
		require.NoError(t, err)
		others := regexp.MustCompile(`(?m)(?:^\t+|Kind\(\) string \{ )return "(\w+)"(?: \})?$`).FindAllStringSubmatch(string(kinds)+string(login), -1)
		require.Greater(t, len(others), 5)
		for _, kind := range others {
			want[kind[1]] = true
		}
		got := rowsOf(t, "errors.md", "kind")
		assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
		for kind, cells := range got {
			assert.Len(t, cells, 2, kind)
		}
		for name, cells := range rowsOf(t, "errors.md", "error") {
			if kind := ofErrors[name]; kind != "" {
				assert.Equal(t, kind, cells[0], name)
			} else if cells[0] != "the one inside" {
				assert.Contains(t, got, strings.Trim(cells[0], "`"), name)
			}
		}
	})
	t.Run("exit codes", func(t *testing.T) {
		var want []string
		declared(t, "exit.go", func(name string, value ast.Expr) {
			if strings.HasPrefix(name, "exit") && value != nil {
				want = append(want, literal(value))
			}
		})
		slices.Sort(want)
		codes := rowsOf(t, "errors.md", "code")
		assert.ElementsMatch(t, slices.Compact(want), slices.Collect(maps.Keys(codes)))
		for code, of := range map[string][]string{
			"0": {"`sync`", "`verify`", "`config validate`"},
			"1": {"`config validate`", "`-metrics-textfile`"},
			"2": {"`plan -detailed-exitcode`"},
			"3": {"`status -lint`", "`setup`", "`verify`"},
		} {
			for _, name := range of {
				assert.Contains(t, codes[code][0], name, code)
			}
		}
	})
}

// TestOperationsNamesLints: docs/operations.md explains all that -lint finds, and every miss
// of verify.
func TestOperationsNamesLints(t *testing.T) {
	t.Parallel()
	doc := docPage(t, "docs/operations.md")
	for _, lint := range lint.Lints {
		assert.Regexp(t, "(?m)^\\|[^|]*`"+string(lint)+"`[^|]*\\| (error|warning|note) \\|", doc)
	}
	misses := rowsOf(t, "operations.md", "`miss` in the JSON")
	for _, miss := range []verify.Miss{
		verify.MissNotTrusted, verify.MissTurnover, verify.MissRefused, verify.MissElsewhere, verify.MissForged, verify.MissService, verify.MissUnknown,
	} {
		assert.Contains(t, misses, string(miss))
	}
}
