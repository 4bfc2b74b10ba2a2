//go:build unix

package main

import "syscall"

// noCoreDumps keeps the memory of this process, which holds tokens, off the disk when it
// crashes, and that of a token helper it starts. GOTRACEBACK=crash asks for dumps.
func noCoreDumps(getenv func(string) string) error {
	if getenv("GOTRACEBACK") == "crash" {
		return nil
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	limit.Cur = 0 // the hard limit stays: who may raise it may as well read the memory
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
}
