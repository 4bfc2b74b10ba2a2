//go:build !unix

package main

// noCoreDumps does nothing: there are none.
func noCoreDumps(func(string) string) error { return nil }
