package vaultsync

import (
	"fmt"
	"slices"
	"strings"
)

// Policy returns the Vault policy that a harvester of these mount paths needs, and no more:
// read and update on each auth/<path>/config. Update suffices for the first write too.
func Policy(paths ...string) string {
	paths = slices.Clone(paths)
	for i, path := range paths {
		paths[i] = strings.Trim(path, "/")
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	var b strings.Builder
	for i, path := range paths {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "path %q {\n  capabilities = [\"read\", \"update\"]\n}\n", "auth/"+path+"/config")
	}
	return b.String()
}
