package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// latency is that of each reply of a stand-in.
const latency = 50 * time.Millisecond

var manyClusters = []string{"1 cluster", "10 clusters", "100 clusters", "1,000 clusters"}

// scale measures the first sync of many clusters into many mounts.
func scale() *compare.Table {
	var s *standIns
	into := func(mounts int, sc scene, judge bool) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
			clusters := s.Clusters[:firstNumber(name)]
			hindered := sc.Hanging+sc.Failing > 0
			if hindered && len(clusters) <= 10*(sc.Hanging+sc.Failing)/2 {
				return nil, compare.ErrNotApplicable
			}
			if err := s.play(ctx, sc, false); err != nil {
				return nil, err
			}
			one := oneSync{Clusters: clusters, Vault: s.Vault, Token: "none", Mounts: mounts}
			before := 0 // writes
			if hindered {
				// As a mount in use is.
				for i := range mounts {
					if err := s.configure(ctx, one.mountName(i)); err != nil {
						return nil, err
					}
				}
				before = mounts
				// The hanging ones are among the last, of which only some are asked here.
				one.Clusters = s.Clusters[len(s.Clusters)-len(clusters):]
				one.Limit = 6 * time.Second // of which clusters have three quarters
			}
			if judge {
				one.Judged = len(clusters)
				if hindered {
					one.Judged = len(s.Clusters)
				}
			}
			measures, done, err := one.run(ctx, env)
			if err != nil {
				return nil, err
			}
			seen, err := s.seen(ctx)
			if err != nil {
				return nil, err
			}
			// A mount may be written again, for what came while its first write was under way.
			if done.Failed != sc.Hanging+sc.Failing || seen.Writes < before+mounts {
				return nil, fmt.Errorf("%w: %+v, %+v", errScene, done, seen)
			}
			measures["ns"] = float64(seen.LastWrite - done.Begin)
			measures["fetched-ns"] = float64(done.Fetched)
			measures["cpu-ns"] = float64(done.CPU)
			measures["conns"] = float64(seen.Connections)
			measures["requests"] = float64(seen.Requests)
			return measures, nil
		}
	}
	return &compare.Table{
		Name:  "scale",
		Title: "Many clusters, many mounts",
		Text: fmt.Sprintf("The first sync of a Harvester: each cluster publishes one RSA key and answers after %v, as does Vault; each is on one mount. "+
			"The time is until the last mount's write reached Vault: a round trip to the clusters, then to Vault for the mount, and for the write: the three that any such program needs. "+
			"512 clusters are asked at a time, and 64 mounts of a Vault are synced at a time: beyond these each as many more take a round trip as well. "+
			"With one cluster silent and ten out of order (on a mount that has a configuration already) the keys of all others are written half a second after the last answer, "+
			"without waiting for the silent one, which is given up after three quarters of the sync's time limit. "+
			"Keys that a process sees for the first time are judged before they are trusted, some milliseconds of CPU an RSA key: a row of its own. In the others they were judged before the clock starts, "+
			"as they are in a watch. "+
			"Clusters and Vault are a lean stand-in in a process of its own on the same machine.", latency),
		Metrics: []compare.Metric{
			{Unit: "ns", Name: "time to the last write"}, {Unit: "fetched-ns", Name: "to the last answer"}, {Unit: "cpu-ns", Name: "CPU"},
			{Unit: "peak-B", Name: "peak memory"}, {Unit: "conns", Name: "connections"}, {Unit: "requests", Name: "requests"},
		},
		Cases:     manyClusters,
		Curve:     "clusters",
		MaxRounds: 5,
		Contenders: []compare.Contender{
			{Name: "into 1 mount", Measure: into(1, scene{}, true)},
			{Name: "into 1 mount, new keys", Measure: into(1, scene{}, false)},
			{Name: "into 10 mounts", Measure: into(10, scene{}, true)},
			{Name: "into 100 mounts", Measure: into(100, scene{}, true)},
			{Name: "1 silent, 10 failing", Measure: into(1, scene{Hanging: 1, Failing: 10}, true)},
			{Name: "three round trips", Measure: func(ctx context.Context, env *compare.Env, _ string) (compare.Measures, error) {
				measures, done, err := oneSync{Clusters: s.Clusters, Vault: s.Vault, Requests: 3}.run(ctx, env)
				if err != nil {
					return nil, err
				}
				measures["ns"] = float64(done.Took)
				return measures, nil
			}},
		},
		Setup: func(ctx context.Context, env *compare.Env) (err error) {
			s, err = startStandIns(ctx, env, standInSettings{Clusters: 1000, Latency: latency})
			return err
		},
	}
}
