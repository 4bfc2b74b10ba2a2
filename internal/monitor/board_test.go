package monitor

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Regions come and go as a remote says: what is gone must not pile up.
func TestBoardForgetsRegions(t *testing.T) {
	b := New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	for i := range 100 {
		region := fmt.Sprintf("r%d", i)
		for _, err := range []error{errors.New("down"), jwks.ErrRegionGone} {
			b.Result(jwks.Result{Cluster: "a", Region: region, Err: &jwks.ClusterError{Cluster: "a", Region: region, Err: err}}, time.Now())
		}
	}
	assert.Empty(t, b.sources)
	assert.Empty(t, b.errors)
}

// What isn't taken of a set is told when the set changes, not each time that it is read.
func TestBoardTellsOfSkippedKeysOnce(t *testing.T) {
	var log strings.Builder
	b := New(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "" })
	r := jwks.Result{Cluster: "a", Set: &jwks.Set{Keys: []jwks.Key{{}}, Skipped: []*jwks.KeyError{{KeyID: "k1"}, {KeyID: "k2"}}}}
	b.Result(r, time.Now())
	for range 3 {
		b.Unchanged(r, time.Now())
	}
	assert.Equal(t, 2, strings.Count(log.String(), "key not taken"))
	b.Result(r, time.Now())
	assert.Equal(t, 4, strings.Count(log.String(), "key not taken"))
}

// A set that is worth a thousand remarks doesn't flood the log.
func TestRemarksAreBounded(t *testing.T) {
	var all []string
	var skipped []*jwks.KeyError
	for i := range MaxRemarks + 7 {
		all = append(all, fmt.Sprintf("remark %d\x1b", i))
		skipped = append(skipped, &jwks.KeyError{Position: i, Reason: jwks.ReasonSize})
	}
	report := &vaultsync.MountReport{MountID: vaultsync.MountID{Vault: "v", Path: "p"}, Plan: &plan.Plan{Warnings: all}}
	var log strings.Builder
	b := New(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "" })
	b.Expect(map[vaultsync.MountID]Expected{{Vault: "v", Path: "p"}: {[]string{"us-east"}, "v"}})
	b.Report(report, now)
	b.Report(report, now)
	b.Result(jwks.Result{Cluster: "us-east", Set: &jwks.Set{
		Keys: []jwks.Key{{}}, Warnings: all, Skipped: skipped,
	}}, now)
	for _, message := range []string{"remark on the mount", "remark on the key set", "key not taken"} {
		assert.Equal(t, MaxRemarks+1, strings.Count(log.String(), fmt.Sprintf("msg=%q", message)), message)
		assert.Regexp(t, fmt.Sprintf("msg=%q.* more=7 ", message), log.String())
	}
}

// A page doesn't go on saying that a mount can't be written once it can.
func TestBoardForgetsThatAMountCouldNotBeWritten(t *testing.T) {
	b := New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	id := vaultsync.MountID{Vault: "v", Path: "p"}
	b.Expect(map[vaultsync.MountID]Expected{id: {[]string{"us-east"}, "v"}})
	b.Event(vaultsync.Event{Mount: id, Kind: vaultsync.EventUnwritable, Err: vaultsync.ErrForbidden}, now)
	assert.Len(t, b.Facts(now).Mounts[0].Problems, 1)
	b.Event(vaultsync.Event{Mount: id, Kind: vaultsync.EventWritable}, now)
	assert.Empty(t, b.Facts(now).Mounts[0].Problems)
}
