package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server doesn't outlive a test process that is killed, nor do its directory and what
// it started.
func TestServerDiesWithItsParent(t *testing.T) {
	if dir := os.Getenv("LAB_TEST_PARENT"); dir != "" {
		p, err := start("server", dir, "/bin/sh", []string{"-c", "setsid sleep 600 & echo $! >child; wait"}, environ("TMPDIR="+dir))
		require.NoError(t, err)
		fmt.Println("pid", p.cmd.Process.Pid)
		<-p.done
		return
	}
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsParent$")
	parent.Env = append(os.Environ(), "LAB_TEST_PARENT="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var pid, child int
	for s := bufio.NewScanner(out); s.Scan(); {
		if n, _ := fmt.Sscanf(s.Text(), "pid %d", &pid); n == 1 {
			break
		}
	}
	require.Positive(t, pid)
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(dir + "/child")
		_, err := fmt.Sscan(string(text), &child)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	require.True(t, alive(pid))
	require.True(t, alive(child))

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return !alive(pid) && !alive(child) && os.IsNotExist(err)
	}, 20*time.Second, 10*time.Millisecond)
}

// alive reports whether there is such a process, and not just what is left of one.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
