package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireSettled applies a plan, and checks that nothing is left to do: not later, when only a
// retention period may have ended, nor for a harvester with its clusters in another order.
func requireSettled(t *testing.T, p *Plan, s scene) {
	t.Helper()
	if p.Changed && s.rules.MaxSize > 0 {
		require.LessOrEqual(t, sizeOf(p.Next), max(s.rules.MaxSize-s.rules.Size, sizeOf(s.list)))
	}
	if p.Emptied {
		return
	}
	for _, later := range []time.Duration{0, time.Second, time.Hour, 1000 * time.Hour} {
		rules := s.rules
		rules.Now = rules.Now.Add(later)
		again, err := New(Read(p.Next), s.want, rules)
		if errors.Is(err, ErrLastKey) && later > 0 {
			continue
		}
		require.NoError(t, err)
		ended := slices.ContainsFunc(again.Remove, func(k Key) bool { return strings.HasPrefix(k.Reason, "no longer published since") })
		again.Adopt = slices.DeleteFunc(again.Adopt, func(k Key) bool { // its mark is cleared before its period ends
			cleared := later > 0 && k.Reason == "published again"
			ended = ended || cleared
			return cleared
		})
		require.True(t, !again.Changed || ended && later > 0, "changed %v later: %v", later, describe(again, allNames...))
		require.Empty(t, again.Add)
		require.Empty(t, again.Adopt)
		if len(s.rules.Pin) > 0 { // once no pinned key is published, what is left looks like a turnover
			continue
		}
		require.Equal(t, failures(p), failures(again), "what has failed, %v later", later)
	}
	want := s.want
	want.Clusters = slices.Clone(want.Clusters)
	slices.Reverse(want.Clusters)
	again := planOf(t, Read(p.Next), want, s.rules)
	require.False(t, again.Changed, "clusters in another order: %v", describe(again, allNames...))
}

func failures(p *Plan) []string {
	var out []string
	for _, f := range p.Failed {
		out = append(out, f.Cluster+"/"+f.Region)
	}
	return out
}
