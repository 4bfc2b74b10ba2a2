package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
)

// certificatePair writes a certificate and its key, valid until then.
func certificatePair(t *testing.T, dir, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-365 * 24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, "-key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+file), pem.EncodeToMemory(block), 0o600))
	}
}

// validateTexts are configurations of a directory with certificates a (valid), b (valid)
// and old (expired), an empty file, and a key set; and what is said of them.
var validateTexts = map[string]struct {
	src      string
	want     []string // parts of lines of stdout
	problems int      // all of the errors
}{
	"good": {`
cluster "a" {
  address     = "https://x"
  ca_cert     = "a.pem"
  client_cert = "a.pem"
  client_key  = "a-key.pem"
}
cluster "b" { jwks_file = "us-east.json" }
vault {
  auth "token_file" { path = "token" }
}
mount "m" { clusters = ["a", "b"] }
`, []string{`:8:15: warning: left out: key 2 (kid "encryption")`, ": valid: 2 clusters, 1 Vault, 1 mount."}, 0},
	"every mistake": {`
cluster "a b" { jwks_file = "missing.json" }
cluster "c" {
  adress = "https://x"
}
mount "m" {
  clusters = ["d"]
  retain   = "soon"
}
`, []string{
		":2:9: error: cluster name", ":2:17: error: key set: open missing.json", ":3:1: error: cluster \"c\" has no source", ":4:3: error: Unsupported argument",
		":7:15: error: no cluster \"d\"", ":8:3: error: retain = ", "not valid: 6 errors.",
	}, 6},
	"syntax":      {"cluster \"a\" {\n  address = \n}\n", []string{":2:13: error: Invalid expression"}, 1},
	"another key": {"cluster \"a\" {\n  address = \"https://x\"\n  client_cert = \"a.pem\"\n  client_key = \"b-key.pem\"\n}\nmount \"m\" { clusters = [\"a\"] }\n", []string{":3:3: error: client certificate a.pem with key b-key.pem: tls: private key does not match"}, 1},
	"no key":      {"vault {\n  client_cert = \"a.pem\"\n  client_key = \"a.pem\"\n}\n" + "cluster \"a\" { jwks_file = \"a.json\" }\n" + "mount \"m\" { clusters = [\"a\"] }\n", []string{":2:3: error: client certificate a.pem", ":5:15: error: key set"}, 2},
	"no CA":       {"vault {\n  ca_cert = \"empty\"\n}\ncluster \"a\" {\n  address = \"https://x\"\n  ca_path = \"nowhere\"\n}\nmount \"m\" { clusters = [\"a\"] }\n", []string{":2:3: error: CA certificate: empty holds no PEM", ":6:3: error: CA certificates: open nowhere"}, 2},
	"expired":     {"cluster \"a\" {\n  address = \"https://x\"\n  ca_cert = \"old.pem\"\n}\nmount \"m\" { clusters = [\"a\"] }\n", []string{`:3:3: warning: old.pem: the certificate of "CN=old" expired on 2026-11-21`, ": valid: "}, 0},
	"two names": {`
cluster "a" { address = "https://Nomad:443/" }
cluster "b" {
  address = "https://nomad"
  regions = ["eu"]
}
mount "m" { clusters = ["a", "b"] }
`, []string{`:3:1: warning: cluster "b" is read from the same place as "a" in line 2`}, 0},
	"unused":      {"cluster \"a\" { jwks_file = \"us-east.json\" }\ncluster \"b\" { jwks_file = \"us-east.json\" }\nmount \"m\" { clusters = [\"a\"] }\n", []string{`:2:1: warning: cluster "b" is on no mount`}, 0},
	"empty token": {"vault {\n  auth \"token_file\" {\n    path = \"empty\"\n  }\n}\ncluster \"a\" { jwks_file = \"us-east.json\" }\nmount \"m\" { clusters = [\"a\"] }\n", []string{":3:5: error: token file"}, 1},
	// As in Terraform, where a resource's namespace lies in its
	// provider's.
	"report 29: a relative namespace": {`
cluster "a" { jwks_file = "us-east.json" }
vault {
  namespace = "admin"
}
mount "jwt" {
  namespace = "team-a"
  clusters  = ["a"]
}
mount "beside" {
  namespace = "administration"
  clusters  = ["a"]
}
mount "within" {
  namespace = "admin/team-a"
  clusters  = ["a"]
}
mount "the-same" {
  namespace = "/admin/"
  clusters  = ["a"]
}
`, []string{
		`:7:3: warning: namespace "team-a" isn't looked for in "admin", which the vault block logs in to, but beside it, from the root namespace on: write "admin/team-a" if it lies in there`,
		`:11:3: warning: namespace "administration"`, ": valid: ",
	}, 0},
	"hostile": {"cluster \"a\x1b[2J\u202e\" { jwks_file = \"us-east.json\" }\nmount \"m\" { clusters = [\"b\u202e\"] }\n", []string{`\x1b[2J\u202e`, `no cluster "b\u202e"`}, 2},
}

