package contain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/contain"
)

func TestPanics(t *testing.T) {
	require.NoError(t, contain.Panics(func() error { return nil }))
	failed := errors.New("failed")
	require.ErrorIs(t, contain.Panics(func() error { return failed }), failed)

	for name, value := range map[string]any{"text": "out of order", "error": failed, "nil": nil, "long": strings.Repeat("x", 1<<20)} {
		err := contain.Panics(func() error { panic(value) })
		fault, ok := errors.AsType[*contain.Error](err)
		require.True(t, ok, name)
		assert.Contains(t, string(fault.Stack), "TestPanics")
		assert.Less(t, len(err.Error()), 400)
		assert.NotContains(t, err.Error(), "goroutine")
	}
}
