package config

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// MountPath returns the path of a mount as vaultsync has it: without slashes around it,
// and without "auth/".
func MountPath(path string) string {
	return strings.TrimPrefix(strings.Trim(path, "/"), "auth/")
}

// checkMountPath refuses what would mean something else in a URL or in a policy.
func checkMountPath(path string) error {
	bad := strings.ContainsFunc(path, func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.IsSpace(r) || strings.ContainsRune(`*+"\?#%`, r)
	})
	if path == "" || bad || strings.Contains(path, "..") || strings.Contains(path, "//") {
		return fmt.Errorf("mount path %q: want the path of a JWT auth method, such as jwt-nomad", path)
	}
	return nil
}

// checkForeign wants one of the words, or none.
func checkForeign(word string) error {
	switch plan.Foreign(word) {
	case "", plan.ForeignKeep, plan.ForeignWarn, plan.ForeignRemove:
		return nil
	}
	return fmt.Errorf("foreign %q: want keep, warn or remove", word)
}

// IsLong reports whether d is a duration that nobody means.
func IsLong(d time.Duration) bool { return d > 10*365*24*time.Hour }
