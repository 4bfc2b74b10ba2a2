package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// standInsFlag makes of this program the stand-ins: clusters, each at an address of its
// own, and a Vault. They are lean, and a process apart, so that what they cost is not
// counted as harvest's.
const standInsFlag = "-stand-ins"

// standInSettings are what they are told in one line of standard input.
type standInSettings struct {
	Clusters int
	Latency  time.Duration // before each reply
}

// standInAddresses are what they say once they serve.
type standInAddresses struct {
	Clusters       []string
	Vault, Control string
}

// scene is what they forget and play from now on.
type scene struct {
	Hanging, Failing int // of the clusters, the last ones
}

// tally is what they have seen since.
type tally struct {
	Requests, Connections int
	Reads, Writes         int // of the requests, to Vault
	Sent                  int // bytes of bodies
	LastWrite             int64
}

// standIns are the process as the tables see it.
type standIns struct {
	standInAddresses
}

// startStandIns runs them until the table is measured.
func startStandIns(ctx context.Context, env *compare.Env, s standInSettings) (*standIns, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, standInsFlag, string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	env.Cleanup(func() {
		stdin.Close() // which ends them
		_ = cmd.Wait()
	})
	var running standIns
	return &running, json.NewDecoder(bufio.NewReader(stdout)).Decode(&running.standInAddresses)
}

// play makes them forget the mounts and what they have seen; keep leaves the mounts.
func (s *standIns) play(ctx context.Context, sc scene, keep bool) error {
	query := url.Values{"hanging": {fmt.Sprint(sc.Hanging)}, "failing": {fmt.Sprint(sc.Failing)}, "keep": {fmt.Sprint(keep)}}
	return fetchJSON(ctx, s.Control+"/play?"+query.Encode(), new(struct{}))
}

// configure gives a mount a configuration, as one that trusts no cluster yet.
func (s *standIns) configure(ctx context.Context, mount string) error {
	return exchange(ctx, http.MethodPut, s.Vault+"/v1/auth/"+mount+"/config", http.StatusNoContent,
		strings.NewReader(`{"jwt_supported_algs":["RS256"],"jwt_validation_pubkeys":[]}`), io.Discard)
}

// seen returns what they have seen since.
func (s *standIns) seen(ctx context.Context) (t tally, err error) {
	return t, fetchJSON(ctx, s.Control+"/seen", &t)
}

func fetchJSON(ctx context.Context, url string, into any) error {
	var reply bytes.Buffer
	if err := exchange(ctx, http.MethodGet, url, http.StatusOK, nil, &reply); err != nil {
		return err
	}
	return json.Unmarshal(reply.Bytes(), into)
}

// exchange makes one request, whose reply must have that status.
func exchange(ctx context.Context, method, url string, status int, body io.Reader, reply io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	_, err = io.Copy(reply, response.Body)
	return err
}

// farm is the process from inside.
type farm struct {
	standInSettings

	mu     sync.Mutex
	scene  scene
	mounts map[string]json.RawMessage // configurations, by path
	seen   tally
}

// runStandIns serves until standard input ends.
func runStandIns(text string) error {
	f := &farm{mounts: map[string]json.RawMessage{}}
	if err := json.Unmarshal([]byte(text), &f.standInSettings); err != nil {
		return err
	}
	all, err := keySet(kindRSA, f.Clusters)
	if err != nil {
		return err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(all, &set); err != nil {
		return err
	}
	var addresses standInAddresses
	listen := func(h http.HandlerFunc, counted bool) (address string) {
		if err == nil {
			address, err = f.listen(h, counted)
		}
		return address
	}
	for i, key := range set.Keys {
		document := []byte(`{"keys":[` + string(key) + `]}`)
		addresses.Clusters = append(addresses.Clusters, listen(func(w http.ResponseWriter, r *http.Request) { f.cluster(w, r, i, document) }, true))
	}
	addresses.Vault = listen(f.vault, true)
	addresses.Control = listen(f.control, false)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (f *farm) listen(h http.HandlerFunc, counted bool) (string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	if counted {
		server.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				f.count(func(t *tally) { t.Connections++ })
			}
		}
	}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

func (f *farm) count(do func(*tally)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(&f.seen)
}

// cluster is a Nomad agent.
func (f *farm) cluster(w http.ResponseWriter, r *http.Request, i int, document []byte) {
	f.count(func(t *tally) { t.Requests++ })
	f.mu.Lock()
	fromEnd := f.Clusters - 1 - i
	hangs, fails := fromEnd < f.scene.Hanging, fromEnd >= f.scene.Hanging && fromEnd < f.scene.Hanging+f.scene.Failing
	f.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return
	}
	time.Sleep(f.Latency)
	if fails {
		http.Error(w, "no leader", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Nomad-Index", "7")
	f.count(func(t *tally) { t.Sent += len(document) })
	w.Write(document)
}

// vault reads and writes configurations of JWT mounts; any path is one.
func (f *farm) vault(w http.ResponseWriter, r *http.Request) {
	time.Sleep(f.Latency)
	mount, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/config"), "/v1/auth/")
	if !ok {
		f.count(func(t *tally) { t.Requests++ })
		f.capabilities(w, r)
		return
	}
	if r.Method != http.MethodGet {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		f.count(func(t *tally) {
			t.Requests++
			t.Writes++
			t.LastWrite = time.Now().UnixNano()
			f.mounts[mount] = body
		})
		w.WriteHeader(http.StatusNoContent)
		return
	}
	f.mu.Lock()
	config := f.mounts[mount]
	f.seen.Requests++
	f.seen.Reads++
	f.seen.Sent += len(config)
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if config == nil {
		http.Error(w, `{"errors":[]}`, http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, `{"data":%s}`, config)
}

// capabilities says that everything may be done.
func (f *farm) capabilities(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Paths []string `json:"paths"`
	}
	if r.URL.Path != "/v1/sys/capabilities-self" || json.NewDecoder(r.Body).Decode(&asked) != nil {
		http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		return
	}
	answer := map[string][]string{}
	for _, path := range append(asked.Paths, "capabilities") {
		answer[path] = []string{"read", "update"}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": answer})
}

func (f *farm) control(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path == "/seen" {
		_ = json.NewEncoder(w).Encode(f.seen)
		return
	}
	query := r.URL.Query()
	_, err := fmt.Sscan(query.Get("hanging")+" "+query.Get("failing"), &f.scene.Hanging, &f.scene.Failing)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.seen = tally{}
	if query.Get("keep") != "true" {
		clear(f.mounts)
	}
	_, _ = io.WriteString(w, "{}")
}

// firstNumber returns the number of a case, such as that of "1,000 clusters".
func firstNumber(name string) int { return int(compare.FirstNumber(name)) }

// errScene is a run that didn't do what was to be measured.
var errScene = errors.New("not what was to be measured")
