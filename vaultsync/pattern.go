package vaultsync

import (
	"regexp"
	"sync"
)

// onFirstUse returns the pattern, compiled when it is first asked for: what a run doesn't
// need must not cost its start.
func onFirstUse(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
