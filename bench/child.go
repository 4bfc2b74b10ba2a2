package main

import (
	"fmt"
	"os"
)

// child does what this process is for, if it is one that a table has started; false if not.
func child(args []string) bool {
	var err error
	switch {
	case len(args) == 3 && args[0] == childFlag:
		// Whether the document is refused doesn't matter here, only what that costs.
		err = fetchOnce(args[1], args[2])
	case len(args) == 3 && args[0] == oneSyncFlag:
		err = runOneSync(args[1], args[2])
	case len(args) == 4 && args[0] == convertFlag:
		err = measureConverter(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == standInsFlag:
		err = runStandIns(args[1])
	default:
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}
