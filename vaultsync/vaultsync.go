// Package vaultsync keeps the keys that a Vault JWT auth mount trusts, its
// jwt_validation_pubkeys, equal to the keys that Nomad clusters publish.
//
// [Sync] does so for one cluster and one mount:
//
//	set, err := jwks.Nomad{Address: "https://nomad.example.com:4646"}.Fetch(ctx)
//	…
//	report, err := vaultsync.Sync(ctx, vaultsync.NewMount(client, "jwt-nomad"), "us-east", set, vaultsync.Options{})
//
// A [Harvester] does it for many clusters and many mounts, once ([Harvester.Sync]) or whenever
// a cluster changes ([Harvester.Watch]). All of them plan with [NewPlan], a pure
// function, and apply the plan with a protocol that several harvesters can follow at once
// on one mount ([Mount.Sync]).
//
// Only keys with an annotation of this configuration's clusters are changed or removed (see
// package pem for the annotation). Other harvesters' keys are theirs, and keys without an
// annotation are nobody's and stay until told otherwise. A cluster that can't be read keeps
// all its keys.
package vaultsync

import (
	"context"

	"github.com/jwksharvest/harvest/jwks"
)

// Sync makes the mount trust the set for the cluster, as [Mount.Sync] does. The set is that
// of the cluster's only region. Keys that the mount trusts for other clusters stay.
//
// The error is a *[jwks.ClusterError] that wraps [ErrTurnover] where none of the set's keys is
// trusted already, or a *[MountError].
func Sync(ctx context.Context, m *Mount, cluster string, set *jwks.Set, o Options) (*Report, error) {
	report := &Report{Clusters: []jwks.Result{{Cluster: cluster, Set: set}}}
	mount, _ := m.Sync(ctx, Desired{Clusters: []string{cluster}, Results: report.Clusters}, o)
	report.Mounts = []*MountReport{mount}
	return report, report.Err()
}
