package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

// canaries are credentials by name, each planted in one place. None of them may come out
// of any command, whole or in part.
type canaries map[string]string

// partLength is how much of a canary is a leak, unless all of it is less.
const partLength = 16

// in returns the name of a canary that the text holds a part of, or "".
func (c canaries) in(text string) string {
	text = strings.ToLower(text)
	for name, value := range c {
		value = strings.ToLower(value)
		if len(value) <= partLength {
			if strings.Contains(text, value) {
				return name
			}
			continue
		}
		for i := 0; i+partLength <= len(value); i++ {
			if strings.Contains(text, value[i:i+partLength]) {
				return name
			}
		}
	}
	return ""
}

func (c canaries) check(t *testing.T, what, text string) {
	t.Helper()
	if name := c.in(text); name != "" {
		t.Errorf("%s shows the canary %q:\n%s", what, name, text)
	}
}

// plant makes a canary that nobody knows the form of.
func (c canaries) plant(name string) string {
	c[name] = rand.Text()
	return c[name]
}

// coalmine is a Vault, a Nomad and a configuration in which every kind of credential is
// planted that harvest can be given.
type coalmine struct {
	canaries
	dir   string
	env   map[string]string
	files int // that a process may open; 0: as many as the test may
	vault *fakevault.Server
	nomad *fakenomad.Server
}

// mines are the mounts, one for each way to get a token.
var mines = []string{"by-env", "by-file", "by-approle", "by-kubernetes", "by-jwt"}

func newCoalmine(t *testing.T) *coalmine {
	t.Helper()
	return newCoalmineIn(t, t.TempDir())
}

func newCoalmineIn(t *testing.T, dir string) *coalmine {
	t.Helper()
	m := &coalmine{
		canaries: canaries{}, dir: dir, vault: fakevault.New(t), nomad: fakenomad.New(t),
		env: map[string]string{"HOME": t.TempDir(), "VAULT_MAX_RETRIES": "0", "GORACE": "atexit_sleep_ms=0", "PATH": os.Getenv("PATH")},
	}
	require.NoError(t, m.vault.Client().Sys().PutPolicy("all", `path "*" { capabilities = ["read", "update"] }`))
	for _, path := range mines {
		m.vault.Enable("", path, "jwt")
	}
	everything := fakevault.Grants{"*": {"read", "update"}}
	token := func(name string) string {
		m.canaries[name] = m.vault.Token("", everything)
		return m.canaries[name]
	}
	m.env["VAULT_TOKEN"] = token("VAULT_TOKEN")
	m.write(t, filepath.Join(m.env["HOME"], ".vault-token"), token("the token helper's token"))
	m.write(t, m.file("token"), token("token_file"))
	m.env["NOMAD_TOKEN"] = m.plant("NOMAD_TOKEN")
	m.env["NOMAD_HTTP_AUTH"] = "operator:" + m.plant("NOMAD_HTTP_AUTH")
	m.env["DATABASE_PASSWORD"] = m.plant("a variable that is not harvest's")

	m.write(t, m.file("secret-id"), m.plant("secret_id"))
	m.vault.EnableAppRole("", "approle", "harvest", m.canaries["secret_id"], "all")
	m.write(t, m.file("service-account"), m.plant("service account token"))
	m.vault.EnableKubernetes("", "kubernetes", "harvest", m.canaries["service account token"], "all")
	m.write(t, m.file("jwt"), m.workload(t))
	for _, name := range []string{"vault", "nomad"} {
		certificatePair(t, dir, name, time.Now().Add(time.Hour))
		key, err := os.ReadFile(m.file(name + "-key.pem"))
		require.NoError(t, err)
		block, _ := pem.Decode(key)
		m.canaries["client key of "+name] = base64.StdEncoding.EncodeToString(block.Bytes)[48:] // behind what all keys have
	}
	m.env["VAULT_CLIENT_CERT"], m.env["VAULT_CLIENT_KEY"] = m.file("vault.pem"), m.file("vault-key.pem")
	m.write(t, m.file("harvest.hcl"), m.hcl(m.vault.URL, m.nomad.URL))
	return m
}

// workload makes the jwt login work, and returns its JWT.
func (m *coalmine) workload(t *testing.T) string {
	t.Helper()
	element, err := pemOf(m.nomad.Region("").Active())
	require.NoError(t, err)
	m.vault.Enable("", "jwt-login", "jwt")
	require.NoError(t, m.vault.WriteConfig("", "jwt-login", map[string]any{"jwt_validation_pubkeys": []string{element}}))
	_, err = m.vault.Client().Logical().Write("auth/jwt-login/role/harvest", map[string]any{
		"role_type": "jwt", "user_claim": "nomad_job_id", "bound_audiences": []string{"vault.io"}, "token_ttl": 600, "token_policies": "all",
	})
	require.NoError(t, err)
	jwt := m.nomad.Region("").Token(fakenomad.Workload{})
	m.canaries["JWT"] = jwt
	return jwt
}

