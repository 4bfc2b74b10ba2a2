package jwks

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReasonsAreDocumented: the trust model says of each reason why such a key is refused.
func TestReasonsAreDocumented(t *testing.T) {
	model, err := os.ReadFile("../docs/trust-model.md")
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), "jwks.go", nil, 0)
	require.NoError(t, err)
	reasons := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Reason" {
			return true
		}
		reasons++
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		assert.Contains(t, string(model), "\n| `"+value+"` | ")
		return true
	})
	assert.GreaterOrEqual(t, reasons, 10)
}
