//go:build unix

package relay

import (
	"io/fs"
	"syscall"
)

// ownersOf returns the user and the group of a file, where they are known.
func ownersOf(info fs.FileInfo) (user, group int, known bool) {
	s, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}
