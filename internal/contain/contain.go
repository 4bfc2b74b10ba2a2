// Package contain makes a panic the error of what it happened in, so that it ends nothing that
// goes on beside it.
package contain

import (
	"fmt"
	"runtime/debug"
)

// Error is a panic.
type Error struct {
	Value any
	Stack []byte // of the goroutine, its first 16 KiB
}

const maxStack = 16 << 10

// Error names the fault. It doesn't show the stack, which is for a log.
func (e *Error) Error() string {
	return fmt.Sprintf("a fault in the program itself, please report it: %.256q", fmt.Sprint(e.Value))
}

// Panics calls do, and returns its error, or an *Error where it panics.
func Panics(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			stack := debug.Stack()
			err = &Error{value, stack[:min(len(stack), maxStack)]}
		}
	}()
	return do()
}
