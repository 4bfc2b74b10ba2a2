package vaultapi

import (
	"fmt"
	"strings"
)

// Policy returns the Vault policy that a harvester of these mount paths needs, and no more:
// read and update on each auth/<path>/config. Update suffices for the first write too.
func Policy(paths ...string) string {
	var b strings.Builder
	for i, path := range SortedPaths(paths) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "path %q {\n  capabilities = [\"read\", \"update\"]\n}\n", "auth/"+path+"/config")
	}
	return b.String()
}
