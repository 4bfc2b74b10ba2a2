package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/wait"
)

func TestMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.Sleep(20 * time.Second)
		most, cancel := wait.Most(ctx)
		defer cancel()
		deadline, ok := most.Deadline()
		assert.True(t, ok)
		assert.Equal(t, 30*time.Second, time.Until(deadline))

		most, cancel = wait.Most(t.Context())
		defer cancel()
		_, ok = most.Deadline()
		assert.False(t, ok)
	})
}

func TestWithin(t *testing.T) {
	value, err := wait.Within(t.Context(), func() (int, error) { return 7, nil })
	require.NoError(t, err)
	assert.Equal(t, 7, value)

	failed := errors.New("failed")
	_, err = wait.Within(t.Context(), func() (int, error) { return 7, failed })
	require.ErrorIs(t, err, failed)

	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	value, err = wait.Within(ctx, func() (int, error) {
		cancel()
		<-release
		return 7, nil
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, value)
}
