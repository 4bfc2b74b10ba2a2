//go:build linux

package scale

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
)

// process is a running harvest watch.
type process struct {
	*stands
	cmd        *exec.Cmd
	address    string       // that it serves metrics at
	seen       atomic.Int64 // key sets that it told of in its log
	added      atomic.Int64 // keys that it told of in its log, once trusted
	complaints atomic.Int64 // warnings and errors in its log
	done       chan struct{}
}

// watch runs harvest watch over the stand-ins until the test ends, and returns when every
// mount is in sync and every source holds a query.
func watch(t *testing.T, s *stands) *process {
	t.Helper()
	p := &process{stands: s, cmd: exec.Command(harvestCommand, "watch", "-config", s.configuration(t), "-listen", "127.0.0.1:0"), done: make(chan struct{})}
	p.cmd.Env = []string{"HOME=" + t.TempDir(), "VAULT_TOKEN=" + fakevault.RootToken}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	serving := make(chan string, 1)
	go func() {
		defer close(p.done)
		p.read(bufio.NewScanner(stderr), serving)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		<-p.done
		assert.Zero(t, p.cmd.ProcessState.ExitCode())
	})
	select {
	case p.address = <-serving:
	case <-time.After(time.Minute):
		require.Fail(t, "it never served its metrics")
	}
	p.settle(t)
	require.EqualValues(t, sources, p.seen.Load(), "key sets at the start")
	return p
}

// settle waits until the mounts trust what stays published, and all sources hold a query.
func (p *process) settle(t *testing.T) {
	t.Helper()
	p.await(t, "trusted", sources, 2*time.Minute)
	p.await(t, "held", sources, time.Minute)
	require.Eventually(t, func() bool {
		status, _ := p.get(t.Context(), t, "http://"+p.address+"/insync")
		return status == http.StatusOK
	}, time.Minute, 100*time.Millisecond)
}

var servingAt = regexp.MustCompile(`msg="serving the status page, metrics and health" address=(\S+)`)

// read counts what the log tells, and keeps none of it.
func (p *process) read(lines *bufio.Scanner, serving chan<- string) {
	for lines.Scan() {
		line := lines.Text()
		switch found := servingAt.FindStringSubmatch(line); {
		case strings.Contains(line, `msg="keys published"`), strings.Contains(line, `msg="cluster read again"`):
			p.seen.Add(1)
		case strings.Contains(line, `msg="key added"`):
			p.added.Add(1)
		case found != nil:
			serving <- found[1]
		case strings.Contains(line, "level=WARN"), strings.Contains(line, "level=ERROR"):
			p.complaints.Add(1)
		}
	}
}

// configuration writes one with a cluster for each source.
func (s *stands) configuration(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var b bytes.Buffer
	fmt.Fprintf(&b, "vault { address = %q }\n", s.Vault)
	for i, address := range s.Agents {
		fmt.Fprintf(&b, "cluster %q {\n  address = %q\n", clusterName(i), address)
		if s.CA != nil {
			ca := filepath.Join(dir, "ca.pem")
			require.NoError(t, os.WriteFile(ca, s.CA, 0o600))
			fmt.Fprintf(&b, "  ca_cert = %q\n", ca)
		}
		b.WriteString("}\n")
	}
	for i := range mounts() {
		fmt.Fprintf(&b, "mount %q { clusters = [\"%s\"] }\n", mountName(i), strings.Join(clustersOf(i), `", "`))
	}
	name := filepath.Join(dir, "harvest.hcl")
	require.NoError(t, os.WriteFile(name, b.Bytes(), 0o600))
	return name
}

// usage is what a process has used up, and holds now.
type usage struct {
	cpu             time.Duration // in user and system mode, so far
	rss, file, peak int64         // bytes: resident, of that pages of files, most ever
	sockets         int
}

func (p *process) usage(t *testing.T) usage {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	status, err := os.ReadFile(dir + "status")
	require.NoError(t, err)
	field := func(name string) int64 {
		found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
		require.NotNil(t, found, name)
		n, err := strconv.ParseInt(string(found[1]), 10, 64)
		require.NoError(t, err)
		return n << 10
	}
	u := usage{rss: field("VmRSS"), file: field("RssFile"), peak: field("VmHWM")}
	stat, err := os.ReadFile(dir + "stat")
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(stat), ") ") // the name before it may hold blanks
	fields := strings.Fields(after)
	for _, ticks := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(ticks, 10, 64)
		require.NoError(t, err)
		u.cpu += time.Duration(n) * 10 * time.Millisecond
	}
	entries, err := os.ReadDir(dir + "fd")
	require.NoError(t, err)
	for _, e := range entries {
		if target, err := os.Readlink(dir + "fd/" + e.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			u.sockets++
		}
	}
	return u
}

// gcPercent is that of harvest watch.
const gcPercent = 25

// holds reads what the process holds from outside. What is reachable in its heap is known from
// the size at which garbage is collected, which is set by what was reachable last time; reading
// the metrics makes enough garbage for one more time.
func (p *process) holds(t *testing.T) held {
	t.Helper()
	now := time.Now().Unix()
	require.Eventually(t, func() bool { return p.metrics(t)["go_memstats_last_gc_time_seconds"] > now }, 5*time.Minute, 20*time.Millisecond)
	m := p.metrics(t)
	return held{live: m["go_memstats_next_gc_bytes"] * 100 / (100 + gcPercent), rss: p.usage(t).rss, goroutines: int(m["go_goroutines"])}
}

var plainMetric = regexp.MustCompile(`(?m)^(go_\w+) (\S+)$`)

// metrics returns the metrics of the Go runtime that have no labels, cut to whole numbers.
func (p *process) metrics(t *testing.T) map[string]int64 {
	t.Helper()
	status, body := p.get(t.Context(), t, "http://"+p.address+"/metrics")
	require.Equal(t, http.StatusOK, status)
	all := map[string]int64{}
	for _, found := range plainMetric.FindAllStringSubmatch(body, -1) {
		n, err := strconv.ParseFloat(found[2], 64)
		require.NoError(t, err)
		all[found[1]] = int64(n)
	}
	return all
}
