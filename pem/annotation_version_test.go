package pem

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An annotation that was made by hand, without a version, is written as the current one.
func TestAnnotationWithoutVersionIsWritten(t *testing.T) {
	for line, a := range map[string]Annotation{
		`harvest/1 cluster="a" region="" kid="" alg=""`: {Cluster: "a"},
		`harvest/1 placeholder="true"`:                  {Placeholder: true},
	} {
		assert.False(t, a.IsZero())
		text, err := a.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, line, string(text))
		var read Annotation
		require.NoError(t, read.UnmarshalText(text))
		assert.Equal(t, Version, read.Version)
	}
	assert.True(t, Annotation{}.IsZero())
	_, err := Annotation{}.MarshalText()
	require.Error(t, err)
	_, err = Annotation{Version: 2, Cluster: "a"}.MarshalText()
	require.Error(t, err)
}
