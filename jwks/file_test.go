package jwks

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFile(t *testing.T) {
	set, err := File("testdata/nomad-docs.json").Fetch(t.Context())
	require.NoError(t, err)
	assert.Len(t, set.Keys, 1)

	tests := map[string]struct {
		name    string
		want    error
		message string
	}{
		"missing":   {"testdata/missing.json", fs.ErrNotExist, "testdata/missing.json"},
		"no name":   {"", fs.ErrNotExist, "key set: open"},
		"directory": {"testdata", nil, "is a directory"},
		"malformed": {"file.go", ErrMalformed, "file file.go"},
		"too large": {writeFile(t, "large.json", []byte(strings.Repeat(" ", MaxDocument+1))), ErrTooLarge, "large.json"},
		"endless":   {"/dev/zero", ErrTooLarge, "/dev/zero"},
		"private":   {"testdata/private-rsa.json", ErrPrivateKey, "private-rsa.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := File(test.name).Fetch(t.Context())
			require.ErrorContains(t, err, test.message)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := File("testdata/nomad-docs.json").Fetch(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}
