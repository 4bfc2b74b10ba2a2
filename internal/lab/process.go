package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a server may take to be ready.
	startTimeout = 90 * time.Second
	// stopTimeout is how long a server may take to end before it is killed.
	stopTimeout = 20 * time.Second
	// pollInterval is how often a server that starts is asked whether it is ready.
	pollInterval = 50 * time.Millisecond
	// portTries is how many sets of ports are tried.
	portTries = 5
)

// process is one server: its own temporary directory, a log file in it, and an end.
type process struct {
	name string
	dir  string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // why, once done is closed
	stop sync.Once

	cleaner *cleaner
}

// start runs a command whose output goes to a log file in dir, which must be the
// process's own: it goes when the process does.
func start(name, dir, binary string, args, env []string) (*process, error) {
	p := &process{name: name, dir: dir, log: filepath.Join(dir, name+".log")}
	err := p.launch(binary, args, env)
	if err != nil {
		return nil, err
	}
	if p.cleaner, err = startCleaner(dir, p.cmd.Process.Pid); err != nil {
		p.end()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// launch runs the command, with a log of its own.
func (p *process) launch(binary string, args, env []string) error {
	out, err := os.Create(p.log)
	if err != nil {
		return err
	}
	cmd, done := exec.Command(binary, args...), make(chan struct{})
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, env, out, out
	cmd.SysProcAttr = dieWithParent()
	p.cmd, p.done = cmd, done

	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started a process for the end of
		// its parent, so this goroutine keeps its thread for as long as the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = out.Close()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// await asks ready again and again until it says nil, the process ends or the context
// does. An error carries the end of the log.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ended, err := poll(ctx, p.done, ready)
	switch {
	case ended:
		return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(errEnded, p.err), p.tail())
	case err != nil:
		return fmt.Errorf("%s isn't ready: %w\n%s", p.name, err, p.tail())
	}
	return nil
}

// poll calls ready again and again until it returns nil, done is closed or the context ends;
// the error is the last of ready with the context's.
func poll(ctx context.Context, done <-chan struct{}, ready func(context.Context) error) (ended bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return false, nil
		}
		select {
		case <-done:
			return true, nil
		case <-ctx.Done():
			return false, fmt.Errorf("%w (%w)", err, ctx.Err())
		case <-tick.C:
		}
	}
}

var errEnded = errors.New("the process is gone")

// portTaken reports whether a server gave up because another one had its port.
func portTaken(err error) bool {
	return strings.Contains(err.Error(), "address already in use")
}

// end asks the process to end and, when it doesn't, kills it; then everything it left is
// removed. It may be called twice.
func (p *process) end() {
	p.stop.Do(func() {
		_ = resume(p.cmd.Process) // one that is paused can't end
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
		if p.cleaner != nil {
			p.cleaner.clean()
		}
	})
}

// tail is the end of the log, for errors.
func (p *process) tail() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 4096
	if len(log) > most {
		log = log[len(log)-most:]
		if i := bytes.IndexByte(log, '\n'); i >= 0 {
			log = log[i+1:]
		}
	}
	return string(log)
}

// withPorts calls run with n free loopback ports, and again with others when the server
// finds one taken.
func withPorts[T any](n int, run func(ports []int) (T, error)) (T, error) {
	var none T
	for try := 1; ; try++ {
		ports, err := freePorts(n)
		if err != nil {
			return none, err
		}
		server, err := run(ports)
		if err == nil {
			return server, nil
		}
		if try == portTries || !portTaken(err) {
			return none, err
		}
	}
}

// handedOut keeps one process from giving a port to two of its servers.
var handedOut sync.Map

// freePorts finds n loopback ports that are free for TCP and UDP now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 100 {
			return nil, errors.New("lab: no free ports")
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all held until all are found, so that they differ
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = u.Close()
		if _, taken := handedOut.LoadOrStore(port, true); !taken {
			ports = append(ports, port)
		}
	}
	return ports, nil
}
