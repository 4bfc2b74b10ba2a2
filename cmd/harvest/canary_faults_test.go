package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakehttp"
)

// heard is what a request showed: its token and its body.
func heard(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	return "token " + r.Header.Get("X-Vault-Token") + " body " + string(body)
}

// echo answers with what it heard, behind so much else, in Vault's form of an error.
func echo(code int, before string) fakehttp.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		fakehttp.Status(code, before+heard(r))(w, r, next)
	}
}

// echoRaw answers with what it heard, as a proxy might.
func echoRaw(code int, format string) fakehttp.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		fakehttp.Answer(code, "application/json", fmt.Sprintf(format, heard(r)))(w, r, next)
	}
}

// echoAway redirects to where nobody is, with what it heard in the address.
func echoAway(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	fakehttp.Redirect(http.StatusTemporaryRedirect, "http://127.0.0.1:1/"+strings.ReplaceAll(heard(r), " ", "/"))(w, r, next)
}

// TestCanaries plants a canary in every credential, and finds none in anything that any
// command prints or writes, however things go: least of all where a server sends back what
// it was sent.
func TestCanaries(t *testing.T) {
	private := func(m *coalmine) []byte {
		document, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
			"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": m.plant("private key of a JWKS"),
		}}})
		require.NoError(t, err)
		return document
	}
	vaultSays := func(f fakehttp.Fault) func(*testing.T, *coalmine) {
		return func(_ *testing.T, m *coalmine) { m.vault.Inject(f) }
	}
	put := func(file, contents string) func(*testing.T, *coalmine) {
		return func(t *testing.T, m *coalmine) {
			for _, name := range []string{"token", "secret-id", "service-account", "jwt"} {
				if file == "" || file == name {
					secret, err := os.ReadFile(m.file(name))
					require.NoError(t, err)
					m.write(t, m.file(name), strings.ReplaceAll(contents, "SECRET", strings.TrimSpace(string(secret))))
				}
			}
		}
	}
	for name, arrange := range map[string]func(*testing.T, *coalmine){
		"all is well":                  func(*testing.T, *coalmine) {},
		"every login works, no config": vaultSays(fakehttp.On("GET", "/config", fakehttp.Status(404))),
		"sealed":                       func(_ *testing.T, m *coalmine) { m.vault.Seal() },
		"400 with an echo":             vaultSays(echo(400, "")),
		"403 with an echo":             vaultSays(echo(403, "")),
		"412 with an echo":             vaultSays(echo(412, "")),
		"429 with an echo":             vaultSays(echo(429, "")),
		"500 with an echo":             vaultSays(echo(500, "")),
		"a cut within the echo":        vaultSays(echo(500, strings.Repeat("x ", 115))),
		"an echo on two lines":         vaultSays(echoRaw(500, "{\"errors\":[\"a\"]}\n%s")),
		"an echo that is no JSON":      vaultSays(echoRaw(502, "<html>%s</html>")),
		"200 with an echo":             vaultSays(echoRaw(200, "%s")),
		"200 with an echo in JSON":     vaultSays(echoRaw(200, `{"data":{"jwt_validation_pubkeys":%q}}`)),
		"writes refused with an echo":  vaultSays(fakehttp.On("PUT", "/config", echo(500, ""))),
		"logins refused with an echo":  vaultSays(fakehttp.On("PUT", "/login", echo(400, ""))),
		"logins echoed":                vaultSays(fakehttp.On("PUT", "/login", echoRaw(200, "%s"))),
		"logins without a token":       vaultSays(fakehttp.On("PUT", "/login", echoRaw(200, `{"data":{"echo":%q}}`))),
		"an address with an echo":      vaultSays(echoAway),
		"connections dropped":          vaultSays(fakehttp.Drop()),
		"login tokens refused": vaultSays(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			if strings.HasSuffix(r.URL.Path, "/login") {
				next(w, r)
				return
			}
			echo(403, "")(w, r, next)
		}),
		"two secrets in a file":       put("", "SECRET\nSECRET"),
		"a secret with a NUL":         put("", "SECRET\x00"),
		"a secret that can't be sent": put("", "SECRET\x07"),
		"a secret too long":           put("", strings.Repeat("SECRET", 10000)),
		"a secret with a quote":       put("", `SECRET"`),
		"keys and certificates mixed up": func(t *testing.T, m *coalmine) {
			for _, name := range []string{"vault", "nomad"} {
				require.NoError(t, os.Rename(m.file(name+"-key.pem"), m.file(name+".pem")))
				m.write(t, m.file(name+"-key.pem"), "x")
			}
		},
		"keys that are no PEM": func(t *testing.T, m *coalmine) {
			for _, name := range []string{"vault", "nomad"} {
				m.write(t, m.file(name+"-key.pem"), "-----BEGIN PRIVATE KEY-----\n"+m.canaries["client key of "+name])
			}
		},
		"VAULT_TOKEN that can't be sent": func(_ *testing.T, m *coalmine) { m.env["VAULT_TOKEN"] += "\x07" },
		"a secret where a switch belongs": func(_ *testing.T, m *coalmine) {
			m.env["VAULT_SKIP_VERIFY"], m.env["NOMAD_SKIP_VERIFY"] = m.env["VAULT_TOKEN"], m.env["NOMAD_TOKEN"]
		},
		"a cluster that publishes a private key": func(_ *testing.T, m *coalmine) { m.nomad.Region("").Publish(private(m)) },
		"a cluster that publishes half of one":   func(_ *testing.T, m *coalmine) { d := private(m); m.nomad.Region("").Publish(d[:len(d)-2]) },
		"a cluster that fails with a private key": func(_ *testing.T, m *coalmine) {
			m.nomad.Inject(fakehttp.Answer(500, "text/plain", string(private(m))))
		},
		"a cluster that answers with a key as its type": func(_ *testing.T, m *coalmine) {
			m.nomad.Inject(fakehttp.Answer(200, "application/"+string(private(m)), ""))
		},
		"a cluster that redirects to a password": func(_ *testing.T, m *coalmine) {
			m.nomad.Inject(fakehttp.Redirect(302, "http://u:"+m.plant("password of a redirect")+"@127.0.0.1:1/"))
		},
		"a Vault that doesn't speak TLS": func(t *testing.T, m *coalmine) {
			m.write(t, m.file("harvest.hcl"), m.hcl(strings.Replace(m.vault.URL, "http:", "https:", 1), strings.Replace(m.nomad.URL, "http:", "https:", 1)))
		},
		"a Vault that isn't trusted": func(t *testing.T, m *coalmine) {
			m.vault.ListenTLS()
			m.nomad.ListenTLS()
			m.write(t, m.file("harvest.hcl"), m.hcl(m.vault.URL, m.nomad.URL))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newCoalmine(t)
			arrange(t, m)
			m.all(t)
			if strings.Contains(name, "echo") {
				m.helped(t)
			}
		})
	}
}

