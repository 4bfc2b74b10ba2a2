package jwks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// counted counts what is asked of a source.
func counted(s Source, asked *atomic.Int32) Source {
	return Wrap(s, func(ctx context.Context, fetch func(context.Context) (*Set, error)) (*Set, error) {
		asked.Add(1)
		return fetch(ctx)
	})
}

func TestWrappedNomadBlocks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		var asked atomic.Int32
		watching(t, counted(n, &asked), WatchOptions{}, func(l *told) {
			l.take()
			time.Sleep(20 * time.Minute)
			assert.InDelta(t, 20*60/47, asked.Load(), 4, "each question is held")
			s.Region("").Rotate("EdDSA")
			synctest.Wait()
			assert.Equal(t, []string{published(s.Region(""))}, l.take(), "told at once")
			assert.Empty(t, l.take())
		})
	})
}

// What around makes of a set is told when it changes, and only then.
func TestWrapMayChangeTheSet(t *testing.T) {
	name := filepath.Join(t.TempDir(), "jwks.json")
	write := func(content string) { require.NoError(t, os.WriteFile(name, []byte(content), 0o600)) }
	write(keySet(rsaMember(0, fields{"kid": "k1"}), rsaMember(1, fields{"kid": "k2"})))
	synctest.Test(t, func(t *testing.T) {
		errBusy := errors.New("busy")
		var first atomic.Int32
		var fail atomic.Bool
		s := Wrap(File(name), func(ctx context.Context, fetch func(context.Context) (*Set, error)) (*Set, error) {
			set, err := fetch(ctx)
			if fail.Load() {
				return nil, errBusy
			}
			if err != nil {
				return nil, err
			}
			one := *set
			one.Keys = set.Keys[first.Load():][:1]
			return &one, nil
		})
		watching(t, s, WatchOptions{}, func(l *told) {
			assert.Equal(t, []string{"k1"}, l.take())
			time.Sleep(10 * time.Second)
			assert.Empty(t, l.take())
			assert.GreaterOrEqual(t, l.confirmed(), 3, "a file's pace")
			first.Store(1)
			time.Sleep(3 * time.Second)
			assert.Equal(t, []string{"k2"}, l.take(), "though the file is the same")
			write(`{"keys": []}`)
			time.Sleep(3 * time.Second)
			assert.Contains(t, l.take()[0], "the set is empty")
			time.Sleep(10 * time.Second)
			assert.Empty(t, l.take(), "the same refusal is told once")
			fail.Store(true)
			time.Sleep(3 * time.Second)
			assert.Contains(t, l.take()[0], "busy")
			fail.Store(false)
			write(keySet(rsaMember(0, fields{"kid": "k1"}), rsaMember(1, fields{"kid": "k2"})))
			time.Sleep(10 * time.Second)
			assert.Equal(t, []string{"k2"}, l.take())
		})
	})
}

// A source that doesn't change is read once, wrapped or not.
func TestWrapKeepsTheDigest(t *testing.T) {
	name := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(name, []byte(keySet(rsaMember(0, nil))), 0o600))
	var given []*Set
	p, ok := Wrap(File(name), func(ctx context.Context, fetch func(context.Context) (*Set, error)) (*Set, error) {
		set, err := fetch(ctx)
		given = append(given, set)
		return set, err
	}).(Poller)
	require.True(t, ok)
	a, err := p.Poll(t.Context(), Query{})
	require.NoError(t, err)
	require.NotNil(t, a.Set)
	b, err := p.Poll(t.Context(), Query{Digest: a.Digest})
	require.NoError(t, err)
	assert.Nil(t, b.Set)
	assert.Equal(t, a.Digest, b.Digest)
	assert.Same(t, given[0], given[1], "not read again")
	c, err := p.Poll(t.Context(), Query{}) // another watch
	require.NoError(t, err)
	assert.Same(t, given[0], c.Set)
}

func TestWrapOffersWhatTheSourceDoes(t *testing.T) {
	around := func(ctx context.Context, fetch func(context.Context) (*Set, error)) (*Set, error) { return fetch(ctx) }
	for name, test := range map[string]struct {
		source          Source
		polls, discover bool
	}{
		"Nomad":          {Nomad{Region: "r"}, true, true},
		"pointer":        {&Nomad{Region: "r"}, true, true},
		"issuer":         {Issuer("", nil), true, true},
		"URL":            {URL("", nil), true, false},
		"file":           {File("f"), true, false},
		"static":         {Static(""), false, false},
		"knows its iss":  {known{Static("")}, false, true},
		"wrapped itself": {Wrap(Nomad{Region: "r"}, around), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := Wrap(test.source, around)
			_, polls := w.(Poller)
			_, discover := w.(Discoverer)
			assert.Equal(t, test.polls, polls)
			assert.Equal(t, test.discover, discover)
			assert.Equal(t, test.source.RegionName(), w.RegionName())
		})
	}
}

type known struct{ Source }

func (known) Discover(context.Context) (Metadata, error) { return Metadata{Issuer: "x"}, nil }

// counting decorates each region of a federation.
type counting struct {
	Nomad
	asked *atomic.Int32
}

func (c counting) Source(region string) Source { return counted(c.Nomad.Source(region), c.asked) }

func TestFederationOfWrappedRegions(t *testing.T) {
	inBubble(t, func(t *testing.T, s *fakenomad.Server, n Nomad) {
		var asked atomic.Int32
		c := Cluster{Name: "a", Federation: counting{n, &asked}}
		for _, r := range FetchAll(t.Context(), []Cluster{c}, nil) {
			require.NoError(t, r.Err)
		}
		assert.EqualValues(t, 2, asked.Load())
		d, ok := c.Federation.Source("us-east").(Discoverer)
		require.True(t, ok)
		m, err := d.Discover(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Metadata{Nomad: true, Region: "us-east"}, m)
		watchingCluster(t, c, WatchOptions{}, func(l *told) {
			l.take()
			s.Region("us-east").Rotate("EdDSA")
			synctest.Wait()
			assert.Len(t, l.take(), 1, "held, so told at once")
		})
	}, "eu-west", "us-east")
}
