package mountconfig

import (
	"time"

	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Trusted returns the keys of a configuration in the order of the list: those with an
// annotation by cluster and region, foreign ones without. An element that holds no key that
// can be read here has the zero fingerprint.
func (c Config) Trusted() []plan.Key {
	var out []plan.Key
	for _, t := range c.Elements() {
		reason := ""
		switch a := t.Block.Annotation; {
		case t.Opaque:
			reason = "not a key that can be read"
		case a.IsZero():
			reason = "no annotation"
		case a.Newer():
			reason = "annotated by a newer harvest"
		case a.Placeholder:
			reason = "stands in for an empty list: nobody can sign with it"
		case a.Adopted && !a.Missing.IsZero():
			reason = "adopted, and no longer published since " + a.Missing.Format(time.RFC3339)
		case !a.Missing.IsZero():
			reason = "no longer published; in its retention period"
		}
		out = append(out, t.Key(reason))
	}
	return out
}
