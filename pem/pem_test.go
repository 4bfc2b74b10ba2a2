package pem

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testKey is a valid Ed25519 public key; the same in each run, so that golden text holds.
func testKey() ed25519.PublicKey {
	seed := sha256.Sum256([]byte("harvest"))
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}

// agreementKey is a key that crypto/x509 encodes and that verifies nothing.
func agreementKey(t testing.TB) *ecdh.PublicKey {
	private, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	return private.PublicKey()
}

func agreementDER(t testing.TB) []byte {
	der, err := x509.MarshalPKIXPublicKey(agreementKey(t))
	require.NoError(t, err)
	return der
}

func testAnnotation() Annotation {
	return Annotation{
		Version: Version, Cluster: "us-east", Region: "us-east-1", KeyID: "3f0fccd0", Algorithms: []string{"RS256"},
		Added: time.Date(2026, 11, 22, 10, 43, 34, 0, time.UTC),
	}
}

func year(n int) time.Time { return time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestEncode(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for name, pub := range map[string]crypto.PublicKey{
		"RSA": rsaKey.Public(), "ECDSA": ecKey.Public(), "Ed25519": testKey(),
	} {
		t.Run(name, func(t *testing.T) {
			text, err := Encode(pub)
			require.NoError(t, err)
			block, rest := pem.Decode(text)
			require.NotNil(t, block)
			assert.Empty(t, rest)
			assert.Equal(t, "PUBLIC KEY", block.Type, "Vault refuses PKCS#1")
			back, err := x509.ParsePKIXPublicKey(block.Bytes)
			require.NoError(t, err)
			assert.Equal(t, pub, back)
		})
	}
	for _, pub := range []crypto.PublicKey{
		(*rsa.PublicKey)(nil), &rsa.PublicKey{}, (*ecdsa.PublicKey)(nil), &ecdsa.PublicKey{}, &ecdsa.PublicKey{Curve: ecKey.Curve},
		&ecdsa.PublicKey{X: ecKey.X, Y: ecKey.Y},                                 //nolint:staticcheck // parts of a key
		&ecdsa.PublicKey{Curve: ecKey.Curve, X: ecKey.X}, ed25519.PublicKey(nil), //nolint:staticcheck // parts of a key
	} {
		_, err = Encode(pub)
		require.ErrorContains(t, err, "without a key in it")
	}
	for _, pub := range []crypto.PublicKey{"no key", nil} {
		_, err = Encode(pub)
		require.ErrorContains(t, err, "is no RSA, ECDSA or Ed25519 public key")
	}
}

func TestFingerprint(t *testing.T) {
	f, err := FingerprintOf(testKey())
	require.NoError(t, err)
	assert.Equal(t, f, Block{Public: testKey()}.Fingerprint())
	assert.Equal(t, Fingerprint{}, Block{}.Fingerprint())
	assert.True(t, strings.HasPrefix(f.String(), f.Short()))

	text, err := json.Marshal(f)
	require.NoError(t, err)
	var back Fingerprint
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, f, back)

	for name, bad := range map[string]string{
		"no prefix": strings.TrimPrefix(f.String(), "sha256:"), "shortened": f.Short(),
		"too long": f.String() + "00", "not hexadecimal": "sha256:" + strings.Repeat("x", 64), "empty": "",
	} {
		require.Error(t, back.UnmarshalText([]byte(bad)), name)
		assert.Equal(t, f, back, "left as it was")
	}
}

func TestBlockGolden(t *testing.T) {
	text, err := Block{Public: testKey(), Annotation: testAnnotation(), Comment: "ask Ann"}.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(`
harvest/1 cluster="us-east" region="us-east-1" kid="3f0fccd0" alg="RS256" added="2026-11-22T10:43:34Z"
ask Ann
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEASxYgVC4wza4d4CF3Yz2NX0nEroNFc7rgjI1MuqF5reg=
-----END PUBLIC KEY-----`), string(text))
}

func TestBlockRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Block){
		"plain":          func(b *Block) { b.Annotation = Annotation{} },
		"annotated":      func(*Block) {},
		"comment":        func(b *Block) { b.Comment = "pasted by Ann\nin a hurry" },
		"dashes":         func(b *Block) { b.Annotation.KeyID, b.Comment = "-----BEGIN PUBLIC KEY-----", "a -----BEGIN" },
		"comment alone":  func(b *Block) { b.Annotation, b.Comment = Annotation{}, "pasted by Ann" },
		"missing":        func(b *Block) { b.Annotation.Missing = b.Annotation.Added.Add(time.Hour) },
		"also":           func(b *Block) { b.Annotation.Also = []Owner{{"eu", "eu-1"}, {"edge", ""}} },
		"hostile kid":    func(b *Block) { b.Annotation.KeyID = "~\"\n-----BEGIN PUBLIC KEY-----\x00\x1b[2J\xff" },
		"unicode":        func(b *Block) { b.Annotation.KeyID = "Schlüssel" },
		"algorithms":     func(b *Block) { b.Annotation.Algorithms = []string{"RS384", "PS256", "RS256"} },
		"two algorithms": func(b *Block) { b.Annotation.Algorithms = []string{"RS384", "PS256"} },
		"unknown fields": func(b *Block) { b.Annotation.Unknown = []Field{{"az_09", "a b"}, {"x_1", ""}} },
		"adopted":        func(b *Block) { b.Annotation.Adopted = true },
		"ages":           func(b *Block) { b.Annotation.Added, b.Annotation.Missing = year(0), year(9999) },
		"placeholder": func(b *Block) {
			b.Annotation = Annotation{Version: Version, Placeholder: true, Added: b.Annotation.Added}
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := Block{Public: testKey(), Annotation: testAnnotation()}
			change(&want)
			text, err := want.MarshalText()
			require.NoError(t, err)
			assert.Equal(t, 1, strings.Count(string(text), "\n-----BEGIN")+boolToInt(strings.HasPrefix(string(text), "-----BEGIN")))
			assert.False(t, strings.HasSuffix(string(text), "\n"), "Vault trims it, so that a comparison would fail")
			var got Block
			require.NoError(t, got.UnmarshalText(text))
			assert.Equal(t, want, got)
			require.NoError(t, got.UnmarshalText(append(text, '\n')))
			assert.Equal(t, want, got)
		})
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestBlockForeign(t *testing.T) {
	plain, err := Encode(testKey())
	require.NoError(t, err)
	for name, line := range map[string]string{
		"prose":               "key of us-east",
		"no cluster":          `harvest/1 region="x"`,
		"version nought":      `harvest/0 cluster="x"`,
		"version 01":          `harvest/01 cluster="x"`,
		"no version":          `harvest/ cluster="x"`,
		"huge version":        `harvest/99999999999 cluster="x"`,
		"signed version":      `harvest/+1 cluster="x"`,
		"two blanks":          `harvest/1  cluster="x"`,
		"no blank":            `harvest/1 cluster="x"region="y"`,
		"blank line":          "",
		"blank at the end":    `harvest/1 cluster="x" `,
		"backquotes":          "harvest/1 cluster=`x`",
		"no quotes":           `harvest/1 cluster=x`,
		"unfinished quote":    `harvest/1 cluster="x`,
		"field twice":         `harvest/1 cluster="x" cluster="y"`,
		"bad time":            `harvest/1 cluster="x" added="yesterday"`,
		"bad name":            `harvest/1 cluster="x" Note="x"`,
		"digit first":         `harvest/1 cluster="x" 1="x"`,
		"nameless":            `harvest/1 cluster="x" ="x"`,
		"bad owner":           `harvest/1 cluster="x" also="y"`,
		"cluster placeholder": `harvest/1 cluster="x" placeholder="true"`,
		"placeholder false":   `harvest/1 placeholder="false"`,
		"adopted false":       `harvest/1 cluster="x" adopted="false"`,
		"not on line 1":       "\n" + `harvest/1 cluster="x"`,
		"escape in a value":   "harvest/1 cluster=\"\x1b[2J\"",
		"not ASCII":           "harvest/1 cluster=\"ü\"",
		"owned placeholder":   `harvest/1 placeholder="true" kid="x"`,
		"no time":             `harvest/1 cluster="x" added="0001-01-01T00:00:00Z"`,
		"year 10000 in UTC":   `harvest/1 cluster="x" added="9999-12-31T23:59:59-01:00"`,
		"year -1 in UTC":      `harvest/1 cluster="x" missing="0000-01-01T00:00:00+01:00"`,
	} {
		t.Run(name, func(t *testing.T) {
			var b Block
			require.NoError(t, b.UnmarshalText([]byte(line+"\n"+string(plain))))
			assert.True(t, b.Annotation.IsZero(), "%+v", b.Annotation)
			assert.Equal(t, testKey(), b.Public)
			assert.Equal(t, strings.Trim(line, "\n"), b.Comment, "what somebody wrote isn't lost")
		})
	}
}

