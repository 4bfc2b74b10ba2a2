package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/pem"
)

// nomadCanary is a token that must never leave the environment.
const nomadCanary = "nomad-canary-4f6c3d"

// world is what a script's commands have set up.
type world struct {
	nomads    map[string]*fakenomad.Server
	vaults    map[string]*fakevault.Server
	secrets   []string // must not be printed
	systemd   *systemd
	signalled time.Time
}

// TestScript runs the scripts of testdata/script against a Vault and Nomads of the test's
// own. The command runs in processes of its own, so that its environment is real. Beside
// testscript's commands there are those of scriptCommands.
func TestScript(t *testing.T) {
	t.Parallel()
	commands := maps.Clone(scriptCommands)
	maps.Copy(commands, watchCommands)
	maps.Copy(commands, verifyCommands)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands,
		Setup: func(e *testscript.Env) error {
			w := &world{nomads: map[string]*fakenomad.Server{}, vaults: map[string]*fakevault.Server{}, secrets: []string{nomadCanary}}
			e.Values["world"] = w
			e.Defer(w.close)
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("VAULT_MAX_RETRIES", "0")
			e.Setenv("NOMAD_TOKEN", nomadCanary)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector's second isn't harvest's
			return os.MkdirAll(home, 0o755)
		},
	})
}