// TestCanariesAreFound: what the other tests look for would be found, in part too.
func TestCanariesAreFound(t *testing.T) {
	m := newCoalmine(t)
	m.all(t)
	m.helped(t)
	require.Greater(t, len(m.canaries), 15, "the tokens of all logins are among them")
	for name, value := range m.canaries {
		assert.Equal(t, name, canaries{name: value}.in("x "+value+" y"))
		assert.NotEmpty(t, m.in(value[len(value)/4:3*len(value)/4+4]), name)
	}
	assert.Empty(t, m.in("harvest"))
	code, _, stderr := m.harvest(t, "status", "-config", m.file("harvest.hcl"))
	require.Equal(t, exitOK, code, "every credential works: "+stderr)
	m.env["VAULT_TOKEN"] = ""
	code, out := m.process(t, "status", "-mount", "by-env")
	require.Equal(t, exitOK, code, "the token helper's too: "+out)
	for _, path := range mines {
		assert.Len(t, m.vault.Keys("", path), 1, path)
	}
}

// TestAddressesWithPasswords: none is shown, neither where it is refused nor where it
// can't even be parsed.
func TestAddressesWithPasswords(t *testing.T) {
	for _, form := range []string{"http://user:%s@127.0.0.1:1", "http://user:%s%%zz@127.0.0.1:1", "http://%s@127.0.0.1:1/x y", "user:%s@127.0.0.1", "http://user:%s@[::1", "http://u:%s\x07@h"} {
		m := newCoalmine(t)
		address := fmt.Sprintf(form, m.plant("password"))
		mount := []string{"-cluster", "us-east", "-mount", "by-env", "-log-level", "debug"}
		for _, args := range [][]string{
			{"sync", "-nomad-address", address}, {"plan", "-jwks-url", address}, {"sync", "-nomad-address=" + address, "-allow-plaintext"},
			{"status", "-oidc-issuer", address},
		} {
			m.harvest(t, append(args, mount...)...)
		}
		m.env["NOMAD_ADDR"] = address
		m.harvest(t, append([]string{"sync"}, mount...)...)
		m.harvest(t, "pem")
		if strings.HasPrefix(address, "http") { // else it is a file's name
			m.harvest(t, "pem", address)
		}
		m.env["NOMAD_ADDR"] = m.nomad.URL
		for _, variable := range []string{"VAULT_ADDR", "VAULT_AGENT_ADDR", "VAULT_PROXY_ADDR"} {
			m.env["VAULT_ADDR"] = m.vault.URL
			m.env[variable] = address
			m.harvest(t, append([]string{"sync"}, mount...)...)
			m.harvest(t, "status", "-mount", "by-env")
			m.env[variable] = ""
		}
		m.write(t, m.file("harvest.hcl"), m.hcl(m.vault.URL, address))
		m.harvest(t, "sync", "-config", m.file("harvest.hcl"))
		m.write(t, m.file("harvest.hcl"), m.hcl(address, m.nomad.URL))
		m.harvest(t, "sync", "-config", m.file("harvest.hcl"))
	}
}

