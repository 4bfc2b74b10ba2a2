package plan

import (
	"slices"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
)

// Keys by name.
var (
	now           = fakekeys.Now
	publicKey     = fakekeys.Public
	weakKey       = fakekeys.Weak
	fingerprint   = fakekeys.Fingerprint
	fingerprintOf = fakekeys.FingerprintOf
	trust         = fakekeys.Trust
	added         = fakekeys.Added
	missing       = fakekeys.Missing
	adopted       = fakekeys.Adopted
	also          = fakekeys.Also
	paste         = fakekeys.Paste
	publish       = fakekeys.Publish
	down          = fakekeys.Down
	errDown       = fakekeys.ErrDown
	publishAs     = fakekeys.PublishAs
	signs         = fakekeys.Signs
)

func elements(list ...string) []Element { return Read(list) }

// desired wants what the results have, in their order.
func desired(results ...jwks.Result) Desired {
	want := Desired{Results: results}
	for _, r := range results {
		if !slices.Contains(want.Clusters, r.Cluster) {
			want.Clusters = append(want.Clusters, r.Cluster)
		}
	}
	return want
}
