package vaultsync

import (
	"fmt"
	"slices"
	"strings"
)

// Policy returns the Vault policy that a harvester of these mount paths needs, and no more:
// read and update on each auth/<path>/config. Update suffices for the first write too.
func Policy(paths ...string) string {
	var b strings.Builder
	for i, path := range sortedPaths(paths) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "path %q {\n  capabilities = [\"read\", \"update\"]\n}\n", "auth/"+path+"/config")
	}
	return b.String()
}

// PolicyForRoles returns the Vault policy that reading the roles of these mount paths needs
// besides [Policy]: list and read on each auth/<path>/role, and read on all policies, which
// the roles name. harvest verify and harvest status -lint read them; sync and watch never do.
func PolicyForRoles(paths ...string) string {
	var b strings.Builder
	for _, path := range sortedPaths(paths) {
		fmt.Fprintf(&b, "path %q {\n  capabilities = [\"list\"]\n}\n\npath %q {\n  capabilities = [\"read\"]\n}\n\n",
			"auth/"+path+"/role", "auth/"+path+"/role/*")
	}
	b.WriteString("path \"sys/policies/acl/*\" {\n  capabilities = [\"read\"]\n}\n")
	return b.String()
}

func sortedPaths(paths []string) []string {
	paths = slices.Clone(paths)
	for i, path := range paths {
		paths[i] = strings.Trim(path, "/")
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
