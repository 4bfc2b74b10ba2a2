package wait_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/wait"
)

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
