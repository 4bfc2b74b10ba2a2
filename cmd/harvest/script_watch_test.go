package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

// patience is how long a script waits for what is to come.
const patience = 20 * time.Second

// systemd is a socket that takes a service's states.
type systemd struct {
	conn   *net.UnixConn
	mu     sync.Mutex
	states []string
}

func (s *systemd) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.states = append(s.states, strings.Split(string(buffer[:n]), "\n")...)
		s.mu.Unlock()
	}
}

// watchCommands are the script commands for what runs in the background, as in
//
//	exec sh -c 'exec harvest watch … 2>log' &
//	until trusts VAULT '' jwt-nomad 1 NOMAD
//	signal TERM
//	wait
//	ended log
var watchCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// until CONDITION ARG… waits for it:
	//   trusts VAULT NAMESPACE PATH N [NOMAD…]
	//   log FILE PATTERN
	//   get URL STATUS [PATTERN]
	//   notified STATE [N]
	//   requests SERVER METHOD PATH N  (at least)
	"until": command(2, func(ts *testscript.TestScript, w *world, args []string) {
		check := map[string]func(*testscript.TestScript, *world, []string) error{
			"trusts": untilTrusts, "log": untilLog, "get": untilGet, "notified": untilNotified, "requests": untilRequests,
		}[args[0]]
		if check == nil {
			ts.Fatalf("until what? %s", args[0])
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			err := check(ts, w, args[1:])
			if err == nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				ts.Fatalf("%v", err)
			}
		}
	}),
	// signal NAME sends a signal to the process that was started last in the background.
	"signal": command(1, func(ts *testscript.TestScript, w *world, args []string) {
		w.signalled = time.Now()
		ts.Check(last(ts).Process.Signal(signals[args[0]]))
	}),
	// ended FILE, after signal and wait, wants a second at most between the two, and no
	// secret in the log.
	"ended": command(1, func(ts *testscript.TestScript, w *world, args []string) {
		if took := time.Since(w.signalled); took > time.Second {
			ts.Fatalf("it ended %v after the signal", took)
		}
		log := ts.ReadFile(args[0])
		for _, s := range w.secrets {
			if strings.Contains(log, s) {
				ts.Fatalf("the secret %q was logged", s)
			}
		}
		if strings.Contains(log, "goroutine ") || strings.Contains(log, "DATA RACE") {
			ts.Fatalf("a stack was printed")
		}
	}),
	// count FILE PATTERN N wants that many lines of the file to match.
	"count": command(3, func(ts *testscript.TestScript, _ *world, args []string) {
		n := 0
		for line := range strings.Lines(ts.ReadFile(args[0])) {
			if regexp.MustCompile(args[1]).MatchString(line) {
				n++
			}
		}
		if strconv.Itoa(n) != args[2] {
			ts.Fatalf("%d lines match %s, want %s", n, args[1], args[2])
		}
	}),
	// systemd [NAME] listens for a service's states; $NOTIFY_SOCKET is the address.
	"systemd": command(0, func(ts *testscript.TestScript, w *world, args []string) {
		dir, err := os.MkdirTemp("", "sd") // a socket's name is short
		ts.Check(err)
		name := filepath.Join(dir, "s")
		if len(args) > 0 {
			name = "@" + name + args[0]
		}
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		ts.Check(err)
		w.systemd = &systemd{conn: conn}
		go w.systemd.read()
		ts.Defer(func() {
			_ = conn.Close()
			_ = os.RemoveAll(dir)
		})
		ts.Setenv("NOTIFY_SOCKET", name)
	}),
	"unseal": command(1, func(_ *testscript.TestScript, w *world, args []string) { w.vaults[args[0]].Unseal() }),
	// revoke VAULT TOKEN ends a token; "last" is that of the last login.
	"revoke": command(2, func(_ *testscript.TestScript, w *world, args []string) {
		token := args[1]
		if token == "last" {
			for _, r := range w.vaults[args[0]].Requests() {
				if strings.HasSuffix(r.Path, "/config") {
					token = r.Header.Get("X-Vault-Token")
				}
			}
		}
		w.vaults[args[0]].Revoke(token)
	}),
	// drift VAULT NAMESPACE PATH leaves nothing but a foreign key on the mount.
	"drift": command(3, func(ts *testscript.TestScript, w *world, args []string) {
		s := w.vaults[args[0]]
		fields := s.Config(args[1], args[2])
		foreign, err := pem.Encode(fakenomad.NewKey("EdDSA").Public())
		ts.Check(err)
		fields["jwt_validation_pubkeys"] = []string{string(foreign)}
		ts.Check(s.WriteConfig(args[1], args[2], fields))
	}),
}

var signals = map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}

func last(ts *testscript.TestScript) *exec.Cmd {
	all := ts.BackgroundCmds()
	if len(all) == 0 {
		ts.Fatalf("nothing runs in the background")
	}
	return all[len(all)-1]
}

func untilTrusts(_ *testscript.TestScript, w *world, args []string) error {
	keys := w.vaults[args[0]].Keys(args[1], args[2])
	if got := strconv.Itoa(len(keys)); got != args[3] {
		return fmt.Errorf("the mount trusts %s keys, want %s", got, args[3])
	}
	for _, name := range args[4:] {
		for _, k := range w.nomads[name].Region("").Keys() {
			if !slices.ContainsFunc(keys, func(e string) bool { return strings.Contains(e, k.ID) }) {
				return fmt.Errorf("key %s of %s isn't trusted", k.ID, name)
			}
		}
	}
	return nil
}

func untilLog(ts *testscript.TestScript, _ *world, args []string) error {
	log, err := os.ReadFile(ts.MkAbs(args[0]))
	if err == nil && !regexp.MustCompile("(?m)"+args[1]).Match(log) {
		err = fmt.Errorf("nothing in the log matches %s:\n%s", args[1], log)
	}
	if err == nil && len(args) > 2 { // the first submatch goes into a variable
		ts.Setenv(args[2], regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(string(log))[1])
	}
	return err
}

func untilGet(ts *testscript.TestScript, _ *world, args []string) error {
	response, err := http.Get(args[0])
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	ts.Check(os.WriteFile(ts.MkAbs("body"), body, 0o600))
	if strconv.Itoa(response.StatusCode) != args[1] || len(args) > 2 && !regexp.MustCompile("(?m)"+args[2]).Match(body) {
		return fmt.Errorf("GET %s: %s: %s", args[0], response.Status, body)
	}
	return nil
}

func untilNotified(_ *testscript.TestScript, w *world, args []string) error {
	w.systemd.mu.Lock()
	defer w.systemd.mu.Unlock()
	want, n := 1, 0
	if len(args) > 1 {
		want, _ = strconv.Atoi(args[1])
	}
	for _, s := range w.systemd.states {
		if regexp.MustCompile("^" + args[0] + "$").MatchString(s) {
			n++
		}
	}
	if n < want {
		return fmt.Errorf("systemd heard %q", w.systemd.states)
	}
	return nil
}

func untilRequests(_ *testscript.TestScript, w *world, args []string) error {
	s := w.server(args[0])
	want, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	if got := s.Count(args[1], args[2]); got < want {
		return fmt.Errorf("%s %s: %d requests, want %d", args[1], args[2], got, want)
	}
	return nil
}
