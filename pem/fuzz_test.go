package pem

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fixedKeys are keys of each type, the same in each run.
func fixedKeys(t testing.TB) []crypto.PublicKey {
	keys := []crypto.PublicKey{testKey(), &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(12345), 2047, 1), E: 65537}}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		scalar := bytes.Repeat([]byte{1}, (curve.Params().BitSize+7)/8)
		scalar[0] = 0
		private, err := ecdsa.ParseRawPrivateKey(curve, scalar)
		require.NoError(t, err)
		keys = append(keys, private.Public())
	}
	return keys
}

// vaultReads returns the key that Vault (sdk/helper/certutil, ParsePublicKeyPEM) takes from
// an element, or nil where it refuses it.
func vaultReads(element []byte) crypto.PublicKey {
	block, after := pem.Decode(element)
	if block == nil || len(bytes.TrimSpace(after)) > 0 {
		return nil
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		public = certificate.PublicKey
	}
	switch public.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return public
	}
	return nil
}

func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// requireElement checks an element that was written: one block, which any reader of PEM
// finds, with b's key in its only encoding; before it b's text, with nothing in it that could
// be taken for a boundary, and an annotation on the first line or nowhere.
func requireElement(t *testing.T, b Block, text []byte) {
	t.Helper()
	require.True(t, sameKey(b.Public, vaultReads(text)), "Vault refuses it, or reads another key: %q", text)
	lines := strings.Split(string(text), "\n")
	first := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "-----") })
	require.GreaterOrEqual(t, first, 0)
	require.Equal(t, "-----BEGIN PUBLIC KEY-----", lines[first])
	for _, line := range lines[first+1 : len(lines)-1] {
		require.Regexp(t, base64Line, line)
	}
	require.Equal(t, "-----END PUBLIC KEY-----", lines[len(lines)-1])

	block, after := pem.Decode(text)
	require.Empty(t, block.Headers)
	require.Empty(t, after)
	der, err := x509.MarshalPKIXPublicKey(b.Public)
	require.NoError(t, err)
	require.Equal(t, der, block.Bytes)

	if b.Annotation.IsZero() {
		require.False(t, strings.HasPrefix(lines[0], "harvest/1 ") && isAnnotation(lines[0]), "an annotation from nowhere: %q", lines[0])
		return
	}
	require.GreaterOrEqual(t, first, 1)
	require.Regexp(t, annotationLine, lines[0])
	require.NotRegexp(t, otherZone, lines[0])
	lines = lines[1:first]
	require.Equal(t, b.Comment, strings.Join(lines, "\n"))
}

var (
	base64Line     = regexp.MustCompile(`^[A-Za-z0-9+/]{1,64}={0,2}$`)
	otherZone      = regexp.MustCompile(`(added|missing)="[^"]*[^Z"]"`)
	versionOf      = regexp.MustCompile(`^harvest/([1-9][0-9]*)( |$)`)
	annotationLine = regexp.MustCompile(`^harvest/1( [a-z][a-z0-9_]*="([ !#-\[\]-~]|\\[ -~])*")+$`)
)

// FuzzBlock reads any element: the key is the one that Vault takes; what is written of it is
// an element for Vault, is read as the same again and is written as the same again.
func FuzzBlock(f *testing.F) {
	text, err := Block{Public: testKey(), Annotation: testAnnotation(), Comment: "x"}.MarshalText()
	require.NoError(f, err)
	plain, err := Encode(testKey())
	require.NoError(f, err)
	for _, before := range []string{
		"", "harvest/2 x\n", "harvest/1 placeholder=\"true\"\n", "pasted by Ann\nharvest/1 cluster=\"x\"\n", "\n\nharvest/1 cluster=\"x\"\n",
		"harvest/1 cluster=\"x\"\nharvest/1 cluster=\"y\"\n", "harvest/1 cluster=\"x\"\r\nnote\r\n", "-----BEGIN X-----\n", "harvest/1 cluster=\"a\" also=\"b/ c/d\" zz=\"\\x00\"\n",
		"harvest/1 cluster=\"x\" added=\"9999-12-31T23:59:59-01:00\"\n", "harvest/1 placeholder=\"true\" kid=\"x\"\n",
	} {
		f.Add([]byte(before + string(plain)))
	}
	f.Add(text)
	f.Add(append(plain, plain...))
	f.Add(append(plain, "-----BEGIN"...))
	for _, key := range fixedKeys(f) {
		text, err := Encode(key)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: agreementDER(f)}))
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Unix(1e9, 0)}
	certificate, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	require.NoError(f, err)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Headers: map[string]string{"a": "b"}, Bytes: certificate}))

	f.Fuzz(func(t *testing.T, element []byte) {
		var b Block
		if err := b.UnmarshalText(element); err != nil {
			require.ErrorIs(t, err, ErrNoBlock)
			require.Nil(t, vaultReads(element), "refused, but Vault takes it")
			return
		}
		require.True(t, sameKey(b.Public, vaultReads(element)), "not the key that Vault reads")
		require.True(t, b.Annotation.IsZero() || bytes.HasPrefix(element, []byte("harvest/")), "an annotation that isn't on the first line")
		text, err := b.MarshalText()
		if err != nil {
			annotated := b.Annotation.IsZero() && isAnnotation(b.Comment)
			require.True(t, annotated || b.Annotation.Newer(), "read, but can't be written: %v", err)
			return
		}
		requireElement(t, b, text)
		requireReadsAs(t, b, text)
	})
}

