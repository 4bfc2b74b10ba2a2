package plan

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/rule"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "eu-west_1.azAZ09": true, "-": true, strings.Repeat("a", 128): true,
		strings.Repeat("a", 129): false, "a b": false, "a/b": false, "a\n": false, "*": false, "é": false,
	} {
		assert.Equal(t, want, rule.IsRegion(name), "%q", name)
	}
	require.NoError(t, rule.CheckCluster(strings.Repeat("a", 128)))
	for _, bad := range []string{"", "-a", "_", ".a", "é", "a b"} {
		require.Error(t, rule.CheckCluster(bad), bad)
	}
}