func (m *coalmine) hcl(vault, nomad string) string {
	text := fmt.Sprintf("cluster \"us-east\" {\n  address = %q\n  client_cert = %q\n  client_key = %q\n}\n", nomad, m.file("nomad.pem"), m.file("nomad-key.pem"))
	for i, auth := range []string{
		"",
		fmt.Sprintf("auth \"token_file\" {\n path = %q\n}", m.file("token")),
		fmt.Sprintf("auth \"approle\" {\n role_id = \"harvest\"\n secret_id_file = %q\n}\nclient_cert = %q\nclient_key = %q", m.file("secret-id"), m.file("vault.pem"), m.file("vault-key.pem")),
		fmt.Sprintf("auth \"kubernetes\" {\n role = \"harvest\"\n token_file = %q\n}", m.file("service-account")),
		fmt.Sprintf("auth \"jwt\" {\n mount = \"jwt-login\"\n role = \"harvest\"\n token_file = %q\n}", m.file("jwt")),
	} {
		text += fmt.Sprintf("vault %q {\naddress = %q\n%s\n}\nmount %q {\nvault = %q\nclusters = [\"us-east\"]\nsettle = \"40ms\"\n}\n", mines[i], vault, auth, mines[i], mines[i])
	}
	return text
}

func (m *coalmine) file(name string) string { return filepath.Join(m.dir, name) }

func (m *coalmine) write(t *testing.T, name, contents string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(contents+"\n"), 0o600))
}

// seen plants the tokens that Vault gave out: they are valid still, or it saw them come back.
func (m *coalmine) seen() {
	for i, token := range m.vault.Tokens() {
		m.canaries[fmt.Sprintf("valid token %d", i)] = token
	}
	for i, r := range m.vault.Requests() {
		if token := r.Header.Get("X-Vault-Token"); token != "" && token != fakevault.RootToken {
			m.canaries[fmt.Sprintf("token of request %d", i)] = token
		}
	}
}

// harvest runs a command in this process, and wants no canary of it.
func (m *coalmine) harvest(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	noVault(t)
	for name, value := range m.env {
		t.Setenv(name, value)
	}
	code, stdout, stderr = harvest(t, m.env, args...)
	m.seen()
	m.check(t, "harvest "+strings.Join(args, " "), stdout+stderr)
	return code, stdout, stderr
}

// process runs a command in a process of its own, which has this environment and no other.
func (m *coalmine) process(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	cmd := m.command(t, args...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	m.seen()
	m.check(t, "harvest "+strings.Join(args, " "), string(out))
	return cmd.ProcessState.ExitCode(), string(out)
}

func (m *coalmine) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "harvest", args...) // TestMain's
	if m.files > 0 {
		script := fmt.Sprintf(`ulimit -n %d && exec harvest "$@"`, m.files)
		cmd = exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
	}
	for name, value := range m.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// all runs every command that reads the configuration, in every format, at debug level.
func (m *coalmine) all(t *testing.T) {
	t.Helper()
	config, single := []string{"-config", m.file("harvest.hcl")}, []string{"-cluster", "us-east", "-nomad-address", m.nomad.URL, "-mount", "by-env", "-settle", "40ms"}
	metrics := m.file("harvest.prom")
	for _, c := range [][]string{
		{"plan", "-log-level", "debug"}, {"plan", "-format", "json", "-log-level", "debug"},
		{"sync", "-log-level", "debug", "-metrics-textfile", metrics}, {"sync", "-format", "json", "-log-format", "json", "-log-level", "debug"},
		{"status", "-log-level", "debug"}, {"status", "-format", "json", "-log-format", "json", "-log-level", "debug"}, {"status", "-format", "html"}, {"policy"},
		{"verify", m.file("jwt"), "-role", "harvest", "-log-level", "debug"}, {"verify", m.file("jwt"), "-format", "json", "-log-format", "json", "-log-level", "debug"},
	} {
		m.harvest(t, append(c, config...)...)
	}
	m.env["VAULT_ADDR"] = m.vault.URL
	m.harvest(t, append([]string{"plan", "-format", "vault", "-log-level", "debug"}, single...)...)
	keys := m.file("keys")
	for _, c := range [][]string{{"pem", m.nomad.URL}, {"pem", "-format", "json", m.nomad.URL}, {"pem", "-out", keys, m.nomad.URL}, {"version", "-format", "json"}} {
		m.harvest(t, c...)
	}
	m.checkFiles(t, keys, metrics)
}

// helped syncs with the token helper's token, in a process of its own, which looks up its home
// once.
func (m *coalmine) helped(t *testing.T) {
	t.Helper()
	token := m.env["VAULT_TOKEN"]
	m.env["VAULT_ADDR"], m.env["VAULT_TOKEN"] = m.vault.URL, ""
	m.process(t, "sync", "-log-level", "debug", "-cluster", "us-east", "-nomad-address", m.nomad.URL, "-mount", "by-env", "-settle", "40ms")
	m.env["VAULT_TOKEN"] = token
}

// checkFiles reads what was written.
func (m *coalmine) checkFiles(t *testing.T, directory string, names ...string) {
	t.Helper()
	written, err := filepath.Glob(filepath.Join(directory, "*"))
	require.NoError(t, err)
	hidden, err := filepath.Glob(filepath.Join(directory, ".*"))
	require.NoError(t, err)
	for _, name := range append(append(names, written...), hidden...) {
		if data, err := os.ReadFile(name); err == nil {
			m.check(t, name, string(data))
		}
	}
}
