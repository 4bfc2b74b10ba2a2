package plan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/pem"
)

// Element is one element of a list: see package pem.
type Element struct {
	Text        string // as it stands on the list
	Block       pem.Block
	Fingerprint pem.Fingerprint
	Opaque      bool // holds no key that can be read here: Block and Fingerprint are zero
}

// Read returns the elements of a list in their order.
func Read(list []string) []Element {
	var out []Element
	for _, text := range list {
		e := Element{Text: text}
		err := e.Block.UnmarshalText([]byte(text))
		if err == nil {
			e.Fingerprint, err = pem.FingerprintOf(e.Block.Public)
		}
		if err != nil {
			e = Element{Text: text, Opaque: true}
		}
		out = append(out, e)
	}
	return out
}

// Foreign reports whether the element belongs to nobody: it has no annotation, or can't be read.
func (e Element) Foreign() bool { return e.Opaque || e.Block.Annotation.IsZero() }

// Key returns the element's key as a plan shows it.
func (e Element) Key(reason string) Key {
	k := Key{Fingerprint: e.Fingerprint, Reason: reason, Public: e.Block.Public}
	a := e.Block.Annotation
	k.Owner, k.KeyID, k.Added = a.Owner(), a.KeyID, a.Added
	k.setAlgorithms(a.Algorithms)
	return k
}

// digest identifies a list by its elements, whatever their order.
func digest(list []Element) string {
	var texts []string
	for _, e := range list {
		texts = append(texts, e.Text)
	}
	slices.Sort(texts)
	b, _ := json.Marshal(texts) // of strings there is no error
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b))
}

// same reports whether two lists have the same elements, in whatever order: order alone is no
// reason to write.
func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
