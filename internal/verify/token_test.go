package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
)

// canary stands in the claims of the tests' tokens, and nowhere else.
const canary = "canary-7d21"

func signToken(t testing.TB, alg jose.SignatureAlgorithm, key crypto.PrivateKey, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "key-1"))
	require.NoError(t, err)
	signed, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

func raw(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestParseToken(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	text := signToken(t, jose.EdDSA, key, `{"iss":"https://nomad","sub":"eu:default:job","aud":["a","b"],"exp":2000,"nbf":1000,"iat":999.9,"x":{"y":1}}`)
	got, err := parseToken([]byte("\n " + text + "\r\n"))
	require.NoError(t, err)
	assert.Equal(t, "key-1", got.KeyID)
	assert.Equal(t, "EdDSA", got.Algorithm)
	assert.Equal(t, "https://nomad", got.Issuer)
	assert.Equal(t, "eu:default:job", got.Subject)
	assert.Equal(t, []string{"a", "b"}, got.Audience)
	assert.Equal(t, []int64{2000, 1000, 999}, []int64{got.Expiry.Unix(), got.NotBefore.Unix(), got.IssuedAt.Unix()})
	assert.Equal(t, map[string]any{"y": 1.0}, got.Claims["x"])

	for name, c := range map[string]struct {
		payload string
		check   func(*Token)
	}{
		"one audience": {`{"aud":"a"}`, func(got *Token) { assert.Equal(t, []string{"a"}, got.Audience) }},
		"no times": {`{"exp":0}`, func(got *Token) {
			assert.True(t, got.Expiry.IsZero() && got.NotBefore.IsZero() && got.IssuedAt.IsZero())
		}},
		"exp as Vault finds": {`{"EXP":2000}`, func(got *Token) { assert.Equal(t, time.Unix(2000, 0), got.Expiry) }},
		"beyond 64 bits": {`{"exp":1e19,"nbf":-1e300,"iat":9.3e18}`, func(got *Token) {
			assert.Equal(t, []int64{math.MinInt64, math.MinInt64, math.MinInt64}, []int64{got.Expiry.Unix(), got.NotBefore.Unix(), got.IssuedAt.Unix()})
		}},
		"an age away":       {`{"exp":5e18}`, func(got *Token) { assert.Equal(t, int64(5e18), got.Expiry.Unix()) }},
		"the zero time":     {`{"nbf":-62135596800}`, func(got *Token) { assert.False(t, got.NotBefore.IsZero(), "it isn't absent") }},
		"of two, the lower": {`{"exp":2000,"EXP":3000}`, func(got *Token) { assert.Equal(t, time.Unix(2000, 0), got.Expiry) }},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseToken([]byte(signToken(t, jose.EdDSA, key, c.payload)))
			require.NoError(t, err)
			c.check(got)
		})
	}
}

