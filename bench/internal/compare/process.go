package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// launchFlag makes of this program the parent of one command.
const launchFlag = "-launch"

type launched struct {
	WallNS, CPUNS, PeakB float64
	Failure              string
}

// Process runs a command to its end and returns "ns" (wall clock), "cpu-ns" and "peak-B"
// (the most memory that was resident). A status other than 0 is an error that holds what was
// written to stderr; what goes to stdout is dropped.
//
// The command is the grandchild of this process: the peak of a process counts that of the
// one that forked it, which must therefore be a small one.
func Process(ctx context.Context, dir string, env []string, command ...string) (Measures, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{launchFlag}, command...)...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", command[0], err, stderr.Bytes())
	}
	var l launched
	if err := json.Unmarshal(stdout.Bytes(), &l); err != nil {
		return nil, err
	}
	if l.Failure != "" {
		return nil, fmt.Errorf("%s: %s: %s", command[0], l.Failure, stderr.Bytes())
	}
	return Measures{"ns": l.WallNS, "cpu-ns": l.CPUNS, "peak-B": l.PeakB}, nil
}

// MachineMemory returns how many bytes of memory this machine has; 0 where that isn't known.
func MachineMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kib int64
	if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &kib); err != nil {
		return 0
	}
	return kib << 10
}

// Launch is to be called first thing in main: it doesn't return in the process that is
// only there to run a command.
func Launch() {
	if len(os.Args) < 3 || os.Args[1] != launchFlag {
		return
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stderr = os.Stderr
	var l launched
	begin := time.Now()
	err := cmd.Run()
	l.WallNS = float64(time.Since(begin).Nanoseconds())
	if err != nil {
		l.Failure = err.Error()
	}
	if state := cmd.ProcessState; state != nil {
		l.CPUNS = float64((state.UserTime() + state.SystemTime()).Nanoseconds())
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			l.PeakB = float64(usage.Maxrss)
			if runtime.GOOS != "darwin" {
				l.PeakB *= 1024
			}
		}
	}
	if err := errors.Join(json.NewEncoder(os.Stdout).Encode(l)); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
