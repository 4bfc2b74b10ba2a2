package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

const aFingerprint = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// clusterA is a cluster for those that are about something else.
const clusterA = "cluster \"a\" { jwks_file = \"a.json\" }\n"

// configMistakes are files with a mistake, and parts of what is said of it.
var configMistakes = map[string]struct {
	src  string
	want []string
}{
	"empty":             {"", []string{"x.hcl:1:1: no mount block"}},
	"syntax":            {"cluster \"a\" {", []string{"x.hcl:1:"}},
	"unknown attribute": {"cluster \"a\" {\n  adress = \"https://x\"\n}\n", []string{"x.hcl:2:3: Unsupported argument", `Did you mean "address"?`}},
	"unknown top":       {"denny = []\n" + clusterA + "mount \"m\" { clusters = [\"a\"] }", []string{`x.hcl:1:1: unknown attribute "denny"`}},
	"unknown block":     {"clusters \"a\" {}\n", []string{`x.hcl:1:1: unknown block "clusters"`}},
	"no label":          {"cluster {}\n", []string{"x.hcl:1:1: cluster wants one name"}},
	"two labels":        {"mount \"a\" \"b\" {}\n", []string{"x.hcl:1:1: mount wants one name"}},
	"bad cluster name":  {"cluster \"a b\" { jwks_file = \"x\" }\n", []string{`x.hcl:1:9: cluster name "a b"`}},
	"duplicate cluster": {clusterA + clusterA, []string{`x.hcl:2:9: cluster "a" is defined twice`}},
	"two sources":       {"cluster \"a\" {\n  jwks_file = \"x\"\n  address = \"https://x\"\n}\n", []string{"has more than one source"}},
	"no source":         {"cluster \"a\" {}\n", []string{"x.hcl:1:1: cluster \"a\" has no source"}},
	"bad address":       {"cluster \"a\" {\n  address = \"nomad:4646\"\n}\n", []string{"x.hcl:2:3: address: not a URL"}},
	"password":          {"cluster \"a\" {\n  address = \"https://u:canary@x\"\n}\n", []string{"x.hcl:2:3: address: holds a user name or password"}},
	"certificate":       {"cluster \"a\" {\n  address = \"https://x\"\n  client_cert = \"x\"\n}\n", []string{"x.hcl:3:3: client_cert without its key"}},
	"key":               {"vault {\n  client_key = \"x\"\n}\n", []string{"x.hcl:2:3: client_key without its certificate"}},
	"skip verify":       {"cluster \"a\" {\n  address = \"https://x\"\n  tls_skip_verify = true\n}\n", []string{"x.hcl:3:3: tls_skip_verify lets anyone", "allow_plaintext = true"}},
	"regions of a file": {"cluster \"a\" {\n  jwks_file = \"x\"\n  regions = [\"*\"]\n}\n", []string{"x.hcl:3:3: regions are a Nomad agent's"}},
	"bad region":        {"cluster \"a\" {\n  address = \"https://x\"\n  regions = [\"a\", \"b c\"]\n}\n", []string{`x.hcl:3:19: region "b c"`}},
	"TLS of a file":     {"cluster \"a\" {\n  jwks_file = \"x\"\n  ca_cert = \"x\"\n}\n", []string{"x.hcl:3:3: ca_cert has no meaning"}},
	"bad pin":           {"cluster \"a\" {\n  jwks_file = \"x\"\n  pin = [\"" + aFingerprint + "\", \"sha256:00\"]\n}\n", []string{`x.hcl:3:85: pin: fingerprint "sha256:00"`}},
	"no pin":            {"cluster \"a\" {\n  jwks_file = \"x\"\n  pin = []\n}\n", []string{"x.hcl:3:3: pin is empty"}},
	"bad deny":          {"deny = [\"x\"]\n", []string{`x.hcl:1:9: deny: fingerprint "x"`}},
	"two unlabelled":    {"vault {}\nvault {}\n", []string{"x.hcl:2:1: vault \"\" is defined twice"}},
	"unknown auth":      {"vault {\n  auth \"ldap\" {}\n}\n", []string{`x.hcl:2:8: unknown auth method "ldap"`}},
	"auth lacks":        {"vault {\n  auth \"approle\" {}\n}\n", []string{`x.hcl:2:3: auth "approle" needs role_id`, "needs secret_id_file"}},
	"one policy, two mounts": {
		"cluster \"a\" { jwks_file = \"a\" }\nmount \"m\" {\n  clusters = [\"a\"]\n  role \"r\" { policy = \"p\" }\n}\nmount \"n\" {\n  clusters = [\"a\"]\n  role \"r\" { policy = \"p\" }\n}\n",
		[]string{`x.hcl:6:1: policy "p" is that of mount "m" too, in line 2`},
	},
	"another mount's usual policy": {
		"cluster \"a\" { jwks_file = \"a\" }\nmount \"m\" {\n  clusters = [\"a\"]\n}\nmount \"n\" {\n  clusters = [\"a\"]\n  role \"r\" { policy = \"nomad-workloads.m\" }\n}\n",
		[]string{`x.hcl:5:1: policy "nomad-workloads.m" is that of mount "m" too, in line 2`},
	},
	"auth takes":                {"vault {\n  auth \"token_file\" {\n    path = \"x\"\n    role = \"x\"\n  }\n}\n", []string{"x.hcl:4:5: Unsupported argument"}},
	"two auths":                 {"vault {\n  auth \"token_file\" { path = \"x\" }\n  auth \"token_file\" { path = \"x\" }\n}\n", []string{"x.hcl:3:3: a vault block has one auth"}},
	"unknown cluster":           {clusterA + "mount \"m\" {\n  clusters = [\"a\", \"b\"]\n}\n", []string{`x.hcl:3:20: no cluster "b"; there is "a"`}},
	"unprintable":               {"cluster \"\x1b[2J\" { jwks_file = \"x\" }\nmount \"m\" { clusters = [\"a\"] }\n", []string{`there is "\x1b[2J"`}},
	"no clusters":               {clusterA + "mount \"m\" {}\n", []string{"x.hcl:2:1: no clusters"}},
	"cluster twice":             {clusterA + "mount \"m\" {\n  clusters = [\"a\", \"a\"]\n}\n", []string{`x.hcl:3:20: clusters names "a" twice`}},
	"trusted and retired":       {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  retired = [\"a\"]\n}\n", []string{`x.hcl:4:14: cluster "a" is both trusted and retired`}},
	"unknown turnover":          {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  allow_turnover = [\"b\"]\n}\n", []string{`x.hcl:4:21: this mount has no cluster "b"`}},
	"unknown vault":             {clusterA + "vault \"eu\" {}\nmount \"m\" {\n  vault = \"us\"\n  clusters = [\"a\"]\n}\n", []string{`x.hcl:4:3: no vault "us"; there is "eu"`}},
	"which vault":               {clusterA + "vault \"eu\" {}\nvault \"us\" {}\nmount \"m\" { clusters = [\"a\"] }\n", []string{`x.hcl:4:1: which vault? add vault = … with one of "eu", "us"`}},
	"max_keys zero":             {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  max_keys = 0\n}\n", []string{`x.hcl:4:3: max_keys = 0: want a number from 1 to 10000`}},
	"max_keys a fraction":       {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  max_keys = 1.5\n}\n", []string{`x.hcl:4:14: max_keys`}},
	"bad duration":              {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  retain = \"1 day\"\n}\n", []string{`x.hcl:4:3: retain = "1 day": want a duration`}},
	"negative duration":         {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  settle = \"-1s\"\n}\n", []string{"x.hcl:4:3: settle"}},
	"bad foreign":               {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  foreign = \"drop\"\n}\n", []string{`x.hcl:4:3: foreign "drop": want keep, warn or remove`}},
	"bad path":                  {clusterA + "mount \"m\" {\n  clusters = [\"a\"]\n  path = \"a*\"\n}\n", []string{`x.hcl:4:3: mount path "a*"`}},
	"same mount":                {clusterA + "mount \"m\" { clusters = [\"a\"] }\nmount \"n\" {\n  path = \"auth/m/\"\n  clusters = [\"a\"]\n}\n", []string{"x.hcl:3:1: the same mount as in line 2"}},
	"same mount, vaults":        {clusterA + "vault \"a\" { address = \"https://v\" }\nvault \"b\" {\n  address = \"https://v/\"\n  namespace = \"n\"\n}\nmount \"m\" {\n  vault = \"a\"\n  namespace = \"n\"\n  clusters = [\"a\"]\n}\nmount \"n\" {\n  vault = \"b\"\n  path = \"m\"\n  clusters = [\"a\"]\n}\n", []string{"x.hcl:12:1: the same mount as in line 7"}},
	"empty value":               {"cluster \"a\" {\n  address = \"\"\n}\n", []string{"x.hcl:2:3: address is empty"}},
	"null":                      {"cluster \"a\" {\n  address = null\n}\n", []string{"x.hcl:2:13: address: null is no value"}},
	"null in a list":            {"deny = [null]\n", []string{"x.hcl:1:8: deny: null"}},
	"wrong type":                {clusterA + "mount \"m\" {\n  clusters = \"a\"\n}\n", []string{"x.hcl:3:14: clusters: list of string required"}},
	"an expression":             {"cluster \"a\" {\n  address = \"https://${x}\"\n}\n", []string{"x.hcl:2:22: ", "expressions are not supported"}},
	"a function":                {"cluster \"a\" {\n  address = file(\"x\")\n}\n", []string{"expressions are not supported"}},
	"a variable":                {"cluster \"a\" {\n  address = x\n}\n", []string{"x.hcl:2:13: Variables not allowed"}},
	"nested without bound":      {strings.Repeat("a {\n", 100000), []string{"x.hcl:17:3: nested more than 16 deep"}},
	"an agent with a query":     {"cluster \"a\" { address = \"https://n:4646/?region=x\" }\nmount \"m\" { clusters = [\"a\"] }\n", []string{"x.hcl:1:15: address has a query or a fragment"}},
	"an issuer with a query":    {"cluster \"a\" { oidc_issuer = \"https://i?x\" }\nmount \"m\" { clusters = [\"a\"] }\n", []string{"x.hcl:1:15: oidc_issuer has a query"}},
	"a Kubernetes with a query": {"cluster \"a\" {\n  kubernetes { address = \"https://k/#x\" }\n}\nmount \"m\" { clusters = [\"a\"] }\n", []string{"x.hcl:2:16: address has a query or a fragment; give that of the API server"}},
	"a Kubernetes over http":    {"cluster \"a\" {\n  kubernetes { address = \"http://k\" }\n}\nmount \"m\" { clusters = [\"a\"] }\n", []string{"x.hcl:2:16: address: plain http, over which anyone on the path would read the token"}},
	"relay without a directory": {clusterA + "relay \"r\" { clusters = [\"a\"] }\n", []string{`x.hcl:2:1: no dir`}},
	"relay without clusters":    {clusterA + "relay \"r\" { dir = \"x\" }\n", []string{"x.hcl:2:1: no clusters: name those that this relay publishes"}},
	"relay by no name":          {clusterA + "relay \"../r\" {\n  dir = \"x\"\n  clusters = [\"a\"]\n}\n", []string{`x.hcl:2:7: relay name "../r"`}},
	"relay of an unknown":       {clusterA + "relay \"r\" {\n  dir = \"x\"\n  clusters = [\"b\"]\n}\n", []string{`x.hcl:4:15: no cluster "b"; there is "a"`}},
	"relay with a mount's rule": {clusterA + "relay \"r\" {\n  dir = \"x\"\n  clusters = [\"a\"]\n  foreign = \"keep\"\n}\n", []string{"x.hcl:5:3: Unsupported argument"}},
	"relay of a bad issuer":     {clusterA + "relay \"r\" {\n  dir = \"x\"\n  clusters = [\"a\"]\n  issuer = \"http://x\"\n}\n", []string{`x.hcl:5:3: issuer "http://x": not an https URL`}},
	"relay of another's issuer": {"cluster \"a\" { oidc_issuer = \"https://a\" }\nrelay \"r\" {\n  dir = \"x\"\n  clusters = [\"a\"]\n  issuer = \"https://x\"\n}\n", []string{`x.hcl:5:3: the tokens of a name "https://a"`}},
	"relay twice":               {clusterA + "relay \"r\" {\n  dir = \"x\"\n  clusters = [\"a\"]\n}\nrelay \"r\" {\n  dir = \"y\"\n  clusters = [\"a\"]\n}\n", []string{`x.hcl:6:7: relay "r" is defined twice`}},
	"two relays, one directory": {clusterA + "relay \"r\" {\n  dir = \"x\"\n  clusters = [\"a\"]\n}\nrelay \"s\" {\n  dir = \"y/../x/\"\n  clusters = [\"a\"]\n}\n", []string{"x.hcl:7:3: the same directory as in line 2"}},
	"all at once, in order":     {"cluster \"a\" {}\ncluster \"b\" {}\n", []string{"x.hcl:1:1: cluster \"a\" has no source of keys; give one of address, jwks_url, jwks_file, oidc_issuer, or a kubernetes block\nx.hcl:2:1: "}},
}

// TestConfigErrors: each mistake is named with its line and column and a way out.
func TestConfigErrors(t *testing.T) {
	for name, test := range configMistakes {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.hcl", []byte(test.src))
			require.Error(t, err)
			for _, want := range test.want {
				assert.Contains(t, err.Error(), want)
			}
			assert.NotContains(t, err.Error(), "canary")
			assert.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func TestConfigFileSize(t *testing.T) {
	name := filepath.Join(t.TempDir(), "big.hcl")
	require.NoError(t, os.WriteFile(name, make([]byte, MaxFile+1), 0o600))
	_, err := Load(name)
	require.ErrorContains(t, err, "larger than 1048576 bytes")
	_, err = Load(filepath.Join(t.TempDir(), "none.hcl"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestConfigFile(t *testing.T) {
	cfg, err := Parse("x.hcl", []byte(`
deny = ["`+aFingerprint+`"]
cluster "us-east" {
  address = "https://nomad.example.com:4646"
  regions = ["one", "*"]
  pin     = ["`+aFingerprint+`"]
}
vault {
  address   = "https://vault.example.com:8200/"
  namespace = "platform/"
  auth "jwt" {
    mount      = "jwt-nomad"
    token_file = "secrets/nomad_vault.jwt"
  }
}
mount "jwt-nomad" {
  clusters = ["us-east"]
  retain   = "1h"
  retired  = ["old", "us-east/eu-1"]
}
cluster "eu" { address = "https://nomad.example.org:4646" }
mount "jwt-eu" { clusters = ["eu"] }
`))
	require.NoError(t, err)
	require.NoError(t, cfg.Finish(flags{"allow-turnover": []string{AnyCluster, "eu/r1"}, "allow-empty": true}))
	assert.Equal(t, "https://vault.example.com:8200", cfg.Vaults[0].Address)
	assert.Equal(t, "platform", cfg.Vaults[0].Namespace)
	assert.False(t, cfg.Vaults[0].IsIsolated())
	o := cfg.Mounts[0].Options
	assert.Equal(t, "1h0m0s", o.Retain.String())
	assert.Len(t, o.Deny, 1)
	assert.Len(t, o.Pin["us-east"], 1)
	assert.Equal(t, []string{"*"}, o.AllowTurnover)
	assert.True(t, o.AllowEmpty)
	o = cfg.Mounts[1].Options
	assert.Empty(t, o.Pin, "of clusters that the mount doesn't trust")
	assert.Equal(t, []string{"*", "eu/r1"}, o.AllowTurnover)

	cluster := cfg.Clusters[0].Open(Reading{})
	require.Len(t, cluster.Sources, 1)
	assert.Equal(t, "one", cluster.Sources[0].RegionName())
	agent, ok := cluster.Federation.(*jwks.Nomad)
	require.True(t, ok)
	assert.False(t, agent.Client.AllowPlaintext)
}

// TestBrokenTLSFile: a CA file that is missing fails its cluster, not the command.
func TestBrokenTLSFile(t *testing.T) {
	c := Cluster{Name: "a", Address: "https://x", Regions: []string{"one", "*"}}
	c.TLS.CACert = filepath.Join(t.TempDir(), "missing.pem")
	cluster := c.Open(Reading{})
	require.Nil(t, cluster.Federation)
	require.Len(t, cluster.Sources, 2)
	for i, region := range c.Regions {
		assert.Equal(t, region, cluster.Sources[i].RegionName())
		_, err := cluster.Sources[i].Fetch(t.Context())
		require.ErrorContains(t, err, "missing.pem")
	}
}

// flags are those of a command that has none, but for the values here.
type flags map[string]any

var _ Flags = flags{}

func (f flags) IsSet(name string) bool { return f[name] != nil }
func (f flags) Value(name string) any  { return f[name] }

func (f flags) Bool(name string) bool {
	v, _ := f[name].(bool)
	return v
}

func (f flags) Duration(name string) time.Duration {
	v, _ := f[name].(time.Duration)
	return v
}

func (f flags) Int(name string) int {
	v, _ := f[name].(int)
	return v
}

func (f flags) String(name string) string {
	v, _ := f[name].(string)
	return v
}

func (f flags) StringSlice(name string) []string {
	v, _ := f[name].([]string)
	return v
}

// A status page names what a cluster is read from; anyone who says "URL" means one to fetch.
func TestSource(t *testing.T) {
	for want, c := range map[[3]string]Cluster{
		{"Nomad", "https://x", "https://x"}: {Address: "https://x"}, {"JWKS URL", "https://x", "https://x"}: {JWKSURL: "https://x"},
		{"JWKS file", "x", ""}: {JWKSFile: "x"}, {"OIDC issuer", "https://x", "https://x"}: {OIDCIssuer: "https://x"},
		{"Kubernetes", "https://x", "https://x"}: {Kubernetes: "https://x"}, {"", "", ""}: {},
	} {
		kind, place := c.Source()
		assert.Equal(t, want, [3]string{kind, place, c.URL()})
	}
}

func TestMissingFileSaysWhatToDo(t *testing.T) {
	_, err := Load("no such.hcl")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "name the file that is there, or begin with `harvest config init -out 'no such.hcl'`")
}
