package main

import (
	"context"
	"fmt"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// steadyClusters is how many clusters there are in all.
const steadyClusters = 60

// steady measures a sync that finds nothing to do, which nearly all are.
func steady() *compare.Table {
	var s *standIns
	t := &compare.Table{
		Name:  "steady",
		Title: "A sync with nothing to do",
		Text: fmt.Sprintf("A sync in a process of its own, as from cron: as many clusters with one RSA key, each on a mount of its own; each reply takes %v. "+
			"The first line leaves out what judging the keys takes, as in a process that has judged them before; the second has it. "+
			"It is one request for each region and one for each mount, which the run makes sure of. "+
			"The floor is two plain requests, one after the other. "+
			"The bytes are those of the replies' bodies.", latency),
		Metrics: []compare.Metric{
			{Unit: "ns", Name: "time"}, {Unit: "requests", Name: "requests"}, {Unit: "conns", Name: "connections"}, {Unit: "sent-B", Name: "replies"},
			{Unit: "B", Name: "allocated"}, {Unit: "allocs", Name: "allocations"}, {Unit: "cpu-ns", Name: "CPU"}, {Unit: "peak-B", Name: "peak memory"},
		},
		Cases:     []string{"1 region, 1 mount", "10 regions, 10 mounts", "60 regions, 60 mounts"},
		MaxRounds: 5,
		Setup: func(ctx context.Context, env *compare.Env) (err error) {
			s, err = startStandIns(ctx, env, standInSettings{Clusters: steadyClusters, Latency: latency})
			return err
		},
	}
	measured := func(ctx context.Context, env *compare.Env, one oneSync) (compare.Measures, tally, error) {
		if err := s.play(ctx, scene{}, true); err != nil {
			return nil, tally{}, err
		}
		measures, done, err := one.run(ctx, env)
		if err != nil {
			return nil, tally{}, err
		}
		seen, err := s.seen(ctx)
		measures["ns"], measures["B"], measures["allocs"] = float64(done.Took), float64(done.Allocated), float64(done.Allocs)
		measures["cpu-ns"] = float64(done.CPU)
		measures["requests"], measures["conns"], measures["sent-B"] = float64(seen.Requests), float64(seen.Connections), float64(seen.Sent)
		return measures, seen, err
	}
	harvest := func(judged int) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
			n := firstNumber(name)
			one := oneSync{Clusters: s.Clusters[len(s.Clusters)-n:], Vault: s.Vault, Token: "none", Mounts: n, Judged: judged}
			if err := s.play(ctx, scene{}, false); err != nil {
				return nil, err
			}
			if _, _, err := one.run(ctx, env); err != nil {
				return nil, err
			}
			measures, seen, err := measured(ctx, env, one)
			if err == nil && (seen.Requests != 2*n || seen.Reads != n || seen.Writes != 0) {
				err = fmt.Errorf("%w: %+v for %d regions and as many mounts", errScene, seen, n)
			}
			return measures, err
		}
	}
	t.Contenders = []compare.Contender{
		{Name: "harvest", Measure: harvest(steadyClusters)},
		{Name: "harvest, judging as well", Measure: harvest(0)},
		{Name: "two requests", Measure: func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
			if name != t.Cases[0] {
				return nil, compare.ErrNotApplicable
			}
			measures, _, err := measured(ctx, env, oneSync{Clusters: s.Clusters, Vault: s.Vault, Requests: 2})
			return measures, err
		}},
	}
	return t
}
