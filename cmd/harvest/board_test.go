package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/jwks"
)

// Regions come and go as a remote says: what is gone must not pile up.
func TestBoardForgetsRegions(t *testing.T) {
	b := newBoard(slog.New(slog.DiscardHandler), func(error) string { return "" })
	for i := range 100 {
		region := fmt.Sprintf("r%d", i)
		for _, err := range []error{errors.New("down"), jwks.ErrRegionGone} {
			b.result(jwks.Result{Cluster: "a", Region: region, Err: &jwks.ClusterError{Cluster: "a", Region: region, Err: err}}, time.Now())
		}
	}
	assert.Empty(t, b.sources)
	assert.Empty(t, b.errors)
}

// What isn't taken of a set is told when the set changes, not each time that it is read.
func TestBoardTellsOfSkippedKeysOnce(t *testing.T) {
	var log strings.Builder
	b := newBoard(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "" })
	r := jwks.Result{Cluster: "a", Set: &jwks.Set{Keys: []jwks.Key{{}}, Skipped: []*jwks.KeyError{{KeyID: "k1"}, {KeyID: "k2"}}}}
	b.result(r, time.Now())
	for range 3 {
		b.unchanged(r, time.Now())
	}
	assert.Equal(t, 2, strings.Count(log.String(), "key not taken"))
	b.result(r, time.Now())
	assert.Equal(t, 4, strings.Count(log.String(), "key not taken"))
}
