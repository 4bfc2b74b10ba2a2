package vaultsync

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

// A plan takes the verdicts that a sync had made before it read the mount, and makes those that
// are missing.
func TestPlanTakesVerdicts(t *testing.T) {
	want := onlyA(publish("a", "k1", "k2"), publish("a/r", "k3"), down("b"))
	known := want.judge(nil)
	require.Len(t, known, 2)
	known[want.Results[0].Set][0].refusal = &jwks.KeyError{Reason: jwks.ReasonSize}

	p, err := newPlan(config(), want, Options{Now: now}, circumstances{verdicts: known})
	require.NoError(t, err)
	assert.True(t, isOn(p.Skipped, "k1"), "the verdict that is known")
	assert.True(t, isOn(p.Add, "k2"))
	p, err = newPlan(config(), want, Options{Now: now}, circumstances{verdicts: verdicts{}})
	require.NoError(t, err)
	assert.Len(t, p.Add, 3)

	again := want.judge(known)
	assert.Equal(t, jwks.ReasonSize, again[want.Results[0].Set][0].refusal.Reason, "taken over")
	assert.Empty(t, onlyA().judge(known), "what is no longer desired is forgotten")
}
