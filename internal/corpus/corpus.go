// Package corpus reads a table of hostile and odd key sets, each with what it must come to.
package corpus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Table is the name of the table, in the directory of its documents.
const Table = "corpus.txt"

// Plain is the transport of a document that is served as it should be.
const Plain = "plain"

// Verdicts.
const (
	Refuse = "refuse" // the document, whole
	Reject = "reject" // members that claim to be for signatures and must not be trusted
	Skip   = "skip"   // members that are none of our business
	Accept = "accept" // every member
)

// Case is one line of the table.
type Case struct {
	Line      int    // in the table, from 1
	Document  string // a file beside the table or, after "gen:", the name of a generated one
	Transport string
	Verdict   string
	// Reason is, of a refusal, the name of the error or a part of its message in quotes; of
	// skipped and rejected members, their jwks.Reason; "" of what is accepted.
	Reason string
	Lost   int // members that are skipped or rejected
	Kept   int // keys that are kept
	Why    string

	data []byte
}

// Name is the document and the transport.
func (c Case) Name() string { return c.Document + "/" + c.Transport }

// Generated reports whether the document is made, not read.
func (c Case) Generated() bool { return strings.HasPrefix(c.Document, "gen:") }

// Data is the document.
func (c Case) Data() []byte { return c.data }

var (
	columns = regexp.MustCompile(` {2,}`)
	verdict = regexp.MustCompile(`^(refuse|reject|skip|accept)(?: ("[^"]+"|\w+))?(?: x(\d+))?$`)
)

// Read returns the lines of the table in directory, with their documents.
func Read(directory string) ([]Case, error) {
	name := filepath.Join(directory, Table)
	table, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var cases []Case
	seen := map[string]int{}
	for i, text := range strings.Split(string(table), "\n") {
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		c, err := parse(text)
		if err == nil {
			c.Line = i + 1
			c.data, err = document(directory, c.Document)
		}
		if other, ok := seen[c.Name()]; err == nil && ok {
			err = fmt.Errorf("%s is on line %d already", c.Name(), other)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		seen[c.Name()] = c.Line
		cases = append(cases, c)
	}
	return cases, nil
}

func parse(text string) (Case, error) {
	cells := columns.Split(text, -1)
	if len(cells) != 5 {
		return Case{}, fmt.Errorf("%d columns, not 5", len(cells))
	}
	c := Case{Document: cells[0], Transport: cells[1], Why: cells[4]}
	words := verdict.FindStringSubmatch(cells[2])
	if words == nil {
		return c, fmt.Errorf("verdict %q", cells[2])
	}
	c.Verdict, c.Reason = words[1], words[2]
	if c.Verdict == Reject || c.Verdict == Skip {
		c.Lost = 1
	}
	var err error
	if words[3] != "" {
		if c.Lost, err = strconv.Atoi(words[3]); err != nil {
			return c, err
		}
	}
	if c.Kept, err = strconv.Atoi(cells[3]); err != nil {
		return c, err
	}
	switch {
	case (c.Verdict == Accept) != (c.Reason == ""):
		return c, fmt.Errorf("verdict %q: a reason for all but accept", cells[2])
	case (c.Verdict == Refuse) != (c.Kept == 0):
		return c, fmt.Errorf("verdict %q with %d keys", cells[2], c.Kept)
	case c.Why == "":
		return c, fmt.Errorf("no reason why")
	}
	return c, nil
}

// generated are documents too big, or too dull, to keep.
var generated = map[string]func() []byte{
	"at-limit":       func() []byte { return fill(1 << 20) },
	"over-limit":     func() []byte { return fill(1<<20 + 1) },
	"members-1000":   func() []byte { return members(999) },
	"members-1001":   func() []byte { return members(1000) },
	"members-100000": func() []byte { return members(99_999) },
	"deep-9000":      func() []byte { return deep(9_000) },
	"deep-11000":     func() []byte { return deep(11_000) },
	"deep-keys": func() []byte {
		return []byte(`{"keys":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + "}")
	},
	"kid-1MiB":   func() []byte { return keyID(1 << 20) },
	"kid-900KiB": func() []byte { return keyID(900 << 10) },
	"n-500KiB":   func() []byte { return withKey(`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 500<<10) + `"}`) },
	"e-500KiB": func() []byte {
		return withKey(`{"kty":"RSA","n":"` + strings.Repeat("_", 342) + `","e":"` + strings.Repeat("_", 500<<10) + `"}`)
	},
	"names-20000": func() []byte { return names(20_000) },
}

// key is the public key of RFC 8037 appendix A.2.
const key = `{"kty":"OKP","crv":"Ed25519","kid":"sibling","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

func document(directory, name string) ([]byte, error) {
	if short, ok := strings.CutPrefix(name, "gen:"); ok {
		generate := generated[short]
		if generate == nil {
			return nil, fmt.Errorf("no generator %q", short)
		}
		return generate(), nil
	}
	return os.ReadFile(filepath.Join(directory, filepath.Base(name)))
}

// withKey is a set of members and then a good key.
func withKey(members string) []byte { return []byte(`{"keys":[` + members + "," + key + "]}") }

func fill(size int) []byte {
	good := []byte(`{"keys":[` + key + "]}")
	return append(good, bytes.Repeat([]byte(" "), size-len(good))...)
}

func members(n int) []byte { return withKey(strings.TrimSuffix(strings.Repeat("{},", n), ",")) }

func deep(n int) []byte {
	return withKey(`{"kty":"x","x5c":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}")
}

func keyID(size int) []byte {
	return withKey(strings.Replace(key, "sibling", strings.Repeat("k", size), 1))
}

func names(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%d":0,`, i)
	}
	return []byte("{" + b.String() + `"keys":[` + key + "]}")
}
