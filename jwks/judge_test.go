package jwks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encodeInt(i *big.Int) string { return encode(i.Bytes()) }

// ecMember is a JWK of a new key on a curve, with changes.
func ecMember(t *testing.T, curve elliptic.Curve, name string, changes fields) fields {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	size := (len(point) - 1) / 2
	member := fields{"kty": "EC", "crv": name, "x": encode(point[1 : 1+size]), "y": encode(point[1+size:])}
	maps.Copy(member, changes)
	return member
}

func TestJudge(t *testing.T) {
	const kept = Reason("")
	n := testKeys()[0].N
	modulus := func(bits uint, low int64) string {
		i := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return encodeInt(i.Add(i, big.NewInt(low)))
	}
	exponent := func(e int64) fields { return rsaMember(0, fields{"e": encodeInt(big.NewInt(e))}) }
	kid := func(kid any) fields { return rsaMember(0, fields{"kid": kid}) }
	alg := func(alg any) fields { return rsaMember(0, fields{"alg": alg}) }
	ed := fields{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	edWith := func(name string, value any) fields {
		member := fields{name: value}
		for k, v := range ed {
			if k != name {
				member[k] = v
			}
		}
		return member
	}

	tests := map[string]struct {
		member any
		want   Reason
	}{
		"rsa": {rsaMember(0, nil), kept},
		"ec":  {ecMember(t, elliptic.P256(), "P-256", nil), kept},
		"ed":  {ed, kept},

		"string":               {"key", ReasonMalformed},
		"null":                 {nil, ReasonMalformed},
		"array":                {[]any{}, ReasonMalformed},
		"empty":                {fields{}, ReasonMalformed},
		"kty number":           {rsaMember(0, fields{"kty": 1}), ReasonMalformed},
		"kty lower case":       {rsaMember(0, fields{"kty": "rsa"}), ReasonKeyType},
		"kty KTY":              {rsaMember(0, fields{"kty": nil, "KTY": "RSA"}), ReasonMalformed},
		"kty AKP":              {fields{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, ReasonKeyType},
		"EC without crv":       {fields{"kty": "EC", "x": "AA", "y": "AA"}, ReasonMalformed},
		"EC on P-224":          {fields{"kty": "EC", "crv": "P-224", "x": "AA", "y": "AA"}, ReasonKeyType},
		"EC on Ed25519":        {fields{"kty": "EC", "crv": "Ed25519", "x": "AA", "y": "AA"}, ReasonKeyType},
		"OKP on P-256":         {edWith("crv", "P-256"), ReasonKeyType},
		"X25519":               {edWith("crv", "X25519"), ReasonKeyType},
		"Ed448":                {edWith("crv", "Ed448"), ReasonKeyType},
		"secp256k1":            {fields{"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "x": "AA", "y": "AA"}, ReasonKeyType},
		"RSA with a stray crv": {rsaMember(0, fields{"crv": "P-256"}), kept},

		"use sig":        {rsaMember(0, fields{"use": "sig"}), kept},
		"use jwt-svid":   {rsaMember(0, fields{"use": "jwt-svid"}), kept},
		"use enc":        {rsaMember(0, fields{"use": "enc"}), ReasonUse},
		"use x509-svid":  {rsaMember(0, fields{"use": "x509-svid"}), ReasonUse},
		"use SIG":        {rsaMember(0, fields{"use": "SIG"}), ReasonUse},
		"use number":     {rsaMember(0, fields{"use": 1}), ReasonMalformed},
		"ops verify":     {rsaMember(0, fields{"key_ops": []any{"sign", "verify"}}), kept},
		"ops sign":       {rsaMember(0, fields{"key_ops": []any{"sign"}}), ReasonOperations},
		"ops empty":      {rsaMember(0, fields{"key_ops": []any{}}), ReasonOperations},
		"ops string":     {rsaMember(0, fields{"key_ops": "verify"}), ReasonMalformed},
		"ops of numbers": {rsaMember(0, fields{"key_ops": []any{1, "verify"}}), ReasonMalformed},

		"kid of 256 bytes":   {kid(strings.Repeat("é", 128)), kept},
		"kid of 257 bytes":   {kid(strings.Repeat("é", 128) + "k"), ReasonKeyID},
		"kid quotes":         {kid(`a "b" \c`), kept},
		"kid line feed":      {kid("a\nb"), ReasonKeyID},
		"kid escape":         {kid("\x1b[31m"), ReasonKeyID},
		"kid NUL":            {kid("a\x00"), ReasonKeyID},
		"kid delete":         {kid("a\x7f"), ReasonKeyID},
		"kid C1 control":     {kid("a\u009b"), ReasonKeyID},
		"kid bidi override":  {kid("a\u202eb"), ReasonKeyID},
		"kid zero width":     {kid("a\u200bb"), ReasonKeyID},
		"kid line separator": {kid("a\u2028b"), ReasonKeyID},
		"kid replacement":    {kid("a\ufffd"), ReasonKeyID},
		"kid number":         {kid(7), kept},
		"kid fraction":       {kid(7.5), ReasonMalformed},
		"kid array":          {kid([]any{"a"}), ReasonMalformed},

		"alg RS256":          {alg("RS256"), kept},
		"alg PS512":          {alg("PS512"), kept},
		"alg empty":          {alg(""), kept},
		"alg none":           {alg("none"), ReasonAlgorithm},
		"alg HS256":          {alg("HS256"), ReasonAlgorithm},
		"alg ES256 on RSA":   {alg("ES256"), ReasonAlgorithm},
		"alg RSA-OAEP":       {alg("RSA-OAEP"), ReasonAlgorithm},
		"alg rs256":          {alg("rs256"), ReasonAlgorithm},
		"alg number":         {alg(256), ReasonMalformed},
		"alg ES256 on P-256": {ecMember(t, elliptic.P256(), "P-256", fields{"alg": "ES256"}), kept},
		"alg ES384 on P-256": {ecMember(t, elliptic.P256(), "P-256", fields{"alg": "ES384"}), ReasonAlgorithm},
		"alg ES384 on P-384": {ecMember(t, elliptic.P384(), "P-384", fields{"alg": "ES384"}), kept},
		"alg ES512 on P-521": {ecMember(t, elliptic.P521(), "P-521", fields{"alg": "ES512"}), kept},
		"alg ECDH-ES":        {ecMember(t, elliptic.P256(), "P-256", fields{"alg": "ECDH-ES"}), ReasonAlgorithm},
		"alg EdDSA":          {edWith("alg", "EdDSA"), kept},
		"alg Ed25519":        {edWith("alg", "Ed25519"), kept},
		"alg Ed448":          {edWith("alg", "Ed448"), ReasonAlgorithm},
		"alg RS256 on OKP":   {edWith("alg", "RS256"), ReasonAlgorithm},

		"n missing":           {rsaMember(0, fields{"n": nil}), ReasonMalformed},
		"n empty":             {rsaMember(0, fields{"n": ""}), ReasonMalformed},
		"n number":            {rsaMember(0, fields{"n": 5}), ReasonMalformed},
		"n padded":            {rsaMember(0, fields{"n": base64.URLEncoding.EncodeToString(n.Bytes())}), ReasonMalformed},
		"n of digits, short":  {rsaMember(0, fields{"n": strings.Repeat("1", 256)}), ReasonSize},
		"n hexadecimal":       {rsaMember(0, fields{"n": n.Text(16)}), ReasonMalformed},
		"n after 0x":          {rsaMember(0, fields{"n": "0x" + n.Text(16)}), ReasonMalformed},
		"n decimal":           {rsaMember(0, fields{"n": n.String()}), ReasonMalformed},
		"n with a line feed":  {rsaMember(0, fields{"n": "AQAB\nAQAB"}), ReasonMalformed},
		"n zero":              {rsaMember(0, fields{"n": "AA"}), ReasonSize},
		"n of 512 bits":       {rsaMember(0, fields{"n": modulus(512, 1)}), ReasonSize},
		"n of 2047 bits":      {rsaMember(0, fields{"n": modulus(2047, 1)}), ReasonSize},
		"n with zeros before": {rsaMember(0, fields{"n": encode(append([]byte{0}, n.Bytes()...))}), kept},
		"n of 4097 bits":      {rsaMember(0, fields{"n": modulus(4097, 1)}), ReasonSize},
		"n of 500,000 bits":   {rsaMember(0, fields{"n": modulus(500_000, 1)}), ReasonSize},
		"n even":              {rsaMember(0, fields{"n": modulus(2048, 2)}), ReasonModulus},
		"e missing":           {rsaMember(0, fields{"e": nil}), ReasonMalformed},
		"e zero":              {rsaMember(0, fields{"e": "AA"}), ReasonExponent},
		"e 1":                 {exponent(1), ReasonExponent},
		"e 2":                 {exponent(2), ReasonExponent},
		"e 3":                 {exponent(3), ReasonExponent},
		"e 65535":             {exponent(65535), ReasonExponent},
		"e 65536":             {exponent(65536), ReasonExponent},
		"e 65538":             {exponent(65538), ReasonExponent},
		"e 65539":             {exponent(65539), kept},
		"e 2^31-1":            {exponent(1<<31 - 1), kept},
		"e 2^31+1":            {exponent(1<<31 + 1), ReasonExponent},
		"e past 64 bits":      {rsaMember(0, fields{"e": modulus(80, 1)}), ReasonExponent},

		"EC without x":        {fields{"kty": "EC", "crv": "P-256", "y": "AA"}, ReasonMalformed},
		"EC without y":        {fields{"kty": "EC", "crv": "P-256", "x": "AA"}, ReasonMalformed},
		"EC short":            {ecMember(t, elliptic.P256(), "P-256", fields{"x": encode(make([]byte, 31))}), ReasonPoint},
		"EC long":             {ecMember(t, elliptic.P256(), "P-256", fields{"x": encode(make([]byte, 33))}), ReasonPoint},
		"EC off the curve":    {ecMember(t, elliptic.P256(), "P-256", fields{"x": encode(make([]byte, 32))}), ReasonPoint},
		"EC at infinity":      {ecMember(t, elliptic.P256(), "P-256", fields{"x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))}), ReasonPoint},
		"EC past the field":   {ecMember(t, elliptic.P256(), "P-256", fields{"x": strings.Repeat("_", 42) + "8"}), ReasonPoint},
		"EC on another curve": {ecMember(t, elliptic.P384(), "P-256", nil), ReasonPoint},
		"Ed25519 without x":   {fields{"kty": "OKP", "crv": "Ed25519"}, ReasonMalformed},
		"Ed25519 short":       {edWith("x", encode(make([]byte, 31))), ReasonPoint},
		"Ed25519 long":        {edWith("x", encode(make([]byte, 33))), ReasonPoint},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, err := Parse([]byte(keySet(test.member, rsaMember(1, fields{"kid": "sibling"}))))
			require.NoError(t, err)
			assert.Equal(t, "sibling", set.Keys[len(set.Keys)-1].KeyID, "siblings are kept")
			if test.want == kept {
				require.Len(t, set.Keys, 2)
				assert.Empty(t, set.Skipped)
				return
			}
			require.Len(t, set.Keys, 1)
			require.Len(t, set.Skipped, 1)
			got := set.Skipped[0]
			assert.Equal(t, test.want, got.Reason, got.Error())
			assert.Zero(t, got.Position)
			assert.True(t, text.IsPrintable(got.Error()))
			assert.LessOrEqual(t, len(got.KeyID), 64)
			assert.Less(t, len(got.Detail), 300)
		})
	}
}

func TestJudgeRawBytes(t *testing.T) {
	n := encodeInt(testKeys()[0].N)
	tests := map[string]struct {
		kid  string // as it stands in the document
		want any
	}{
		"invalid UTF-8":         {"a\xff", ErrMalformed},
		"overlong UTF-8":        {"a\xc0\x80", ErrMalformed},
		"lone surrogate":        {`a\ud800`, ErrMalformed},
		"member twice":          {`a", "kid": "b`, ErrMalformed},
		"member twice, x5c":     {`a", "x5c": [], "x5c": ["b"], "z": "`, ErrMalformed},
		"escaped escape":        {`a\u001b[0m`, ReasonKeyID},
		"replacement character": {"a\ufffd", ReasonKeyID},
		"surrogate pair, ok":    {`a\ud83d\udd11`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, err := Parse([]byte(`{"keys": [{"kty": "RSA", "e": "AQAB", "n": "` + n + `", "kid": "` + test.kid + `"},` + keySet(rsaMember(1, nil))[len(`{"keys":[`):]))
			switch want := test.want.(type) {
			case error:
				require.ErrorIs(t, err, want)
			case Reason:
				require.NoError(t, err)
				require.Len(t, set.Skipped, 1)
				assert.Equal(t, want, set.Skipped[0].Reason)
				assert.True(t, text.IsPrintable(set.Skipped[0].Error()))
			default:
				require.NoError(t, err)
				assert.Len(t, set.Keys, 2)
			}
		})
	}
}
