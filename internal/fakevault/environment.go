package fakevault

import (
	"os"
	"strings"
	"testing"
)

// ClearEnvironment keeps the machine's own Vault settings, its token helper among them, out of a
// test.
func ClearEnvironment(t testing.TB) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "VAULT_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("VAULT_MAX_RETRIES", "0")
}
