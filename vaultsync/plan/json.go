package plan

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// maxDocument is how many bytes of JSON a plan may have that is read back.
const maxDocument = 32 << 20

// document is the documented form of a plan.
type document struct {
	Store    string    `json:"store,omitempty"`
	Made     time.Time `json:"made,omitzero"`
	Clusters []string  `json:"clusters,omitempty"`
	Base     string    `json:"base,omitempty"`
	Changed  bool      `json:"changed"`
	Add      []Key     `json:"add"`
	Adopt    []Key     `json:"adopt"`
	Keep     []Key     `json:"keep"`
	Remove   []Key     `json:"remove"`
	Claimed  []Key     `json:"claimed"`
	Foreign  []Key     `json:"foreign"`
	Skipped  []Key     `json:"skipped"`
	Failed   []failure `json:"failed"`
	Warnings []string  `json:"warnings"`
	Settings []Change  `json:"settings"`
	Next     []string  `json:"next,omitempty"`
}

type failure struct {
	pem.Owner
	Kept  int    `json:"kept"`
	Error string `json:"error"`
}

// MarshalJSON writes the documented form, with empty lists as []. It holds all that is needed to
// apply the plan, and may be read back: the elements that are new or annotated again, and a digest
// of each that stays.
func (p *Plan) MarshalJSON() ([]byte, error) {
	d := document{
		Store: p.Store, Made: p.Made, Clusters: p.Clusters, Base: p.Base, Changed: p.Changed,
		Add: list(p.Add), Adopt: list(p.Adopt), Keep: list(p.Keep), Remove: list(p.Remove), Claimed: list(p.Claimed),
		Foreign: list(p.Foreign), Skipped: list(p.Skipped), Failed: []failure{}, Warnings: list(p.Warnings),
		Settings: list(p.Settings), Next: p.stored,
	}
	for _, text := range p.Next {
		if !p.fresh[text] { // which is no business of a file's, whatever is in it
			text = reference(text)
		}
		d.Next = append(d.Next, text)
	}
	for _, f := range p.Failed {
		d.Failed = append(d.Failed, failure{f.Owner, f.Kept, f.Err.Error()})
	}
	return json.Marshal(d)
}

// list makes a nil slice an empty one, so that it is written as [].
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// UnmarshalJSON reads the documented form back, at most 32 MiB. Unknown fields are ignored. What it
// reads isn't trusted: it refuses a document without a base, such as a whole report, and lists of
// keys that don't fit the elements, and [Plan.Check] compares the plan with the rules when it is
// applied.
func (p *Plan) UnmarshalJSON(data []byte) error {
	if len(data) > maxDocument {
		return fmt.Errorf("plan: over %d bytes", maxDocument)
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if d.Base == "" {
		return errors.New("plan: not one mount's plan: it has no base")
	}
	read := Plan{
		Store: d.Store, Made: d.Made, Clusters: d.Clusters, Base: d.Base, Changed: d.Changed,
		Add: d.Add, Adopt: d.Adopt, Keep: d.Keep, Remove: d.Remove, Claimed: d.Claimed, Foreign: d.Foreign,
		Skipped: d.Skipped, Warnings: d.Warnings, Settings: d.Settings, stored: d.Next,
	}
	read.Emptied = len(d.Next) == 0 && len(d.Remove) > 0
	for _, f := range d.Failed {
		read.Failed = append(read.Failed, Failure{f.Owner, f.Kept, errors.New(f.Error)})
	}
	if err := read.matchElements(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	*p = read
	return nil
}

// reference stands for an element that is on the list already.
func reference(text string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
}

var isReference = regexp.MustCompile("^sha256:[0-9a-f]{64}$").MatchString

// identity is what a list of keys says of an element.
type identity struct {
	pem.Owner
	id string
	f  pem.Fingerprint
}

func identityOf(k Key) identity {
	plain := func(s string) string { return string([]rune(s)) } // as JSON has it, where it is no UTF-8
	return identity{pem.Owner{Cluster: plain(k.Cluster), Region: plain(k.Region)}, plain(k.KeyID), k.Fingerprint}
}

// matchElements refuses lists of keys that aren't those of the elements, as far as these are known,
// and gives the keys what the elements say of them.
func (p *Plan) matchElements() error {
	elements := p.Next
	if elements == nil {
		elements = p.stored
	}
	there, unknown := map[identity][]Key{}, 0
	for _, text := range elements {
		if isReference(text) {
			unknown++
			continue
		}
		k := Read([]string{text})[0].Key("")
		there[identityOf(k)] = append(there[identityOf(k)], k)
	}
	left := len(elements)
	for i, keys := range [][]Key{p.Add, p.Adopt, p.Keep, p.Claimed, p.Foreign} {
		for j, k := range keys {
			id := identityOf(k)
			switch written := there[id]; {
			case len(written) > 0:
				written[0].Reason = k.Reason
				keys[j], there[id] = written[0], written[1:]
			case i > 1 && unknown > 0: // it stays as it is
				unknown--
			default:
				return fmt.Errorf("key %s is on a list, and not among the elements that would be written", k)
			}
			left--
		}
	}
	if left > 0 {
		return fmt.Errorf("%d of the elements that would be written %s on no list", left, text.Form(left, "is", "are"))
	}
	return nil
}

// resolve puts elements of the list in the place of what refers to them.
func (p *Plan) resolve(current []Element) error {
	if p.stored == nil {
		return nil
	}
	texts := map[string]string{}
	for _, e := range current {
		texts[reference(e.Text)] = e.Text
	}
	p.Next, p.fresh = nil, map[string]bool{}
	for _, text := range p.stored {
		if isReference(text) {
			there, ok := texts[text]
			if !ok {
				return fmt.Errorf("%w: an element that is to stay is not there", ErrStale)
			}
			text = there
		} else {
			p.fresh[text] = true
		}
		p.Next = append(p.Next, text)
	}
	p.stored = nil
	return nil
}

// Holds reports whether a list is what it should be after the plan was carried out.
func (p *Plan) Holds(list []Element) bool {
	if p.Emptied {
		return len(list) == 1 && list[0].Block.Annotation.Placeholder
	}
	var want, has []string
	for _, text := range slices.Concat(p.Next, p.stored) {
		if !isReference(text) {
			text = reference(text)
		}
		want = append(want, text)
	}
	for _, e := range list {
		has = append(has, reference(e.Text))
	}
	return same(want, has)
}
