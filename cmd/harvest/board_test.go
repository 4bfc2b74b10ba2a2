package main

import (
	"errors"
	"fmt"
	"log/slog"
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
