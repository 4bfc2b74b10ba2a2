package jwks

import (
	"crypto/elliptic"
	"encoding/base64"
)

// issuerDocuments have the form of what real issuers publish, with all that is odd about it;
// the keys in them are nobody's.
func issuerDocuments() map[string][]byte {
	const uuid = "3f0fccd0-2a8e-4bd1-b1ea-8a1c1a7e4f10"
	thumb := func(label string) string { return encode(stream(label, 20)) }
	set := func(members ...any) []byte { return pretty(fields{"keys": members}) }
	microsoft := func(kid string) fields {
		return rsaOf(kid, fields{
			"kid": thumb(kid), "use": "sig", "x5t": thumb(kid), "x5c": []any{certificate(kid)},
			"cloud_instance_name": "microsoftonline.com", "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
		})
	}
	keycloak := func(kid, use, alg string) fields {
		return rsaOf(kid, fields{
			"kid": encode(stream(kid, 32)), "use": use, "alg": alg, "x5c": []any{certificate(kid)},
			"x5t": thumb(kid), "x5t#S256": encode(stream(kid+" 256", 32)),
		})
	}
	octets := modulus("java", 2048).Bytes()
	return map[string][]byte{
		"issuer-nomad.json": set(rsaOf(uuid, fields{"use": "sig", "alg": "RS256"})),
		"issuer-nomad-upgraded.json": set(
			ed("fd33f64f-4b8e-0f2c-4b6e-6a4d2e4a6c1d", fields{"use": "sig", "alg": "EdDSA"}),
			rsaOf(uuid, fields{"use": "sig", "alg": "RS256"}),
		),
		"issuer-microsoft.json": set(microsoft("m1"), microsoft("m2"), microsoft("m3")),
		"issuer-azure-b2c.json": set(rsaOf("X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk", fields{"nbf": 1493763266, "use": "sig"})),
		"issuer-keycloak.json":  set(keycloak("s", "sig", "RS256"), keycloak("e", "enc", "RSA-OAEP")),
		"issuer-spiffe.json": pretty(fields{
			"keys": []any{
				ec("C6vs25welZOx6WksNYfbMfiw9l96pMnD", elliptic.P256(), fields{"use": "jwt-svid"}),
				ec("x", elliptic.P384(), fields{"kid": nil, "use": "x509-svid", "x5c": []any{certificate("spiffe")}}),
			},
			"spiffe_sequence": 12, "spiffe_refresh_hint": 300,
		}),
		"issuer-spiffe-jwt.json": pretty(fields{
			"keys":            []any{ec("C6vs25welZOx6WksNYfbMfiw9l96pMnD", elliptic.P256(), fields{"use": "jwt-svid"})},
			"spiffe_sequence": 18446744073709551615.0,
		}),
		"issuer-google.json": set(
			rsaOf("g1", fields{"kid": "6ce11aecf9eb14024a44bbfd1bcf8b32a12287fa", "use": "sig", "alg": "RS256"}),
			rsaOf("g2", fields{"kid": "b30e8a8f0e3a1ae1a2bd23ab15fd9e7ae8e4a5b4", "use": "sig", "alg": "RS256"}),
		),
		"issuer-github.json": set(rsaOf("h", fields{
			"kid": "cc413527-173f-5a05-976e-9c52b1d7b431", "use": "sig", "alg": "RS256", "x5t": thumb("h"), "x5c": []any{certificate("h")},
		})),
		"issuer-kubernetes.json": set(rsaOf("k8s", fields{"kid": encode(stream("k8s", 32)), "use": "sig", "alg": "RS256"})),
		"issuer-eks.json": set(
			rsaOf("eks", fields{"kid": "6a0f4b1e7c2d", "use": "sig", "alg": "RS256"}),
			rsaOf("eks-legacy", fields{"kid": "", "use": "sig", "alg": "RS256"}),
		),
		"issuer-auth0.json": set(rsaOf("auth0", fields{
			"kid": "RkI5MjI5OUY5ODc1N0Q4QzM0OUYzNkVGMTJDOUE3", "use": "sig", "alg": "RS256", "x5t": encode([]byte("FB92299F98757D8C349F36EF12C9A7")), "x5c": []any{certificate("auth0")},
		})),
		"issuer-ops.json": set(ec("p-256-ops", elliptic.P256(), fields{"key_ops": []any{"verify"}, "ext": true})),
		"issuer-moving-on.json": set(
			fields{"kty": "AKP", "kid": "pq-2030", "use": "sig", "alg": "ML-DSA-65", "pub": encode(stream("ML-DSA-65", 1952))},
			ec("current", elliptic.P256(), fields{"use": "sig", "alg": "ES256"}),
		),
		"issuer-java.json": set(
			rsaOf("java", fields{"n": encode(append([]byte{0}, octets...)), "e": "AAEAAQ", "use": "sig", "alg": "RS256"}),
		),
		"issuer-dotnet-oth.json": set(
			rsaOf("rsa-1", fields{"use": "sig", "alg": "RS256", "oth": []any{}}),
			rsaOf("rsa-enc", fields{"use": "enc", "alg": "RSA-OAEP-256", "oth": []any{}}),
		),
		"issuer-janssen.json": set(
			rsaOf("connect_0f1d_sig_rs256", fields{"use": "sig", "alg": "RS256", "exp": 1795863882000, "key_ops": []any{"connect"}}),
			ec("connect_77aa_sig_es256", elliptic.P256(), fields{"use": "sig", "alg": "ES256", "exp": 1795863882000, "key_ops": []any{"connect"}}),
		),
		"issuer-forgerock.json": set(
			rsaOf("many", fields{"use": "sig", "alg": "PS256"}), rsaOf("many", fields{"use": "sig", "alg": "PS384"}), rsaOf("many", fields{"use": "sig", "alg": "PS512"}),
			rsaOf("many", fields{"use": "sig", "alg": "RS256"}), rsaOf("many", fields{"use": "sig", "alg": "RS384"}), rsaOf("many", fields{"use": "sig", "alg": "RS512"}),
		),
		"issuer-padded.json": set(
			rsaOf("dotnet", fields{"n": base64.URLEncoding.EncodeToString(octets), "use": "sig", "alg": "RS256"}),
			rsaOf("sound", fields{"use": "sig", "alg": "RS256"}),
		),
		"issuer-kid-url.json": set(ed("https://keys.example.com/v1/keys?version=3#a", fields{"use": "sig"})),
	}
}
