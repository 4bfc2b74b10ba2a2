package vaultsync

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/jwks"
)

// record is a log.
type record struct{ fixture.Log }

func (r *record) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(r, nil)) }

// target returns what the stage holds of a mount.
func (s *stage) target(path string) *Target {
	for i := range s.harvest.Targets {
		if s.harvest.Targets[i].Mount.Path == path {
			return &s.harvest.Targets[i]
		}
	}
	return nil
}

// fail makes each sync and each plan of a mount panic.
func (s *stage) fail(path string, broken *bool, log *record) {
	target := s.target(path)
	target.Options.Logger = log.logger()
	target.Mount.Client.SetCheckRetry(func(context.Context, *http.Response, error) (bool, error) {
		if *broken {
			panic("out of order: " + target.Mount.Client.Token())
		}
		return false, nil
	})
}

// The panic of one mount is its error, and nobody else's.
func TestSyncContainsPanics(t *testing.T) {
	for name, run := range map[string]func(*Harvester, context.Context) (*Report, error){"Sync": (*Harvester).Sync, "Plan": (*Harvester).Plan} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			var log record
			broken := true
			s.fail("only-a", &broken, &log)
			report, err := run(s.harvest, t.Context())
			require.Error(t, err)
			for _, m := range report.Mounts {
				assert.Equal(t, m.Path == "only-a", m.Err != nil, "%s: %v", m.Path, m.Err)
			}
			failed, ok := errors.AsType[*MountError](err)
			require.True(t, ok)
			assert.Equal(t, "only-a", failed.Path)
			require.ErrorContains(t, failed, "out of order")
			require.ErrorAs(t, failed, new(*contain.Error))
			token := s.target("only-a").Mount.Client.Token()
			assert.NotContains(t, err.Error(), token)
			assert.NotContains(t, err.Error(), "goroutine")
			assert.Contains(t, log.String(), "contain_test.go")
			assert.NotContains(t, log.String(), "out of order: "+token)
		})
	}
}

func TestWatchContainsPanics(t *testing.T) {
	for name, arrange := range map[string]func(s *stage, o *WatchOptions, fault func()){
		"OnEvent": func(s *stage, _ *WatchOptions, fault func()) {
			s.target("only-a").Options.OnEvent = func(Event) { fault() }
		},
		"of all mounts": func(s *stage, _ *WatchOptions, fault func()) {
			hear := s.harvest.OnEvent
			s.harvest.OnEvent = func(e Event) {
				if e.Mount.Path == "only-a" {
					fault()
				}
				hear(e)
			}
		},
		"of a cluster": func(s *stage, _ *WatchOptions, fault func()) {
			s.harvest.OnEvent = func(e Event) {
				if e.Cluster == "a" && e.Mount == (MountID{}) {
					fault()
				}
			}
		},
		"sync": func(s *stage, _ *WatchOptions, fault func()) {
			s.target("only-a").Mount.Client.SetCheckRetry(func(context.Context, *http.Response, error) (bool, error) {
				fault()
				return false, nil
			})
		},
	} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			var log record
			for i := range s.harvest.Targets {
				s.harvest.Targets[i].Options.Logger = log.logger()
			}
			o := s.options()
			var fixed atomic.Bool
			arrange(s, &o, func() {
				if !fixed.Load() {
					panic("out of order")
				}
			})
			s.watching(o, func() {
				s.requireTrusted("only-b", "b")
				s.requireTrusted("both", "a", "b")
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				assert.Contains(t, log.String(), `"msg":"panic"`)
				assert.Contains(t, log.String(), "contain_test.go")
				fixed.Store(true)
				s.nomads["a"].Region("").Rotate("EdDSA")
				time.Sleep(2 * time.Minute)
				s.requireTrusted("only-a", "a")
				s.requireTrusted("both", "a", "b")
			})
		})
	}
}

// faultySource is a source of the caller's making.
type faultySource struct {
	good   jwks.Source
	broken *atomic.Bool
}

func (faultySource) RegionName() string { return "" }

func (s faultySource) Fetch(ctx context.Context) (*jwks.Set, error) {
	if s.broken != nil && s.broken.Load() {
		panic("out of order")
	}
	return s.good.Fetch(ctx)
}

// The panic of a source is its error: its keys stay, and it is asked again.
func TestSourcePanics(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		var broken atomic.Bool
		broken.Store(true)
		s.harvest.Clusters[0].Sources = []jwks.Source{faultySource{s.source("a"), &broken}}
		var log record
		s.target("both").Options.Logger = log.logger()
		report, err := s.harvest.Sync(t.Context())
		require.ErrorAs(t, err, new(*contain.Error))
		require.Error(t, report.Clusters[0].Err)
		require.NoError(t, report.Clusters[1].Err)
		assert.Equal(t, 1, strings.Count(log.String(), "faultySource"), "the stack")
		s.requireTrusted("both", "b")

		s.watching(s.options(), func() {
			s.requireTrusted("both", "b")
			broken.Store(false)
			time.Sleep(2 * time.Minute)
			s.requireTrusted("both", "a", "b")
			broken.Store(true)
			time.Sleep(10 * time.Minute)
			s.requireTrusted("both", "a", "b")
		})
	})
}
