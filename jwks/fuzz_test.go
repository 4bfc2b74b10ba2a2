package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse checks what must hold for any document: no panic; a set of usable public keys
// or one of the documented errors, never both; nothing unprintable for a terminal.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(names) == 0 {
		f.Fatal("no documents", err)
	}
	hostile, err := filepath.Glob(filepath.Join(corpusDirectory, "*.json"))
	if err != nil || len(hostile) == 0 {
		f.Fatal("no hostile documents", err)
	}
	names = append(names, hostile...)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":null}]}`))

	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Parse(data)
		if err != nil {
			if set != nil {
				t.Fatal("a set and an error")
			}
			if !isPrintable(err.Error()) {
				t.Fatalf("unprintable error %q", err)
			}
			for _, known := range []error{ErrTooLarge, ErrMalformed, ErrPrivateKey, ErrNoKeys} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("undocumented error %v", err)
		}
		if len(set.Keys) == 0 || len(set.Keys)+len(set.Skipped) > MaxMembers {
			t.Fatalf("%d keys, %d skipped", len(set.Keys), len(set.Skipped))
		}
		seen := make(map[string]bool)
		for _, key := range set.Keys {
			switch public := key.Public.(type) {
			case *rsa.PublicKey:
				if bits := public.N.BitLen(); bits < 2048 || bits > 4096 || public.E < 65537 {
					t.Fatalf("RSA key of %d bits with exponent %d", bits, public.E)
				}
			case *ecdsa.PublicKey, ed25519.PublicKey:
			default:
				t.Fatalf("a %T among the keys", key.Public)
			}
			der, err := x509.MarshalPKIXPublicKey(key.Public)
			if err != nil {
				t.Fatal(err)
			}
			if seen[string(der)] {
				t.Fatal("a key twice")
			}
			seen[string(der)] = true
			if key.KeyID == "" || len(key.KeyID) > MaxKeyID || !isPrintable(key.KeyID) {
				t.Fatalf("kid %q", key.KeyID)
			}
		}
		for _, skipped := range set.Skipped {
			if !isPrintable(skipped.Error()) {
				t.Fatalf("unprintable reason %q", skipped.Error())
			}
		}
	})
}
