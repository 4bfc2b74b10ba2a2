package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func TestRunWithoutEffect(t *testing.T) {
	failed := errors.New("i/o timeout")
	ok, bad := jwks.Result{Set: &jwks.Set{}}, jwks.Result{Err: failed}
	for name, test := range map[string]struct {
		clusters []jwks.Result
		mounts   []*vaultsync.MountReport
		want     int
	}{
		"every cluster failed": {[]jwks.Result{bad, bad}, []*vaultsync.MountReport{{}}, exitNothing},
		"a key denied":         {[]jwks.Result{bad}, []*vaultsync.MountReport{{Plan: &plan.Plan{Changed: true}}}, exitOK},
		"every mount failed":   {[]jwks.Result{ok}, []*vaultsync.MountReport{{Err: failed}}, exitNothing},
		"some of each":         {[]jwks.Result{ok, bad}, []*vaultsync.MountReport{{Err: failed}, {}}, exitPartial},
	} {
		assert.Equal(t, test.want, outcome(&vaultsync.Report{Clusters: test.clusters, Mounts: test.mounts}), name)
	}
}