func TestParseTokenRefuses(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	good := signToken(t, jose.EdDSA, key, `{"sub":"`+canary+`"}`)
	header, rest, _ := strings.Cut(good, ".")
	body := raw(`{"sub":"` + canary + `"}`)
	for name, c := range map[string]struct {
		token, words string
		sentinel     error
	}{
		"nothing":       {" \n", "it is empty", errToken},
		"one word":      {canary, "1 parts between dots", errToken},
		"two tokens":    {good + "\n" + good, "several words", errToken},
		"a Vault token": {"hvs." + canary, "a Vault token", errToken},
		"JSON":          {`{"payload":"` + body + `","signatures":[]}`, "one payload, one signature", errToken},
		"JSON, two signatures": {`{"payload":"` + body + `","signatures":[{"protected":"` + header + `","signature":"AAAA"},{"protected":"` + header + `","signature":"AAAA"}]}`,
			"one payload, one signature", errToken},
		"JSON, a name twice":    {`{"payload":"` + body + `","payload":"","protected":"` + header + `","signature":"AAAA"}`, "one payload, one signature", errToken},
		"JSON, no payload":      {`{"protected":"` + header + `","signature":"AAAA"}`, "one payload, one signature", errToken},
		"JSON, a shared secret": {`{"payload":"` + body + `","header":{"alg":"HS256"},"signature":"AAAA"}`, "one payload, one signature", errToken},
		"encrypted":             {raw(`{"alg":"dir"}`) + "..a.b.c", "encrypted", errToken},
		"no signature":          {header + "." + body + ".", "signature is missing", errToken},
		"alg none":              {raw(`{"alg":"none"}`) + "." + body + ".", "signature is missing", errToken},
		"alg none, signed":      {raw(`{"alg":"nOne"}`) + "." + body + ".AAAA", "nobody signed it", errToken},
		"a shared secret":       {raw(`{"alg":"HS256"}`) + "." + body + ".AAAA", "shared secret", errToken},
		"RFC 9864":              {raw(`{"alg":"Ed25519"}`) + "." + body + ".AAAA", `alg "Ed25519" is none that Vault takes`, errToken},
		"a long alg":            {raw(`{"alg":"\u001b`+strings.Repeat("x", 99)+canary+`"}`) + "." + body + ".AAAA", "is none that Vault takes", errToken},
		"no alg":                {raw(`{}`) + "." + body + ".AAAA", `no "alg"`, errToken},
		"alg twice":             {raw(`{"alg":"RS256","alg":"none"}`) + "." + body + ".AAAA", "header can't be read", errToken},
		"a header of text":      {raw(canary) + "." + body + ".AAAA", "header can't be read", errToken},
		"a header of no use":    {"%%" + canary + "." + body + ".AAAA", "header can't be read", errToken},
		"a cut":                 {header + "." + rest[:len(rest)-1] + "!", "cut off or changed", errToken},
		"claims of text":        {signToken(t, jose.EdDSA, key, canary), "not one JSON object", errToken},
		"claims of a list":      {signToken(t, jose.EdDSA, key, `["`+canary+`"]`), "not one JSON object", errToken},
		"claims of null":        {signToken(t, jose.EdDSA, key, `null`), "not one JSON object", errToken},
		"a claim twice":         {signToken(t, jose.EdDSA, key, `{"sub":"a","sub":"`+canary+`"}`), "each name once", errToken},
		"exp of text":           {signToken(t, jose.EdDSA, key, `{"exp":"`+canary+`"}`), "of a wrong type", errToken},
		"iss of a number":       {signToken(t, jose.EdDSA, key, `{"iss":1}`), "of a wrong type", errToken},
		"aud of a number":       {signToken(t, jose.EdDSA, key, `{"aud":[1]}`), "of a wrong type", errToken},
		"too large":             {strings.Repeat("a", maxToken+1), "over 65536 bytes", jwks.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseToken([]byte(c.token))
			require.ErrorIs(t, err, c.sentinel)
			require.Nil(t, got)
			require.ErrorContains(t, err, c.words)
			require.NotContains(t, err.Error(), canary)
			require.True(t, text.IsPrintable(err.Error()), err.Error())
		})
	}
}

// Vault takes more forms than the compact serialization, and so does parseToken.
func TestParseTokenForms(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	compact := signToken(t, jose.EdDSA, key, `{"sub":"a"}`)
	parts := strings.Split(compact, ".")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	require.NoError(t, err)
	flattened, err := signer.Sign([]byte(`{"sub":"a"}`))
	require.NoError(t, err)
	for name, c := range map[string]struct{ token, form string }{
		"compact":           {compact, ""},
		"white space aside": {" \t" + compact + "\r\n", ""},
		"broken lines":      {compact[:20] + "\r\n" + compact[20:60] + "\u00a0" + compact[60:], "white space inside it"},
		"padded":            {parts[0] + "." + parts[1] + "==." + parts[2] + "=", "padding"},
		"flattened":         {flattened.FullSerialize(), "the JSON serialization"},
		"flattened, padded": {`{"payload": "` + parts[1] + `==", "protected":"` + parts[0] + `=", "signature":"` + parts[2] + `="}`, "the JSON serialization"},
		"general":           {`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","header":{"alg":5},"signature":"` + parts[2] + `"}]}`, "the JSON serialization"},
	} {
		got, err := parseToken([]byte(c.token))
		require.NoError(t, err, name)
		assert.Equal(t, c.form, got.Form, name)
		assert.Equal(t, "a", got.Subject, name)
		assert.True(t, got.verifiedBy(key.Public()), name)
	}
}