// requireReadsAs reads what was written, and writes that.
func requireReadsAs(t *testing.T, b Block, text []byte) {
	t.Helper()
	var again Block
	require.NoError(t, again.UnmarshalText(text))
	require.True(t, sameKey(b.Public, again.Public))
	if algs := b.Annotation.Algorithms; len(algs) > 0 {
		others := slices.DeleteFunc(slices.Sorted(slices.Values(algs[1:])), func(alg string) bool { return alg == algs[0] })
		b.Annotation.Algorithms = append([]string{algs[0]}, slices.Compact(others)...)
	}
	require.Equal(t, b.Annotation, again.Annotation)
	require.Equal(t, b.Comment, again.Comment)
	require.Equal(t, b.Fingerprint(), again.Fingerprint())
	more, err := again.MarshalText()
	require.NoError(t, err)
	require.Equal(t, string(text), string(more))
}

// FuzzMarshal writes any block that the fields of the type allow, or refuses it for a reason
// that is documented; what it writes is read as the same.
func FuzzMarshal(f *testing.F) {
	f.Add(uint8(0), "us-east", "us-east-1", "3f0fccd0", "RS256", "", "", "", int64(1e9), int64(0))
	f.Add(uint8(1), "a", "", "\"\n-----BEGIN PUBLIC KEY-----\x00\x1b[2J\xff\u2028", "", "b,r,c,", "note=a b,x_1=", "pasted by Ann", int64(0), int64(1e9))
	f.Add(uint8(32), "", "", "", "", "", "x=y", "-----BEGIN PUBLIC KEY-----", int64(-62135596800), int64(253402300800))
	f.Add(uint8(64), "", "", "", "", "", "", "harvest/1 cluster=\"x\"", int64(0), int64(0))
	f.Add(uint8(3), "a", "r", "k", "", "a b,r,c/d,,e,r r", "kid=x,x=1,x=2", "\nx\r", int64(1), int64(-62198755200))
	f.Add(uint8(0), "a", "", "", "", "", "kid=x", "", int64(0), int64(0))
	f.Add(uint8(0), "a", "", "", "", "b,r r", "", "", int64(0), int64(0))
	f.Add(uint8(0), "a", "", "", "", "b/c,r", "", "", int64(0), int64(0))
	f.Add(uint8(1), "a", "", "", "", "", "", "", int64(-62135596800), int64(0))
	f.Add(uint8(255-64), "a", "", "", "", "", "", "", int64(1e9), int64(1e9))
	f.Add(uint8(0), "a", "", "k", "RS384,RS256,PS256,RS256", "", "", "", int64(0), int64(0))
	f.Add(uint8(0), "a", "", "k", "RS384,R S", "", "", "", int64(0), int64(0))
	keys := fixedKeys(f)
	f.Fuzz(func(t *testing.T, kind uint8, cluster, region, kid, alg, also, unknown, comment string, added, missing int64) {
		b := Block{Public: keys[int(kind&7)%len(keys)], Comment: comment}
		if kind&64 == 0 {
			a := Annotation{Version: Version, Cluster: cluster, Region: region, KeyID: kid, Placeholder: kind&32 != 0}
			if alg != "" {
				a.Algorithms = strings.Split(alg, ",")
			}
			for pair := range slices.Chunk(strings.Split(also, ","), 2) {
				if len(pair) == 2 {
					a.Also = append(a.Also, Owner{pair[0], pair[1]})
				}
			}
			for field := range strings.SplitSeq(unknown, ",") {
				if name, value, ok := strings.Cut(field, "="); ok {
					a.Unknown = append(a.Unknown, Field{name, value})
				}
			}
			if added != 0 {
				a.Added = time.Unix(added, int64(kind)*12345).UTC()
			}
			if missing != 0 {
				a.Missing = time.Unix(missing, 0).UTC()
			}
			b.Annotation = a
		}
		text, err := b.MarshalText()
		if why := cannotBeWritten(b); why != nil {
			require.Error(t, err, "%v", why)
			return
		}
		require.NoError(t, err)
		requireElement(t, b, text)
		b.Annotation.Added = b.Annotation.Added.Truncate(time.Millisecond)
		requireReadsAs(t, b, text)
	})
}

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// cannotBeWritten returns the reason, as the documentation has it, or nil.
func cannotBeWritten(b Block) error {
	a := b.Annotation
	lines := strings.Split(b.Comment, "\n")
	switch {
	case slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "-----") }):
		return errors.New("a boundary in the comment")
	case b.Comment != strings.Trim(b.Comment, "\r\n"):
		return errors.New("a blank line around the comment")
	case a.IsZero() && new(Annotation).UnmarshalText([]byte(strings.TrimSuffix(lines[0], "\r"))) == nil:
		return errors.New("an annotation in the comment")
	case a.IsZero():
		return nil
	case (a.Cluster == "") != a.Placeholder:
		return errors.New("cluster")
	case a.Placeholder && (a.Region+a.KeyID != "" || len(a.Also)+len(a.Algorithms) > 0):
		return errors.New("a placeholder has no owner")
	}
	for _, alg := range a.Algorithms {
		if alg == "" || len(a.Algorithms) > 1 && strings.Contains(alg, " ") {
			return errors.New("algorithm")
		}
	}
	for _, o := range a.Also {
		if o.Cluster == "" || strings.ContainsAny(o.Cluster, " /") || strings.Contains(o.Region, " ") {
			return errors.New("owner")
		}
	}
	for i, u := range a.Unknown {
		if !fieldName.MatchString(u.Name) || known(u.Name) || slices.ContainsFunc(a.Unknown[:i], func(v Field) bool { return u.Name == v.Name }) {
			return errors.New("name")
		}
	}
	for _, at := range []time.Time{a.Added, a.Missing} {
		if at.Year() < 0 || at.Year() > 9999 {
			return errors.New("time")
		}
	}
	return nil
}