func (w *world) close() {
	for _, s := range w.nomads {
		s.Close()
	}
	for _, s := range w.vaults {
		s.Close()
	}
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// nomad NAME [REGION…] starts an agent; $NAME is its address.
	"nomad": command(1, func(ts *testscript.TestScript, w *world, args []string) {
		w.nomads[args[0]] = fakenomad.Start(args[1:]...)
		ts.Setenv(args[0], w.nomads[args[0]].URL)
	}),
	// vault NAME starts a Vault; $NAME is its address, $NAME_TOKEN a token for everything.
	"vault": command(1, func(ts *testscript.TestScript, w *world, args []string) {
		s := fakevault.Start()
		w.vaults[args[0]] = s
		w.secret(ts, args[0]+"_TOKEN", s.Token("", fakevault.Grants{"*": {"read", "update", "list"}}))
		ts.Setenv(args[0], s.URL)
	}),
	// token VAULT VARIABLE PATH CAPABILITY… makes a token that may do no more than that.
	"token": command(4, func(ts *testscript.TestScript, w *world, args []string) {
		w.secret(ts, args[1], w.vaults[args[0]].Token("", fakevault.Grants{args[2]: args[3:]}))
	}),
	// secret TEXT must not be printed from now on.
	"secret": command(1, func(_ *testscript.TestScript, w *world, args []string) {
		w.secrets = append(w.secrets, args...)
	}),
	// approle VAULT NAMESPACE PATH ROLE-ID SECRET-ID makes a login for everything.
	"approle": command(5, func(ts *testscript.TestScript, w *world, args []string) {
		s := w.vaults[args[0]]
		allowAll(ts, s, args[1])
		s.EnableAppRole(args[1], args[2], args[3], args[4], "all")
		w.secrets = append(w.secrets, args[4])
	}),
	// kubernetes VAULT NAMESPACE PATH ROLE JWT makes a login for everything.
	"kubernetes": command(5, func(ts *testscript.TestScript, w *world, args []string) {
		s := w.vaults[args[0]]
		allowAll(ts, s, args[1])
		s.EnableKubernetes(args[1], args[2], args[3], args[4], "all")
		w.secrets = append(w.secrets, args[4])
	}),
	// mount VAULT NAMESPACE PATH [FILE] enables JWT auth there, with the file's JSON as its config.
	"mount": command(3, func(ts *testscript.TestScript, w *world, args []string) {
		s := w.vaults[args[0]]
		s.Enable(args[1], args[2], "jwt")
		if len(args) < 4 {
			return
		}
		var fields map[string]any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[3])), &fields))
		ts.Check(s.WriteConfig(args[1], args[2], fields))
	}),
	// signin VAULT PATH enables a mount of type oidc, where people sign in.
	"signin": command(2, func(_ *testscript.TestScript, w *world, args []string) {
		s := w.vaults[args[0]]
		s.Enable("", args[1], "oidc")
		s.SetConfig("", args[1], map[string]any{
			"oidc_discovery_url": "https://accounts.example.com", "oidc_client_id": "staff", "oidc_client_secret": "shown to nobody",
			"jwt_validation_pubkeys": []string{}, "default_role": "staff",
		})
	}),
	"seal":    command(1, func(_ *testscript.TestScript, w *world, args []string) { w.vaults[args[0]].Seal() }),
	"rotate":  command(2, func(_ *testscript.TestScript, w *world, args []string) { w.region(args).Rotate("RS256") }),
	"rebuild": command(2, func(_ *testscript.TestScript, w *world, args []string) { w.region(args).Rebuild() }),
	"down":    command(2, func(_ *testscript.TestScript, w *world, args []string) { w.region(args).Down(true) }),
	"clear":   command(2, func(_ *testscript.TestScript, w *world, args []string) { w.region(args).Clear() }),
	// issuer NOMAD URL sets oidc_issuer.
	"issuer": command(2, func(_ *testscript.TestScript, w *world, args []string) { w.nomads[args[0]].SetIssuer(args[1]) }),
	// failing SERVER PATH CODE answers what is asked for there with that status.
	"failing": command(3, func(ts *testscript.TestScript, w *world, args []string) {
		code, err := strconv.Atoi(args[2])
		ts.Check(err)
		w.server(args[0]).Inject(fakehttp.On("", args[1], fakehttp.Status(code)))
	}),
	// retire NOMAD REGION stops publishing what isn't active.
	"retire": command(2, func(_ *testscript.TestScript, w *world, args []string) {
		r := w.region(args)
		for _, k := range r.Keys() {
			if k != r.Active() {
				r.Remove(k.ID)
			}
		}
	}),
	// publish NOMAD REGION FILE serves that document.
	"publish": command(3, func(ts *testscript.TestScript, w *world, args []string) {
		w.region(args).Publish([]byte(ts.ReadFile(args[2])))
	}),
	// trusts VAULT NAMESPACE PATH N wants that many keys, and those of the Nomads in what follows.
	"trusts": command(4, func(ts *testscript.TestScript, w *world, args []string) {
		keys := w.vaults[args[0]].Keys(args[1], args[2])
		if got := strconv.Itoa(len(keys)); got != args[3] {
			ts.Fatalf("the mount trusts %s keys, want %s:\n%s", got, args[3], strings.Join(keys, "\n"))
		}
		for _, name := range args[4:] {
			for _, k := range w.nomads[name].Region("").Keys() {
				if !slices.ContainsFunc(keys, func(e string) bool { return strings.Contains(e, k.ID) }) {
					ts.Fatalf("key %s of %s isn't trusted", k.ID, name)
				}
			}
		}
	}),
	// paste VAULT NAMESPACE PATH NOMAD… adds their active keys as somebody does by hand.
	"paste": command(4, func(ts *testscript.TestScript, w *world, args []string) {
		s := w.vaults[args[0]]
		keys := s.Keys(args[1], args[2])
		for _, name := range args[3:] {
			text, err := pem.Encode(w.nomads[name].Region("").Active().Public())
			ts.Check(err)
			keys = append(keys, string(text))
		}
		ts.Check(s.WriteConfig(args[1], args[2], map[string]any{"jwt_validation_pubkeys": keys}))
	}),
	// field VAULT NAMESPACE PATH FIELD VALUE wants a field of the config, as JSON.
	"field": command(5, func(ts *testscript.TestScript, w *world, args []string) {
		got, err := json.Marshal(w.vaults[args[0]].Config(args[1], args[2])[args[3]])
		ts.Check(err)
		if string(got) != args[4] {
			ts.Fatalf("%s is %s, want %s", args[3], got, args[4])
		}
	}),
	// requests SERVER METHOD PATH N wants that many requests so far.
	"requests": command(4, func(ts *testscript.TestScript, w *world, args []string) {
		s := w.server(args[0])
		if got := strconv.Itoa(s.Count(args[1], args[2])); got != args[3] {
			ts.Fatalf("%s %s: %s requests, want %s; all: %v", args[1], args[2], got, args[3], s.Requests())
		}
	}),
	// saw VAULT VARIABLE 0|1: whether the token in that variable ever came there.
	"saw": command(3, func(ts *testscript.TestScript, w *world, args []string) {
		shown := slices.ContainsFunc(w.vaults[args[0]].Requests(), func(r fakehttp.Request) bool {
			return r.Header.Get("X-Vault-Token") == ts.Getenv(args[1])
		})
		if shown != (args[2] == "1") {
			ts.Fatalf("%s saw the token of %s: %t", args[0], args[1], shown)
		}
	}),
	// envfile FILE… puts variables into files.
	"envfile": command(1, func(ts *testscript.TestScript, _ *world, args []string) {
		for _, name := range args {
			text := os.Expand(ts.ReadFile(name), ts.Getenv)
			ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
		}
	}),
	// fingerprint VARIABLE NOMAD sets it to that of the active key.
	"fingerprint": command(2, func(ts *testscript.TestScript, w *world, args []string) {
		f, err := pem.FingerprintOf(w.nomads[args[1]].Region("").Active().Public())
		ts.Check(err)
		ts.Setenv(args[0], f.String())
	}),
	"forget": command(1, func(_ *testscript.TestScript, w *world, args []string) { w.server(args[0]).ClearRequests() }),
	// code N ARG… runs harvest and wants that exit code, and no secret anywhere.
	"code": command(1, func(ts *testscript.TestScript, w *world, args []string) {
		got := 0
		err := ts.Exec("harvest", args[1:]...)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got = exit.ExitCode()
		} else if err != nil {
			ts.Fatalf("%v", err)
		}
		out := ts.ReadFile("stdout") + ts.ReadFile("stderr")
		if want := args[0]; strconv.Itoa(got) != want {
			ts.Fatalf("exit code %d, want %s", got, want)
		}
		for _, s := range w.secrets {
			if strings.Contains(out, s) {
				ts.Fatalf("the secret %q was printed", s)
			}
		}
		if strings.Contains(out, "goroutine ") {
			ts.Fatalf("a stack was printed")
		}
		for name, s := range w.nomads {
			for _, r := range s.Requests() {
				if text := fmt.Sprint(r.Header, r.RawQuery); strings.Contains(text, nomadCanary) {
					ts.Fatalf("%s got the Nomad token: %s", name, text)
				}
			}
		}
	}),
}

// command checks the number of arguments and finds the world.
func command(least int, do func(*testscript.TestScript, *world, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least {
			ts.Fatalf("want at least %d arguments and no !", least)
		}
		do(ts, ts.Value("world").(*world), args)
	}
}

func (w *world) secret(ts *testscript.TestScript, variable, value string) {
	w.secrets = append(w.secrets, value)
	ts.Setenv(variable, value)
}

func (w *world) region(args []string) *fakenomad.Region {
	return w.nomads[args[0]].Region(args[1])
}

func (w *world) server(name string) *fakehttp.Server {
	if s := w.nomads[name]; s != nil {
		return s.Server
	}
	return w.vaults[name].Server
}

func allowAll(ts *testscript.TestScript, s *fakevault.Server, namespace string) {
	client := s.Client()
	client.SetNamespace(namespace)
	ts.Check(client.Sys().PutPolicy("all", `path "*" { capabilities = ["read", "update"] }`))
}
