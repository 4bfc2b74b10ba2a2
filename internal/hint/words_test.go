package hint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWordsOfTheLibrary: the library says what happened, and knows no command, flag or line of a
// file: what to do next is data, which this package words.
func TestWordsOfTheLibrary(t *testing.T) {
	settings := settingsOfAFile(t)
	for _, word := range []string{"max_keys", "allow_turnover", "foreign", "retired", "ca_cert"} {
		assert.Contains(t, settings, word)
	}
	words := regexp.MustCompile("`harvest |\\bharvest (sync|plan|watch|setup|status|verify|policy|pem|lint|config|relay)\\b|" +
		`(^|[\s(])-[a-z]+-[a-z]|` + // a flag of several words
		`\b(` + strings.Join(settings, "|") + `) = |\b(max_keys|allow_[a-z]+|ca_cert|jwks_[a-z]*file|token_file)\b|\b(mount|cluster|vault|kubernetes|role|relay)('s)? block\b`)
	for _, dir := range []string{"jwks", "pem", "vaultsync", "vaultsync/plan", "internal/mountconfig", "internal/vaultapi", "internal/nethint"} {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					assert.NoError(t, err)
					assert.Empty(t, words.FindString(text), "%s: %s", file, text)
				}
				return true
			})
		}
	}
}

// settingsOfAFile returns the names that a configuration file gives to what the library calls
// otherwise. Those that are Vault's own are the library's too.
func settingsOfAFile(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../config/*.go")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, list := range regexp.MustCompile(`Attributes = \[\]string\{([^}]*)\}`).FindAllStringSubmatch(string(code), -1) {
			for _, name := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(list[1], -1) {
				switch name[1] {
				case "jwt_supported_algs", "bound_issuer", "default_role":
				default:
					names = append(names, name[1])
				}
			}
		}
	}
	return names
}