// FuzzAnnotation reads any line: what is an annotation is written as one line of printable
// ASCII, is read as the same again and is written as the same again.
func FuzzAnnotation(f *testing.F) {
	line, err := testAnnotation().MarshalText()
	require.NoError(f, err)
	for _, seed := range []string{
		string(line), `harvest/1 placeholder="true"`, `harvest/1 placeholder="true" region="" added="2026-11-22T10:43:34Z" x="y"`,
		`harvest/1 cluster="\u00fc\n\"\\\x00\U0001F511" also="a/ b/c/d" missing="2026-11-22T10:43:34.5+14:00"`, "harvest/2", `harvest/2 cluster="a"`, `harvest/01 cluster="a"`, "harvest/1 cluster=\"\x1b\"", "harvest/1 x=\"1\" cluster=\"a\" y=\"2\"",
		`harvest/1 cluster="a" added="0000-01-01T00:00:00+01:00"`, `harvest/1 cluster="a" added="0001-01-01T00:00:00.0001Z"`,
		`harvest/1 placeholder="true" kid="x"`, `harvest/1 cluster="a" alg="RS256" algs="PS256 x RS256"`, `harvest/1 algs=" " cluster="a" alg="R S"`, `harvest/1 cluster="a" x="1" x="2"`, `harvest/1 cluster="a" cluster="b"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var a, b Annotation
		if a.UnmarshalText(line) != nil {
			require.Equal(t, Annotation{}, a, "changed by what is no annotation")
			return
		}
		version := versionOf.FindSubmatch(line)
		require.NotNil(t, version, "no version, but read as %d", a.Version)
		require.Equal(t, string(version[1]), strconv.Itoa(a.Version))
		if a.Newer() {
			require.Equal(t, Annotation{Version: a.Version}, a)
			_, err := a.MarshalText()
			require.Error(t, err, "what isn't understood isn't written")
			return
		}
		require.Regexp(t, annotationLine, string(line))
		text, err := a.MarshalText()
		require.NoError(t, err)
		require.Regexp(t, annotationLine, string(text))
		require.NotRegexp(t, otherZone, string(text))
		require.NoError(t, b.UnmarshalText(text))
		require.Equal(t, a, b)
		more, err := b.MarshalText()
		require.NoError(t, err)
		require.Equal(t, string(text), string(more))
	})
}
