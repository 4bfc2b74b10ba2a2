package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlanAlgorithmsOfAKey(t *testing.T) {
	p := planOf(t, elements(trust("a", "k0")), desired(publish("a", "k0"), publishAs("b", "k1", "RS384", "RS256", "PS256")), Rules{Now: now})
	require.Len(t, p.Add, 1)
	assert.Empty(t, p.Keep[0].Algorithms, "one is no list")
	assert.Equal(t, "RS384", p.Add[0].Algorithm)
	assert.Equal(t, []string{"RS384", "PS256", "RS256"}, p.Add[0].Algorithms)
	assert.Contains(t, strings.Join(p.Next, "\n"), ` alg="RS384" algs="PS256 RS256 RS384" `)
}

func TestSignsWith(t *testing.T) {
	for want, k := range map[string]Key{"[]": {}, "[RS256]": {Algorithm: "RS256"}, "[RS256 PS256]": {Algorithm: "RS256", Algorithms: []string{"RS256", "PS256"}}} {
		assert.Equal(t, want, fmt.Sprint(k.SignsWith()))
	}
}

// Of several owners of a key those are locked out whose logins are refused.
func TestPlanLocksOutOneOfTwoOwners(t *testing.T) {
	want := desired(publishAs("a", "k1", "RS256"), publishAs("b", "k1", "PS256"))
	p := planOf(t, elements(trust("a", "k1", signs("RS256"), also("b"))), want, Rules{Now: now, Algorithms: []string{"RS256"}})
	require.Len(t, p.LockedOut, 1)
	assert.Equal(t, "b", p.LockedOut[0][0].Cluster)
}

func TestPlanAlgorithmsAreASet(t *testing.T) {
	several := trust("a", "k1", signs("RS256", "PS256", "RS384"))
	landed := strings.Replace(strings.Replace(several, ` algs="PS256 RS256 RS384"`, "", 1), "\n", ` algs="PS256 RS256 RS384"`+"\n", 1)
	require.NotEqual(t, several, landed)
	for name, test := range map[string]struct {
		element   string
		published []string
		want      string // in the new element; "": it stays
	}{
		"same order":                           {several, []string{"RS256", "RS384", "PS256"}, ""},
		"another order":                        {several, []string{"PS256", "RS384", "RS256"}, ""},
		"kept by a harvest that knows no algs": {landed, []string{"RS256", "PS256", "RS384"}, ""},
		"one more":                             {several, []string{"RS256", "PS256", "RS384", "PS384"}, ` alg="RS256" algs="PS256 PS384 RS256 RS384" `},
		"the first is gone":                    {several, []string{"RS384", "PS256"}, ` alg="RS384" algs="PS256 RS384" `},
		"one is left":                          {several, []string{"RS384"}, ` alg="RS384" added`},
		"no longer named":                      {several, nil, ` alg="" added`},
		"was one":                              {trust("a", "k1", signs("RS256")), []string{"PS256", "RS256"}, ` alg="RS256" algs="PS256 RS256" `},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, elements(test.element), desired(publishAs("a", "k1", test.published...)), Rules{Now: now})
			if test.want == "" {
				assert.False(t, p.Changed)
				require.Len(t, p.Keep, 1)
				return
			}
			require.Len(t, p.Adopt, 1)
			assert.Equal(t, "kid or algorithm corrected", p.Adopt[0].Reason)
			assert.Contains(t, p.Next[0], test.want)
		})
	}
}
