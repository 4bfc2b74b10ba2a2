package jwks

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/corpus"
)

// choices turns fuzzed bytes into decisions; when they run out, every choice is the first.
type choices []byte

func (c *choices) pick(n int) int {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

// knownMember is a member of the corpus and what speaks against it; no reason: nothing.
type knownMember struct {
	text string
	want Reason
}

// knownMembers returns those of the corpus's documents, the bad one of each before its sibling.
func knownMembers(t testing.TB) (all []knownMember) {
	cases, err := corpus.Read(corpusDirectory)
	require.NoError(t, err)
	for _, c := range cases {
		if c.Transport != corpus.Plain || c.Generated() || c.Verdict == corpus.Refuse || strings.HasPrefix(c.Document, "issuer-") {
			continue
		}
		for i, member := range members(t, bytes.TrimPrefix(c.Data(), []byte("\xef\xbb\xbf"))) {
			known := knownMember{text: string(member)}
			if i < c.Lost {
				known.want = Reason(c.Reason)
			}
			all = append(all, known)
		}
	}
	return all
}

// weaknessReasons are what Judge says, and Parse doesn't.
var weaknessReasons = []Reason{ReasonFactor, ReasonROCA, ReasonClosePrimes, ReasonPattern, ReasonPrime}

const memberCanary = "c2VjcmV0-canary-c2VjcmV0"

// additions are what a member may have besides, and the error that it makes of the document.
var additions = []struct {
	text string
	err  error
}{
	{`"ext":true`, nil}, {`"ext":{"d":null,"n":[[]]}`, nil}, {`"ext":["d","k"]`, nil}, {`"ext":[{"oth":[ ]}]`, nil},
	{`"ext":{"d":"` + memberCanary + `"}`, ErrPrivateKey}, {`"ext":[0,[{"a":"k","\u006b":0}]]`, ErrPrivateKey}, {`"ext":{"p":false}`, ErrPrivateKey},
	{`"ext":{"qi":""}`, ErrMalformed}, {`"ext":{"dp":[]}`, ErrMalformed}, {`"ext":{"d":null,"d":null}`, ErrMalformed}, {`"ext":1,"e\u0078t":2`, ErrMalformed},
}

// FuzzMembers puts members of the corpus together, with what has no bearing on them or spoils the
// document: each comes to what it comes to by itself. Mutations of JSON seldom get as far as a
// second key.
func FuzzMembers(f *testing.F) {
	pool := knownMembers(f)
	require.Greater(f, len(pool), 250)
	f.Add([]byte{})
	random := rand.NewChaCha8([32]byte{}) // so that go test, by itself, sees some of everything
	for range 256 {
		seed := make([]byte, 40)
		_, _ = random.Read(seed)
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := choices(data)
		var list []string
		var want, weak []Reason
		var spoilt []error
		for range 1 + c.pick(5) {
			m := pool[(c.pick(256)<<8+c.pick(256))%len(pool)]
			if rest, isObject := strings.CutPrefix(m.text, `{"`); isObject && c.pick(6) == 5 {
				addition := additions[c.pick(len(additions))]
				m.text = `{` + addition.text + `,"` + rest
				if addition.err != nil {
					spoilt = append(spoilt, addition.err)
				}
			}
			if slices.Contains(weaknessReasons, m.want) {
				weak, m.want = append(weak, m.want), ""
			}
			list, want = append(list, m.text), append(want, m.want)
		}
		before := []string{"", " ", `"x":{"keys":[]},`, `"kty":"RSA",`, `"k":null,`, `"KEYS":[],`}[c.pick(6)]
		after := []string{"", "\n", `,"refresh":60`, `,"other":[{"n":"AQ"}]`}[c.pick(4)]
		document := "{" + before + `"keys":[` + strings.Join(list, ",") + "]" + after + "}"
		set, err := requireSound(t, []byte(document))
		if len(spoilt) > 0 { // of two faults, the first is named
			require.True(t, slices.ContainsFunc(spoilt, func(e error) bool { return errors.Is(err, e) }), "%v\n%s", err, document)
			require.NotContains(t, err.Error(), memberCanary)
			return
		}
		none, isNone := errors.AsType[*NoKeysError](err)
		if isNone {
			set = &Set{Skipped: none.Skipped}
		} else {
			require.NoError(t, err, document)
		}
		got, gotWeak := make([]Reason, len(list)), []Reason(nil)
		for _, s := range set.Skipped {
			got[s.Position] = s.Reason
		}
		for _, k := range set.Keys {
			if refusal, refused := errors.AsType[*KeyError](Judge(k)); refused {
				gotWeak = append(gotWeak, refusal.Reason)
			}
		}
		require.Equal(t, want, got, document)
		require.Equal(t, slices.Compact(slices.Sorted(slices.Values(weak))), slices.Compact(slices.Sorted(slices.Values(gotWeak))), document)
	})
}