func TestAnnotationAlgorithms(t *testing.T) {
	a := testAnnotation()
	a.Algorithms = []string{"RS384", "RS256", "PS256", "RS256"}
	text, err := a.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, `harvest/1 cluster="us-east" region="us-east-1" kid="3f0fccd0" alg="RS384" algs="PS256 RS256 RS384" added="2026-11-22T10:43:34Z"`, string(text))

	for line, want := range map[string][]string{
		`alg="RS384" algs="PS256 RS256 RS384"`:        {"RS384", "PS256", "RS256"},
		`algs="RS256 PS256 PS256" alg="RS384"`:        {"RS384", "PS256", "RS256"}, // corrected by a harvest without "algs"
		`alg="" algs="PS256 RS256"`:                   nil,                         // as well
		`algs="PS256 RS256"`:                          nil,
		`alg="RS256" x="y" algs=" RS256  "`:           {"RS256"},
		`alg="R S" algs="PS256"`:                      {"R S"},
		`alg="RS256"`:                                 {"RS256"},
		`kid="a" alg="" added="2026-11-22T10:43:34Z"`: nil,
	} {
		var got Annotation
		require.NoError(t, got.UnmarshalText([]byte(`harvest/1 cluster="a" `+line)), line)
		assert.Equal(t, want, got.Algorithms, line)
	}
}

func TestBlockNewer(t *testing.T) {
	plain, err := Encode(testKey())
	require.NoError(t, err)
	for _, line := range []string{`harvest/2 cluster="x"`, "harvest/17", "harvest/3 whatever: thät means " + strings.Repeat("x", 1<<17)} {
		var b Block
		require.NoError(t, b.UnmarshalText([]byte(line+"\n"+string(plain))))
		assert.True(t, b.Annotation.Newer(), line)
		_, err := b.MarshalText()
		require.Error(t, err, "what isn't understood isn't written")
	}
}

func TestBlockRefused(t *testing.T) {
	plain, err := Encode(testKey())
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(ecKey)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, element := range map[string]string{
		"empty":             "",
		"prose":             "hello",
		"two keys":          string(plain) + string(plain),
		"text after":        string(plain) + "more",
		"truncated":         string(plain[:len(plain)-10]),
		"key for agreement": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: agreementDER(t)})),
		"private key":       string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"PKCS#1": string(pem.EncodeToMemory(&pem.Block{
			Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey),
		})),
	} {
		t.Run(name, func(t *testing.T) {
			var b Block
			require.ErrorIs(t, b.UnmarshalText([]byte(element)), ErrNoBlock)
		})
	}
}

func TestBlockCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	var b Block
	require.NoError(t, b.UnmarshalText(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	assert.Equal(t, key.Public(), b.Public, "Vault trusts the key of a certificate")
}

func TestMarshalRefuses(t *testing.T) {
	for name, change := range map[string]func(*Block){
		"boundary in the comment":   func(b *Block) { b.Comment = "-----BEGIN PUBLIC KEY-----" },
		"annotation in the comment": func(b *Block) { b.Annotation, b.Comment = Annotation{}, `harvest/1 cluster="x"` },
		"no cluster":                func(b *Block) { b.Annotation.Cluster = "" },
		"known name as unknown":     func(b *Block) { b.Annotation.Unknown = []Field{{"kid", "x"}} },
		"no algorithm":              func(b *Block) { b.Annotation.Algorithms = []string{""} },
		"blank in an algorithm":     func(b *Block) { b.Annotation.Algorithms = []string{"RS256", "PS 256"} },
		"blank in an owner":         func(b *Block) { b.Annotation.Also = []Owner{{"b", "r c/"}} },
		"slash in a cluster":        func(b *Block) { b.Annotation.Also = []Owner{{"b/c", "r"}} },
		"bad name":                  func(b *Block) { b.Annotation.Unknown = []Field{{"k d", "x"}} },
		"no key":                    func(b *Block) { b.Public = nil },
		"key for agreement":         func(b *Block) { b.Public = agreementKey(t) },
		"unknown field twice":       func(b *Block) { b.Annotation.Unknown = []Field{{"x", "1"}, {"x", "2"}} },
		"placeholder's kid":         func(b *Block) { b.Annotation.Cluster, b.Annotation.Placeholder = "", true },
		"year 10000":                func(b *Block) { b.Annotation.Added = year(10000) },
		"line end after a comment":  func(b *Block) { b.Comment = "x\n" },
	} {
		t.Run(name, func(t *testing.T) {
			b := Block{Public: testKey(), Annotation: testAnnotation()}
			change(&b)
			_, err := b.MarshalText()
			require.Error(t, err)
		})
	}
}