// TestConfigValidate: every problem with its place, in the order of the file, as text and
// as JSON, and what is in the files that it names.
func TestConfigValidate(t *testing.T) {
	set, err := os.ReadFile("testdata/us-east.json")
	require.NoError(t, err)
	dir := t.TempDir()
	t.Chdir(dir)
	certificatePair(t, dir, "a", now.Add(time.Hour))
	certificatePair(t, dir, "b", now.Add(time.Hour))
	certificatePair(t, dir, "old", now.Add(-24*time.Hour))
	for name, data := range map[string]string{"empty": "", "token": "s.x\n", "us-east.json": string(set)} {
		require.NoError(t, os.WriteFile(name, []byte(data), 0o600))
	}
	for name, test := range validateTexts {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile("c.hcl", []byte(test.src), 0o600))
			wantCode := exitOK
			if test.problems > 0 {
				wantCode = exitNothing
			}
			code, stdout, stderr := harvest(t, nil, "config", "validate", "-config", "c.hcl")
			assert.Equal(t, wantCode, code, stdout)
			assert.Empty(t, stderr)
			rest := stdout
			for _, want := range test.want {
				_, after, found := strings.Cut(rest, want)
				assert.True(t, found, "%q is not in what follows of\n%s", want, stdout)
				rest = after
			}
			assert.Equal(t, test.problems, strings.Count(stdout, ": error: "), stdout)

			code, stdout, stderr = harvest(t, nil, "config", "validate", "-config", "c.hcl", "-format", "json")
			assert.Equal(t, wantCode, code)
			assert.Empty(t, stderr)
			var v config.Validation
			require.NoError(t, json.Unmarshal([]byte(stdout), &v), stdout)
			assert.Equal(t, test.problems == 0, v.Valid)
			assert.Len(t, v.Errors, test.problems)
			for _, p := range v.Errors {
				assert.Positive(t, p.Line)
				assert.Positive(t, p.Column)
			}
		})
	}
	code, _, stderr := harvest(t, nil, "config", "validate", "-config", "none.hcl")
	assert.Equal(t, exitNothing, code)
	assert.Contains(t, stderr, "open none.hcl")
}

// TestConfigInit: -out writes the same, and never over a file.
func TestConfigInit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.hcl")
	code, stdout, stderr := harvest(t, nil, "config", "init", "-out", file)
	require.Equal(t, exitOK, code, stderr)
	assert.Contains(t, stdout, "config validate -config "+file)
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, config.Sample, string(written))

	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	code, _, stderr = harvest(t, nil, "config", "init", "-out", file)
	assert.Equal(t, exitNothing, code)
	assert.Contains(t, stderr, "is there already")
	written, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(written))
	code, _, _ = harvest(t, nil, "config", "init", "-out", "")
	assert.Equal(t, exitNothing, code)
}
