package terminal

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/jwks"
)

type slowSource struct{ d time.Duration }

func (slowSource) RegionName() string { return "" }

func (s slowSource) Fetch(ctx context.Context) (*jwks.Set, error) {
	select {
	case <-time.After(s.d):
		return &jwks.Set{Keys: []jwks.Key{{KeyID: "a"}}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestProgress(t *testing.T) {
	for name, test := range map[string]struct {
		first, second time.Duration
		width         int
		want          string
	}{
		"quick": {10 * time.Millisecond, 900 * time.Millisecond, 0, ""},
		"slow": {
			500 * time.Millisecond, 2500 * time.Millisecond, 80,
			"\r\x1b[Kwaiting for b (1 s)\r\x1b[Kwaiting for b (2 s)\r\x1b[K",
		},
		"narrow": {
			500 * time.Millisecond, 1500 * time.Millisecond, 15,
			"\r\x1b[Kwaiting… (1 s)\r\x1b[K",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w bytes.Buffer
				clusters := []jwks.Cluster{
					{Name: "a", Sources: []jwks.Source{slowSource{test.first}}}, {Name: "b", Sources: []jwks.Source{slowSource{test.second}}},
				}
				stop := Progress(&w, test.width, clusters)
				jwks.FetchAll(t.Context(), clusters, nil)
				stop()
				stop()
				assert.Equal(t, test.want, w.String())
			})
		})
	}
}
