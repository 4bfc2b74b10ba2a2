// Package vaultsync keeps the keys that a Vault JWT auth mount trusts, its
// jwt_validation_pubkeys, equal to the keys that Nomad clusters publish.
//
// A [Harvester] does so for clusters and mounts, once ([Harvester.Sync]) or whenever a cluster
// changes ([Harvester.Watch]):
//
//	h := vaultsync.Harvester{
//		Clusters: []jwks.Cluster{{
//			Name: "us-east", Sources: []jwks.Source{jwks.Nomad{Address: "https://nomad:4646"}},
//		}},
//		Targets: []vaultsync.Target{{
//			Mount: vaultsync.NewMount(client, "jwt-nomad"), Clusters: []string{"us-east"},
//		}},
//	}
//	report, err := h.Sync(ctx) // without an error everything is in sync
//
// A [Mount] can be planned and synced by itself, with keys from anywhere ([Mount.Plan],
// [Mount.Sync]), and a plan can be reviewed before it is written ([Options.Review]), or stored and
// applied later ([Mount.Apply]). A plan is a pure function of what was read ([plan.New]). It is
// written by a protocol that several harvesters can follow on one mount at the same time.
//
// Only keys with an annotation of this configuration's clusters are changed or removed (see package
// pem for the annotation). Other harvesters' keys stay. Keys without an annotation belong to
// nobody, and stay unless Options.Foreign says otherwise. A cluster that can't be read keeps all
// its keys.
package vaultsync