func TestTokenVerifiedBy(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signers := map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: rsaKey, jose.RS512: rsaKey, jose.PS256: rsaKey, jose.ES256: p256, jose.ES384: p384, jose.EdDSA: edwards,
	}
	for alg, signer := range signers {
		text := signToken(t, alg, signer, `{"sub":"a"}`)
		token, err := parseToken([]byte(text))
		require.NoError(t, err)
		for _, other := range signers {
			same := signer.Public().(interface{ Equal(x crypto.PublicKey) bool }).Equal(other.Public())
			assert.Equal(t, same, token.verifiedBy(other.Public()), "%s by %T", alg, other)
		}
		parts := strings.Split(text, ".")
		parts[1] = raw(`{"sub":"b"}`)
		forged, err := parseToken([]byte(strings.Join(parts, ".")))
		require.NoError(t, err)
		assert.False(t, forged.verifiedBy(signer.Public()), "%s with other claims", alg)
	}
}

// Whatever a token is put into, only its kid and alg come out.
func TestTokenIsRedacted(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	text := signToken(t, jose.EdDSA, key, `{"iss":"`+canary+`","aud":"`+canary+`"}`)
	token, err := parseToken([]byte(text))
	require.NoError(t, err)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", token)
		fmt.Fprintf(&out, verb+"\n", *token)
		fmt.Fprintf(&out, verb+"\n", struct{ T *Token }{token})
		fmt.Fprintf(&out, verb+"\n", []Token{*token})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "jwt", token, "all", []*Token{token})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "jwt", *token, "all", []*Token{token})
	encoded, err := json.Marshal(map[string]any{"a": token, "b": *token})
	require.NoError(t, err)
	out.Write(encoded)

	shown := out.String()
	assert.Contains(t, shown, "key-1")
	assert.NotContains(t, shown, canary)
	assert.NotContains(t, shown, fmt.Sprintf("%x", canary))
	for _, part := range strings.Split(text, ".")[1:] {
		assert.NotContains(t, shown, part)
	}
}

// FuzzParseToken checks what must hold for any bytes: no panic, and a token or a documented
// error, never both, that shows nothing of what was read but the header's kid and alg.
func FuzzParseToken(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw(`{"alg":"RS256","kid":"a"}`), `{"aud":["a"],"exp":1e300,"nbf":-1}`, "AAAA")
	f.Add(raw(`{"alg":"ES256","crit":["b64"],"b64":false,"x5c":["AAAA"]}`), `{"aud":null}`, "AAAA")
	f.Add(raw(`{"alg":"none"}`), `{}`, "")
	f.Add(`{"protected":"`+raw(`{"alg":"RS256"}`)+`==","header":{"kid":"a"}}`, `{}`, "AAAA=")
	f.Fuzz(func(t *testing.T, header, payload, signature string) {
		marked := payload
		if strings.HasPrefix(payload, "{") && len(payload) > 2 {
			marked = `{"` + canary + `":"` + canary + `",` + payload[1:]
		}
		signed := header + "." + raw(marked) + "." + signature
		if strings.HasPrefix(header, "{") {
			signed = header[:len(header)-1] + `,"payload":"` + raw(marked) + `","signature":"` + signature + `"}`
		}
		token, err := parseToken([]byte(signed))
		if (token == nil) == (err == nil) {
			t.Fatal("a token and an error, or neither")
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), errToken.Error()) && !strings.HasPrefix(err.Error(), "token: ") {
				t.Fatalf("undocumented error %v", err)
			}
			if strings.Contains(err.Error(), canary) || !text.IsPrintable(err.Error()) || len(err.Error()) > 256 {
				t.Fatalf("error %q", err)
			}
			return
		}
		if shown := fmt.Sprintf("%v %+v %#v", token, *token, token); strings.Contains(shown, canary) || !text.IsPrintable(shown) {
			t.Fatalf("printed %q", shown)
		}
		if token.verifiedBy(key.Public()) {
			t.Fatal("verified by a key that signed nothing")
		}
	})
}
