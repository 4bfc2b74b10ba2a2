package jwks

import (
	"bytes"
	"crypto/elliptic"
	"encoding/json"
	"maps"
	"strings"
	"unicode/utf16"
)

// pretty is a document of these members, to be read by people.
func pretty(document any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// sibling is the good key beside a bad one, which must not suffer for it.
func sibling() fields { return ec("sibling", elliptic.P256(), fields{"kid": "sibling"}) }

// beside is a set of these members and the sibling, which comes last.
func beside(members ...any) []byte {
	return pretty(fields{"keys": append(append([]any{}, members...), sibling())})
}

// beforeSibling is beside, for a member that no encoder would write.
func beforeSibling(member string) []byte {
	return append([]byte(`{"keys": [`+member+",\n"), append(bytes.TrimSpace(pretty(sibling())), "]}\n"...)...)
}

func with(member, changes fields) fields {
	member = maps.Clone(member)
	maps.Copy(member, changes)
	maps.DeleteFunc(member, func(_ string, value any) bool { return value == nil })
	return member
}

// rsaOf, ec and ed are members with their own key for each label; a change of nil removes.
func rsaOf(label string, changes fields) fields {
	return with(fields{"kty": "RSA", "kid": label, "e": "AQAB", "n": encodeInt(modulus(label, 2048))}, changes)
}

func ec(label string, curve elliptic.Curve, changes fields) fields {
	x, y := point(label, curve)
	return with(fields{"kty": "EC", "kid": label, "crv": curve.Params().Name, "x": encode(x), "y": encode(y)}, changes)
}

func ed(label string, changes fields) fields {
	return with(fields{"kty": "OKP", "kid": label, "crv": "Ed25519", "x": encode(edwardsPoint(label))}, changes)
}

// corpusDocuments are the files of the corpus, by name.
func corpusDocuments() map[string][]byte {
	all := map[string][]byte{}
	for _, part := range []map[string][]byte{
		shapeDocuments(), privateDocuments(), typeDocuments(), algorithmDocuments(), keyIDDocuments(),
		rsaDocuments(), rsaEncodingDocuments(), ecDocuments(), ed25519Documents(), issuerDocuments(),
	} {
		for name, document := range part {
			if _, ok := all[name]; ok {
				panic(name + " twice")
			}
			all[name] = document
		}
	}
	return all
}

// shapeDocuments are good keys in a document of the wrong form.
func shapeDocuments() map[string][]byte {
	good := pretty(fields{"keys": []any{ed("good", nil), rsaOf("good-rsa", nil)}})
	text := strings.TrimSpace(string(good))
	list := strings.TrimSpace(strings.TrimPrefix(strings.TrimSuffix(text, "}"), "{"))
	attacker := strings.TrimSpace(string(pretty([]any{ed("attacker", nil)})))
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	documents := map[string]string{
		"good.json":              string(good),
		"empty.json":             "",
		"blank.json":             " \r\n\t\n",
		"byte-order-mark.json":   "\xef\xbb\xbf" + text,
		"byte-order-marks.json":  "\xef\xbb\xbf\xef\xbb\xbf" + text,
		"byte-order-inside.json": "{\xef\xbb\xbf" + list + "}\n",
		"utf-16.json":            string(wide),
		"html.json":              "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n",
		"pem.json":               "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
		"jws.json":               "eyJhbGciOiJub25lIn0." + encode(good) + ".\n",
		"null.json":              "null\n",
		"array.json":             "[]\n",
		"array-of-keys.json":     attacker + "\n",
		"string.json":            `"` + encode(good) + "\"\n",
		"object.json":            "{}\n",
		"single-key.json":        string(pretty(ed("good", nil))),
		"keys-null.json":         `{"keys": null}` + "\n",
		"keys-object.json":       `{"keys": {"0": {}}}` + "\n",
		"keys-string.json":       `{"keys": "[]"}` + "\n",
		"keys-upper-case.json":   "{" + strings.Replace(list, `"keys"`, `"KEYS"`, 1) + "}\n",
		"keys-both-cases.json":   `{"KEYS": ` + attacker + ", " + list + "}\n",
		"keys-folded.json":       "{" + strings.Replace(list, `"keys"`, `"\u212aeys"`, 1) + "}\n",
		"keys-twice.json":        `{"keys": ` + attacker + ", " + list + "}\n",
		"keys-twice-hidden.json": `{"\u006beys": ` + attacker + ", " + list + "}\n",
		"other-twice.json":       `{"issuer": "a", "issuer": "b", ` + list + "}\n",
		"truncated.json":         text[:len(text)/2],
		"truncated-end.json":     strings.TrimSuffix(text, "}"),
		"trailing-document.json": text + "\n" + text,
		"trailing-bracket.json":  text + "}",
		"trailing-nul.json":      text + "\x00",
		"trailing-script.json":   text + "\n<script>1</script>\n",
		"trailing-comma.json":    "{" + list + ",}\n",
		"comment.json":           "{ // ours\n" + list + "}\n",
		"single-quotes.json":     strings.ReplaceAll(text, `"`, `'`),
		"control.json":           strings.Replace(text, `"good"`, "\"go\nod\"", 1),
		"no-keys.json":           `{"keys": []}` + "\n",
		"no-usable-key.json": string(pretty(fields{"keys": []any{
			fields{"kty": "oct", "kid": "a"}, rsaOf("b", fields{"use": "enc"}), ed("c", fields{"x": encode(offTheCurve())}),
		}})),
		"white-space.json": "\r\n\t " + strings.ReplaceAll(text, "\n", "\r\n\t") + "\r\n",
		"extra.json":       string(pretty(fields{"keys": []any{sibling()}, "issuer": nil, "keyz": []any{}, "": 1e308})),
	}
	for name, member := range map[string]string{
		"member-null.json":             `null`,
		"member-string.json":           `"key"`,
		"member-number.json":           `1`,
		"member-array.json":            attacker,
		"member-set.json":              `{"keys": ` + attacker + `}`,
		"member-empty.json":            `{}`,
		"member-upper-case.json":       strings.ToUpper(`{"kty": "OKP", "crv": `) + `"Ed25519", "X": "` + encode(edwardsPoint("attacker")) + `"}`,
		"member-kid-twice.json":        duplicate("kid", "other"),
		"member-kty-twice.json":        duplicate("kty", "RSA"),
		"member-x-twice.json":          duplicate("x", encode(edwardsPoint("attacker"))),
		"member-x-twice-hidden.json":   strings.Replace(duplicate("x", encode(edwardsPoint("attacker"))), `"x"`, `"\u0078"`, 1),
		"member-x5c-twice.json":        duplicate("x5c", "a"),
		"member-inner-duplicates.json": strings.Replace(duplicate("ext", "a"), `"ext": "a", `, `"ext": {"a": 1, "a": 2}, `, 1),
	} {
		documents[name] = string(beforeSibling(member))
	}
	out := map[string][]byte{}
	for name, document := range documents {
		out[name] = []byte(document)
	}
	return out
}

// duplicate is an Ed25519 member with a name once more, before the others.
func duplicate(name, value string) string {
	member := ed("twice", fields{})
	if _, ok := member[name]; !ok && name != "ext" {
		member[name] = "b"
	}
	return `{"` + name + `": "` + value + `", ` + strings.TrimPrefix(strings.TrimSpace(string(pretty(member))), "{")
}

// privateDocuments hold a member that ought to be secret. Its value is no key's.
func privateDocuments() map[string][]byte {
	const secret = "bm90IGEgcHJpdmF0ZSBrZXk"
	return map[string][]byte{
		"private-rsa-d.json":   beside(rsaOf("leak", fields{"d": secret})),
		"private-rsa-p.json":   beside(rsaOf("leak", fields{"p": secret})),
		"private-rsa-q.json":   beside(rsaOf("leak", fields{"q": secret})),
		"private-rsa-dp.json":  beside(rsaOf("leak", fields{"dp": secret})),
		"private-rsa-dq.json":  beside(rsaOf("leak", fields{"dq": secret})),
		"private-rsa-qi.json":  beside(rsaOf("leak", fields{"qi": secret})),
		"private-rsa-oth.json": beside(rsaOf("leak", fields{"oth": []any{fields{"r": secret, "t": secret}}})),
		"private-rsa-all.json": beside(rsaOf("leak", fields{"d": secret, "p": secret, "q": secret, "dp": secret, "dq": secret, "qi": secret})),
		"private-ec.json":      beside(ec("leak", elliptic.P384(), fields{"d": secret})),
		"private-ed25519.json": beside(ed("leak", fields{"d": secret})),
		"private-x25519.json":  beside(ed("leak", fields{"crv": "X25519", "d": secret})),
		"private-oct.json":     beside(fields{"kty": "oct", "kid": "leak", "k": secret}),
		"private-hmac.json":    beside(fields{"kty": "oct", "kid": "leak", "use": "sig", "alg": "HS256", "k": secret}),
		"private-akp.json":     beside(fields{"kty": "AKP", "kid": "leak", "alg": "ML-DSA-44", "pub": secret, "priv": secret}),
		"private-enc.json":     beside(rsaOf("leak", fields{"use": "enc", "alg": "RSA-OAEP", "d": secret})),
		"private-empty.json":   beside(rsaOf("leak", fields{"d": ""})),
		"private-lost.json":    beside(rsaOf("export", fields{"d": ""}), rsaOf("leak", fields{"d": secret})),
		"private-object.json":  beside(rsaOf("leak", fields{"d": fields{}})),
		"private-blank.json":   beside(rsaOf("leak", fields{"d": " "})),
		"oth-empty.json":       beside(rsaOf("no-leak", fields{"oth": []any{}})),
		"oth-null.json":        beside(rsaOf("leak", fields{"oth": []any{nil}})),
		"oth-object.json":      beside(rsaOf("leak", fields{"oth": []any{fields{}}})),
		"oth-string.json":      beside(rsaOf("leak", fields{"oth": ""})),
		"private-number.json":  beside(rsaOf("leak", fields{"d": 0})),
		"private-last.json":    pretty(fields{"keys": []any{sibling(), ed("leak", fields{"d": secret})}}),
		"private-nested.json":  beside(rsaOf("leak", fields{"jwk": []any{fields{"d": secret}}})),
		"private-hidden.json":  beforeSibling(`{"kty": "oct", "\u006b": "` + secret + `"}`),
		"private-masked.json":  beforeSibling(`{"kty": "oct", "k": "` + secret + `", "k": null}`),
		"private-beside.json":  pretty(fields{"keys": []any{sibling()}, "d": secret}),
		"private-older.json":   pretty(fields{"keys": []any{sibling()}, "retired": []any{ed("leak", fields{"d": secret})}}),
		"private-single.json":  pretty(ed("leak", fields{"d": secret})),
		"private-null.json":    beside(rsaOf("no-leak", fields{"p": json.RawMessage("null"), "d": json.RawMessage("null")})),
		"private-value.json":   beside(rsaOf("d", fields{"names": []any{"d", "k", "priv"}})),
	}
}

// typeDocuments hold keys that aren't for signatures, or not known here.
func typeDocuments() map[string][]byte {
	x := encode(stream("x", 32))
	generator := fields{ // of secp256k1 (SEC 2, section 2.4.1)
		"kty": "EC", "crv": "secp256k1", "kid": "koblitz", "alg": "ES256K", "use": "sig",
		"x": "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g", "y": "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg",
	}
	rsa := func(changes fields) []byte { return beside(rsaOf("other", changes)) }
	return map[string][]byte{
		"akp-ml-dsa-44.json":   beside(fields{"kty": "AKP", "kid": "lattice", "alg": "ML-DSA-44", "pub": encode(stream("ML-DSA-44", 1312))}),
		"akp-ml-dsa-87.json":   beside(fields{"kty": "AKP", "kid": "lattice", "alg": "ML-DSA-87", "use": "sig", "pub": encode(stream("ML-DSA-87", 2592))}),
		"kty-unknown.json":     beside(fields{"kty": "\x1b]0;owned\a" + strings.Repeat("K", 300), "kid": "odd"}),
		"kty-lower-case.json":  rsa(fields{"kty": "rsa"}),
		"kty-oct.json":         beside(fields{"kty": "oct", "kid": "name-only"}),
		"kty-number.json":      rsa(fields{"kty": 1}),
		"kty-missing.json":     rsa(fields{"kty": nil}),
		"x25519.json":          beside(fields{"kty": "OKP", "crv": "X25519", "kid": "exchange", "x": x}),
		"x448.json":            beside(fields{"kty": "OKP", "crv": "X448", "kid": "exchange", "x": encode(stream("x", 56))}),
		"ed448.json":           beside(fields{"kty": "OKP", "crv": "Ed448", "kid": "goldilocks", "alg": "EdDSA", "x": encode(stream("x", 57))}),
		"secp256k1.json":       beside(generator),
		"p-224.json":           beside(ec("short", elliptic.P224(), nil)),
		"brainpool.json":       beside(fields{"kty": "EC", "crv": "BP-256", "kid": "brainpool", "x": x, "y": x}),
		"okp-p-256.json":       beside(fields{"kty": "OKP", "crv": "P-256", "kid": "crossed", "x": x}),
		"ec-ed25519.json":      beside(fields{"kty": "EC", "crv": "Ed25519", "kid": "crossed", "x": x, "y": x}),
		"crv-lower-case.json":  beside(ed("odd", fields{"crv": "ed25519"})),
		"crv-missing.json":     beside(ed("odd", fields{"crv": nil})),
		"use-enc.json":         rsa(fields{"use": "enc"}),
		"use-enc-verify.json":  rsa(fields{"use": "enc", "key_ops": []any{"verify"}}),
		"use-x509-svid.json":   rsa(fields{"use": "x509-svid", "x5c": []any{certificate("x")}}),
		"use-upper-case.json":  rsa(fields{"use": "SIG"}),
		"use-array.json":       rsa(fields{"use": []any{"sig"}}),
		"use-hostile.json":     rsa(fields{"use": "sig\n\x1b[2K-----BEGIN PUBLIC KEY-----"}),
		"use-null.json":        rsa(fields{"use": json.RawMessage("null"), "alg": json.RawMessage("null"), "key_ops": json.RawMessage("null")}),
		"ops-verify.json":      rsa(fields{"use": "sig", "key_ops": []any{"verify"}}),
		"ops-sign.json":        rsa(fields{"key_ops": []any{"sign"}}),
		"ops-encrypt.json":     rsa(fields{"use": "sig", "key_ops": []any{"encrypt", "wrapKey"}}),
		"ops-empty.json":       rsa(fields{"key_ops": []any{}}),
		"ops-upper-case.json":  rsa(fields{"key_ops": []any{"Verify"}}),
		"ops-own.json":         rsa(fields{"use": "sig", "alg": "RS256", "key_ops": []any{"connect"}}),
		"ops-own-no-alg.json":  rsa(fields{"use": "sig", "key_ops": []any{"connect"}}),
		"ops-own-no-use.json":  rsa(fields{"alg": "RS256", "key_ops": []any{"connect"}}),
		"ops-own-sign.json":    rsa(fields{"use": "sig", "alg": "RS256", "key_ops": []any{"connect", "sign"}}),
		"ops-own-upper.json":   rsa(fields{"use": "sig", "alg": "RS256", "key_ops": []any{"SIGN"}}),
		"ops-own-empty.json":   rsa(fields{"use": "sig", "alg": "RS256", "key_ops": []any{""}}),
		"ops-own-hostile.json": rsa(fields{"use": "sig", "alg": "RS256", "key_ops": []any{"\x1b[2J\u202e\n" + strings.Repeat("x", 4000)}}),
		"ops-string.json":      rsa(fields{"key_ops": "verify"}),
		"ops-of-numbers.json":  rsa(fields{"key_ops": []any{1, "verify"}}),
		"rsa-with-a-crv.json":  rsa(fields{"crv": "P-256"}),
		"x5c-garbage.json":     rsa(fields{"x5c": []any{"AA==", "not base64", "MIIC"}, "x5t": "!", "x5t#S256": 7}),
		"x5c-sound.json":       rsa(fields{"x5c": []any{certificate("other")}}),
		"x5c-other-key.json":   beside(rsaOf("other", fields{"x5c": []any{certificate("of another key")}})),
		"x5c-string.json":      rsa(fields{"x5c": "MIIC"}),
		"x5c-empty.json":       rsa(fields{"x5c": []any{}}),
		"x5u-garbage.json":     rsa(fields{"x5u": "%zz", "jku": "http://127.0.0.1/"}),
		"x5c-ed25519.json":     beside(ed("other", fields{"x5c": []any{certificate("x")}, "x5t": encode(stream("x", 20))})),
		"x5c-ec.json":          beside(ec("other", elliptic.P521(), fields{"x5c": []any{certificate("x")}})),
		"x5t-wrong-bytes.json": rsa(fields{"x5t": encode(stream("x", 19)), "x5t#S256": encode(stream("x", 31))}),
	}
}

// algorithmDocuments hold keys with an "alg" of something else.
func algorithmDocuments() map[string][]byte {
	rsa := func(alg any) []byte { return beside(rsaOf("mismatch", fields{"alg": alg})) }
	p256 := func(alg any) []byte { return beside(ec("mismatch", elliptic.P256(), fields{"alg": alg})) }
	okp := func(alg any) []byte { return beside(ed("mismatch", fields{"alg": alg})) }
	return map[string][]byte{
		"alg-none.json":        rsa("none"),
		"alg-hs256.json":       rsa("HS256"),
		"alg-rs1.json":         rsa("RS1"),
		"alg-rsa-oaep.json":    rsa("RSA-OAEP-256"),
		"alg-es256-rsa.json":   rsa("ES256"),
		"alg-eddsa-rsa.json":   rsa("EdDSA"),
		"alg-lower-case.json":  rsa("rs256"),
		"alg-number.json":      rsa(256),
		"alg-array.json":       rsa([]any{"RS256"}),
		"alg-hostile.json":     rsa("RS256\" cluster=\"evil\"\r\n\x1b[31m" + strings.Repeat("A", 5000)),
		"alg-rs256-ec.json":    p256("RS256"),
		"alg-hs256-ec.json":    p256("HS256"),
		"alg-es384-p-256.json": p256("ES384"),
		"alg-es256k.json":      p256("ES256K"),
		"alg-ecdh.json":        p256("ECDH-ES+A256KW"),
		"alg-es256-p-521.json": beside(ec("mismatch", elliptic.P521(), fields{"alg": "ES256"})),
		"alg-rs256-okp.json":   okp("RS256"),
		"alg-es256-okp.json":   okp("ES256"),
		"alg-ed448.json":       okp("Ed448"),
		"alg-all.json": pretty(fields{"keys": []any{
			rsaOf("RS256", fields{"alg": "RS256"}), rsaOf("RS384", fields{"alg": "RS384"}), rsaOf("RS512", fields{"alg": "RS512"}),
			rsaOf("PS256", fields{"alg": "PS256"}), rsaOf("PS384", fields{"alg": "PS384"}), rsaOf("PS512", fields{"alg": "PS512"}),
			ec("ES256", elliptic.P256(), fields{"alg": "ES256"}), ec("ES384", elliptic.P384(), fields{"alg": "ES384"}),
			ec("ES512", elliptic.P521(), fields{"alg": "ES512"}), ed("EdDSA", fields{"alg": "EdDSA"}), ed("Ed25519", fields{"alg": "Ed25519"}),
		}}),
	}
}

// keyIDDocuments hold good keys under a name that breaks out of what it is printed in.
func keyIDDocuments() map[string][]byte {
	forged := `harvest/1 cluster="us-east" region="us-east-1" kid="x" alg="EdDSA" added="2026-01-01T00:00:00Z"`
	block := "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----"
	kid := func(kid any) []byte { return beside(ed("named", fields{"kid": kid})) }
	raw := func(kid string) []byte {
		return beforeSibling(`{"kty": "OKP", "crv": "Ed25519", "x": "` + encode(edwardsPoint("named")) + `", "kid": "` + kid + `"}`)
	}
	return map[string][]byte{
		"kid-forged-annotation.json": kid("x\n" + forged),
		"kid-forged-return.json":     kid("x\r" + forged),
		"kid-forged-closed.json":     kid(`x" cluster="evil" also="evil/`),
		"kid-forged-inline.json":     kid(forged),
		"kid-begin-line.json":        kid("x\n" + block),
		"kid-begin-inline.json":      kid("-----BEGIN PUBLIC KEY-----"),
		"kid-dashes.json":            kid("\n-----"),
		"kid-ansi.json":              kid("\x1b[2J\x1b[1;31mok\x1b[0m"),
		"kid-ansi-escaped.json":      raw(`a\u001b]0;owned\u0007`),
		"kid-c1.json":                kid("a\u009b31m"),
		"kid-nul.json":               kid("a\x00b"),
		"kid-backspace.json":         kid("evil\b\b\b\bgood"),
		"kid-delete.json":            kid("a\x7f"),
		"kid-bidi.json":              kid("a\u202ecod\u202c"),
		"kid-zero-width.json":        kid("good\u200b"),
		"kid-line-separator.json":    kid("a\u2028" + forged),
		"kid-mark.json":              kid("\ufeffgood"),
		"kid-tag.json":               kid("a\U000e0041"),
		"kid-invalid-utf-8.json":     raw("a\xff\xfeb"),
		"kid-overlong.json":          raw("a\xc0\x80"),
		"kid-surrogate.json":         raw(`a\ud800`),
		"kid-257.json":               kid(strings.Repeat("k", 257)),
		"kid-256.json":               kid(strings.Repeat("k", 256)),
		"kid-number.json":            kid(7),
		"kid-number-negative.json":   kid(-7),
		"kid-number-long.json":       kid(json.Number(strings.Repeat("9", 257))),
		"kid-number-fraction.json":   kid(json.Number("7.0")),
		"kid-number-exponent.json":   kid(json.Number("7e0")),
		"kid-number-and-text.json":   pretty(fields{"keys": []any{ed("one", fields{"kid": 7}), ed("two", fields{"kid": "7"})}}),
		"kid-object.json":            kid(fields{"a": 1}),
		"kid-array.json":             kid([]any{"a"}),
		"kid-empty.json":             kid(""),
		"kid-missing.json":           beside(ed("named", fields{"kid": nil})),
		"kid-quotes.json":            kid(`a "b" \n \" 'c' $(id) %s {{.}} <b>`),
		"kid-unicode.json":           kid("schlüssel-鍵-🔑"),
		"kid-path.json":              kid("../../etc/passwd"),
		"kid-shared.json":            pretty(fields{"keys": []any{ed("one", fields{"kid": "same"}), ed("two", fields{"kid": "same"})}}),
		"kid-same-key.json":          pretty(fields{"keys": []any{ed("one", nil), ed("one", fields{"kid": "two"}), ed("one", nil), sibling()}}),
	}
}
