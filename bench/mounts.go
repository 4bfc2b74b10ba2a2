package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/bench/internal/compare"
	"github.com/jwksharvest/harvest/internal/lab"
)

// mounts measures how fast a real Vault takes the keys of many mounts.
func mounts() *compare.Table {
	var s *standIns
	vaults := map[bool]*lab.Vault{}
	runs := 0
	on := func(raft bool) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
			runs++
			v, n := vaults[raft], firstNumber(name)
			one := oneSync{Clusters: s.Clusters, Vault: v.Address, Token: v.RootToken, Mounts: n, Prefix: fmt.Sprintf("run-%d-", runs)}
			for i := range n {
				if err := v.Client().Sys().EnableAuthWithOptionsWithContext(ctx, one.mountName(i), &api.EnableAuthOptions{Type: "jwt"}); err != nil {
					return nil, err
				}
			}
			measures, first, err := one.run(ctx, env)
			if err != nil {
				return nil, err
			}
			_, second, err := one.run(ctx, env)
			if err != nil {
				return nil, err
			}
			if first.Failed+second.Failed > 0 || first.Trusted == 0 || second.Trusted != 0 {
				return nil, fmt.Errorf("%w: %+v, then %+v", errScene, first, second)
			}
			measures["ns"], measures["again-ns"] = float64(first.Trusted), float64(second.Took)
			return measures, nil
		}
	}
	return &compare.Table{
		Name:  "mounts",
		Title: "Many mounts of a real Vault",
		Text: "The first sync of 10 clusters with one key each into many mounts of one Vault, in memory and on Raft (integrated storage, one node), " +
			"until the last mount trusts its keys; and the sync after it, which finds nothing to do. Clusters, harvest and Vault share one machine.",
		Metrics: []compare.Metric{
			{Unit: "ns", Name: "until the last is written"}, {Unit: "again-ns", Name: "nothing to do"}, {Unit: "cpu-ns", Name: "CPU"}, {Unit: "peak-B", Name: "peak memory"},
		},
		Cases:      []string{"1 mount", "10 mounts", "100 mounts"},
		Curve:      "mounts",
		MaxRounds:  5,
		Contenders: []compare.Contender{{Name: "in memory", Measure: on(false)}, {Name: "Raft", Measure: on(true)}},
		Setup: func(ctx context.Context, env *compare.Env) (err error) {
			for _, raft := range []bool{false, true} {
				if vaults[raft], err = startVault(ctx, env, lab.VaultOptions{Raft: raft}); err != nil {
					return err
				}
			}
			s, err = startStandIns(ctx, env, standInSettings{Clusters: 10})
			return err
		},
	}
}
