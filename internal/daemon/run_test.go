package daemon

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// A configuration that can't be read to its end holds the loop up for ten seconds, and no others.
func TestReloadOfWhatIsNeverReadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log fixture.Log
		d := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now})
		written := make(chan struct{})
		never := func() (*config.Config, error) {
			<-written
			return nil, errors.New("a mistake")
		}
		began := time.Now()
		d.reload(t.Context(), never)
		assert.Equal(t, maxRead, time.Since(began))
		assert.Contains(t, log.String(), "the configuration was not read within 10s: is it a pipe")
		log.Reset()
		d.reload(t.Context(), never)
		assert.Equal(t, maxRead, time.Since(began))
		assert.Contains(t, log.String(), "still being read since the last time")
		log.Reset()
		close(written)
		synctest.Wait()
		d.reload(t.Context(), never)
		assert.Contains(t, log.String(), "a mistake")
	})
}
