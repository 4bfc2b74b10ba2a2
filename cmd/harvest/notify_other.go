//go:build !linux

package main

// reloading is the state at the start of a reload.
func reloading() string { return "RELOADING=1" }
