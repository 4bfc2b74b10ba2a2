package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	stdpem "encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/MicahParks/jwkset"
	jose "github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/jwksharvest/harvest/bench/internal/compare"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// conversion compares ways from a JWKS to PEM.
func conversion() *compare.Table {
	documents := map[string][]byte{}
	t := &compare.Table{
		Name:  "conversion",
		Title: "A key set to PEM",
		Text: "From the bytes of a JWKS to one PKIX PEM block a key. The first line is harvest's conversion by itself, like for like: " +
			"the others judge nothing, and take any key that can be decoded. The second is `jwks.Parse` and the conversion: it judges " +
			"what can be seen at a glance, such as sizes, exponents, points off their curve and misleading documents. The third is " +
			"`jwks.Judge` on keys that it doesn't know yet, which looks for weak moduli: once a key, before it is trusted. The floor checks nothing at all: it decodes base64, puts a fixed prefix before it and encodes " +
			"it again, without reading the JSON. Each measurement has a process of its own.",
		Metrics: []compare.Metric{compare.Time, compare.Memory, compare.Allocations},
		Contenders: []compare.Contender{
			{Name: "harvest, conversion", Measure: part(documents, "convert")},
			{Name: "harvest, Parse and conversion", Measure: converting(documents, "harvest")},
			{Name: "harvest, Judge alone", Measure: part(documents, "judge")},
			{Name: "go-jose, crypto/x509", Modules: []string{"github.com/go-jose/go-jose/v4"}, Measure: converting(documents, "go-jose")},
			{Name: "jwx", Modules: []string{"github.com/lestrrat-go/jwx/v3"}, Measure: converting(documents, "jwx")},
			{Name: "jwkset", Modules: []string{"github.com/MicahParks/jwkset"}, Measure: converting(documents, "jwkset")},
			{Name: "floor", Measure: converting(documents, "floor")},
		},
		Cases: []string{
			caseName(kindRSA, 1), caseName(kindRSA, 3), caseName(kindRSA, 100), caseName(kindRSA, 1000),
			caseName(kindEd25519, 1), caseName(kindEd25519, 100), caseName(kindMixed, 100), caseName(kindMixed, 1000),
		},
	}
	t.Setup = func(ctx context.Context, env *compare.Env) error {
		if err := buildParts(ctx, env); err != nil {
			return err
		}
		for _, name := range t.Cases {
			kind, count, err := parseCaseName(name)
			if err != nil {
				return err
			}
			if documents[name], err = keySet(kind, count); err != nil {
				return err
			}
			if err := sameBlocks(documents[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	return t
}

// converter returns the PEM blocks of a document, one after another.
type converter func(document []byte) ([]byte, error)

var converters = map[string]converter{
	"harvest": convertHarvest,
	"go-jose": convertJose,
	"jwx":     convertJWX,
	"jwkset":  convertJWKSet,
}

// convertFlag makes of this program one that measures one converter: what other measurements
// left on the heap decides how often the garbage collector runs.
const convertFlag = "-convert"

func converting(documents map[string][]byte, converter string) func(context.Context, *compare.Env, string) (compare.Measures, error) {
	return func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
		document, err := writeDocument(env, documents[name])
		if err != nil {
			return nil, err
		}
		program, err := os.Executable()
		if err != nil {
			return nil, err
		}
		run := exec.CommandContext(ctx, program, convertFlag, converter, document, benchtime(env))
		run.Stderr = os.Stderr
		out, err := run.Output()
		if err != nil {
			return nil, err
		}
		var measures compare.Measures
		return measures, json.Unmarshal(out, &measures)
	}
}

// writeDocument puts a document where another process can read it.
func writeDocument(env *compare.Env, document []byte) (string, error) {
	file := filepath.Join(env.Dir, "jwks.json")
	return file, os.WriteFile(file, document, 0o600)
}

// measureConverter writes to standard output what one converter takes.
func measureConverter(name, file, benchtime string) error {
	testing.Init()
	if err := flag.Set("test.benchtime", benchtime); err != nil {
		return err
	}
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	convert := func() error {
		_, err := converters[name](document)
		return err
	}
	if name == "floor" {
		keys := floorKeys(document)
		convert = func() error {
			_, err := convertFloor(keys)
			return err
		}
	}
	measures, err := compare.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if err := convert(); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measures)
}

// sameBlocks makes sure that what is compared comes to the same bytes.
func sameBlocks(document []byte) error {
	want, err := convertHarvest(document)
	if err != nil {
		return err
	}
	for name, convert := range converters {
		got, err := convert(document)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: other blocks than harvest's", name)
		}
	}
	got, err := convertFloor(floorKeys(document))
	if err != nil || !bytes.Equal(got, want) {
		return errors.Join(errors.New("floor: other blocks than harvest's"), err)
	}
	return nil
}

func convertHarvest(document []byte) ([]byte, error) {
	set, err := jwks.Parse(document)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, key := range set.Keys {
		block, err := pem.Block{Public: key.Public}.MarshalText()
		if err != nil {
			return nil, err
		}
		out = append(append(out, block...), '\n')
	}
	return out, nil
}

func convertJose(document []byte) ([]byte, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, err
	}
	var out []byte
	for _, key := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, stdpem.EncodeToMemory(&stdpem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return out, nil
}

func convertJWX(document []byte) ([]byte, error) {
	set, err := jwk.Parse(document)
	if err != nil {
		return nil, err
	}
	return jwk.Pem(set)
}

func convertJWKSet(document []byte) ([]byte, error) {
	var marshalled jwkset.JWKSMarshal
	if err := json.Unmarshal(document, &marshalled); err != nil {
		return nil, err
	}
	keys, err := marshalled.JWKSlice()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key.Key())
		if err != nil {
			return nil, err
		}
		out = append(out, stdpem.EncodeToMemory(&stdpem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return out, nil
}

// What stands before and after a modulus of 2048 bits whose exponent is 65537, and before
// an Ed25519 point, in a SubjectPublicKeyInfo.
var (
	rsaPrefix     = []byte("\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00")
	rsaSuffix     = []byte("\x02\x03\x01\x00\x01")
	ed25519Prefix = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
)

// floorKeys finds the moduli and points of a document, which costs the floor nothing.
func floorKeys(document []byte) (keys []string) {
	var set struct {
		Keys []member `json:"keys"`
	}
	if json.Unmarshal(document, &set) != nil {
		return nil
	}
	for _, m := range set.Keys {
		keys = append(keys, m.N+m.X)
	}
	return keys
}

// convertFloor is the least that any conversion must do.
func convertFloor(keys []string) ([]byte, error) {
	size := 0
	for _, key := range keys {
		size += len(key)*3/2 + 160
	}
	out := make([]byte, 0, size)
	var der, text [512]byte
	for _, key := range keys {
		d := append(der[:0], rsaPrefix...)
		if len(key) < 64 {
			d = append(der[:0], ed25519Prefix...)
		}
		d, err := base64.RawURLEncoding.AppendDecode(d, []byte(key))
		if err != nil {
			return nil, err
		}
		if len(key) > 64 {
			d = append(d, rsaSuffix...)
		}
		out = append(out, "-----BEGIN PUBLIC KEY-----\n"...)
		for line := base64.StdEncoding.AppendEncode(text[:0], d); len(line) > 0; {
			end := min(64, len(line))
			out = append(append(out, line[:end]...), '\n')
			line = line[end:]
		}
		out = append(out, "-----END PUBLIC KEY-----\n"...)
	}
	return out, nil
}
