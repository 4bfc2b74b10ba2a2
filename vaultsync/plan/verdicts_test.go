package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

// A plan takes the verdicts that a sync had made before it read the mount, and makes those that
// are missing.
func TestPlanTakesVerdicts(t *testing.T) {
	want := Desired{[]string{"a"}, []jwks.Result{publish("a", "k1", "k2"), publish("a/r", "k3"), down("b")}}
	known := want.Judge(nil)
	require.Len(t, known, 2)
	known[want.Results[0].Set][0].refusal = &jwks.KeyError{Reason: jwks.ReasonSize}

	p, err := New(nil, want, Rules{Now: now, Verdicts: known})
	require.NoError(t, err)
	require.Len(t, p.Skipped, 1, "the verdict that is known")
	assert.Equal(t, fingerprint("k1"), p.Skipped[0].Fingerprint)
	assert.Len(t, p.Add, 2)
	p, err = New(nil, want, Rules{Now: now})
	require.NoError(t, err)
	assert.Len(t, p.Add, 3)

	again := want.Judge(known)
	assert.Equal(t, jwks.ReasonSize, again[want.Results[0].Set][0].refusal.Reason, "taken over")
	assert.Empty(t, Desired{}.Judge(known), "what is no longer desired is forgotten")
}