// TestProxiesWithPasswords: the environment's proxy, which a process looks up once.
func TestProxiesWithPasswords(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"http://user:%s@127.0.0.1:1", "http://user:%s%%zz@127.0.0.1:1", "user:%s%%zz@127.0.0.1:1"} {
		for _, variable := range []string{"HTTPS_PROXY", "HTTP_PROXY", "VAULT_PROXY_ADDR"} {
			m := newCoalmine(t)
			m.env[variable] = fmt.Sprintf(form, m.plant("password of a proxy"))
			m.write(t, m.file("harvest.hcl"), m.hcl("https://vault.invalid:8200", "https://nomad.invalid:4646"))
			m.process(t, "sync", "-config", m.file("harvest.hcl"), "-log-level", "debug", "-timeout", "5s")
			m.process(t, "pem", "-timeout", "5s", "http://nomad.invalid:4646")
		}
	}
}

// TestConfigQuotesNoSecret: a file that is wrong in any place is refused without a word
// of the secrets in it, which an operator may have put there by mistake.
func TestConfigQuotesNoSecret(t *testing.T) {
	t.Parallel()
	c := canaries{}
	src := fmt.Sprintf(`cluster "us-east" {
  address   = "https://nomad.example.com:4646"
  nomad_token = %q
}
vault {
  address = "https://user:%s@vault.example.com:8200"
  token   = %q
  auth "approle" {
    role_id   = "harvest"
    secret_id = "%s"
  }
}
mount "m" {
  clusters = ["us-east"]
}
`, c.plant("nomad_token"), c.plant("password"), c.plant("token"), c.plant("secret_id"))
	check := func(broken string) {
		cfg, err := config.Parse("x.hcl", []byte(broken))
		if err == nil {
			t.Fatalf("%+v was let pass", cfg)
		}
		c.check(t, "the error", err.Error())
	}
	check(src)
	for _, secret := range c {
		check(strings.ReplaceAll(src, `"`+secret+`"`, secret))
		check(strings.ReplaceAll(src, `"`+secret+`"`, `[`+secret+`]`))
	}
	odd := []string{`"`, "{", "}", "${", "\n", "\x00", "'", "]", "= ", "\\", "${x}", `" . "`} // each here and there
	for i := range src {
		check(src[:i])
		check(src[:i] + src[i+1:])
		check(src[:i] + odd[i%len(odd)] + src[i:])
		check(src[:i] + odd[(i+len(odd)/2)%len(odd)] + src[i:])
	}
}
