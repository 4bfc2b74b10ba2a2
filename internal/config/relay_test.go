package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two names may be one directory, which a configuration alone doesn't show.
func TestTwoRelaysInOneDirectoryByALink(t *testing.T) {
	dir := t.TempDir()
	first, link, other := filepath.Join(dir, "real"), filepath.Join(dir, "link"), filepath.Join(dir, "other")
	require.NoError(t, os.Mkdir(first, 0o755))
	require.NoError(t, os.Mkdir(other, 0o755))
	require.NoError(t, os.Symlink("real", link))
	file := filepath.Join(dir, "harvest.hcl")
	configure := func(second string) []byte {
		src := []byte(fmt.Sprintf("cluster \"a\" { address = \"http://127.0.0.1:4646\" }\nrelay \"r\" {\n  clusters = [\"a\"]\n  dir = %q\n}\n"+
			"relay \"s\" {\n  clusters = [\"a\"]\n  dir = %q\n}\n", first, second))
		require.NoError(t, os.WriteFile(file, src, 0o600))
		return src
	}
	src := configure(link)
	_, err := Load(file)
	require.ErrorContains(t, err, file+`:6:1: relay "s": dir `+link+` is the directory of relay "r" by another name`)
	found := Check(t.Context(), file, src, Checking{Now: time.Now(), Getenv: os.Getenv})
	require.Len(t, found.Errors, 1)
	assert.Contains(t, found.Errors[0].Message, "by another name")
	assert.Equal(t, 8, found.Errors[0].Line)

	configure(other)
	_, err = Load(file)
	require.NoError(t, err)
}
