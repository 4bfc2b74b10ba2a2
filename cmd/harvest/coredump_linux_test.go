package main

import (
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoCoreDumps: a process that may dump its memory doesn't, unless GOTRACEBACK asks for it.
// Where no process may, ours don't either, whatever it says.
func TestNoCoreDumps(t *testing.T) {
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_CORE, &before))
	t.Cleanup(func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_CORE, &before)) })
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: before.Max, Max: before.Max})) // for what is started
	for traceback, none := range map[string]bool{"": true, "all": true, "crash": false} {
		m := newCoalmine(t)
		m.env["GOTRACEBACK"] = traceback
		w := m.watch(t)
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", w.cmd.Process.Pid))
		require.NoError(t, err)
		soft := regexp.MustCompile(`Max core file size +(\S+)`).FindSubmatch(limits)
		require.NotNil(t, soft, string(limits))
		assert.Equal(t, none || before.Max == 0, string(soft[1]) == "0", "GOTRACEBACK=%s: %s", traceback, soft[1])
		require.NoError(t, w.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, w.cmd.Wait())
	}
}
