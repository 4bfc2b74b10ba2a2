package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

// onFullDisk syncs a mount, fills the file system of the metrics, syncs another mount, makes
// room, and syncs once more. $1 are the file system's options, $2 fills it.
const onFullDisk = `
mount -t tmpfs -o "$1" none disk || exit 77
sync() { harvest sync -cluster us-east -mount "$1" -settle 200ms -metrics-textfile disk/harvest.prom; echo "exit code $?"; }
sync first && cp disk/harvest.prom before
eval "$2" 2>/dev/null
sync second
cmp before disk/harvest.prom && echo unchanged
ls -A disk | grep -v filler
rm disk/filler*
sync second
grep -c '^harvest_sync_last_success.*"second"' disk/harvest.prom
`

// TestTextfileDiskFull: on a file system that is full, of bytes or of files, the old file
// stays as it was, nothing is left beside it, the message and the exit code say so, and the
// sync itself is done. With room again, the next run writes the file.
func TestTextfileDiskFull(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, test := range map[string]struct{ options, fill string }{
		"bytes": {"size=64k", "dd if=/dev/zero of=disk/filler bs=1k count=100"},
		"files": {"nr_inodes=4", "touch disk/filler disk/filler2"},
	} {
		t.Run(name, func(t *testing.T) {
			nomad, vault := fakenomad.New(t), fakevault.New(t)
			vault.Enable("", "first", "jwt")
			vault.Enable("", "second", "jwt")
			cmd := exec.Command("sh", "-c", onFullDisk, "sh", test.options, test.fill)
			cmd.Dir = t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(cmd.Dir, "disk"), 0o755))
			cmd.Env = append(os.Environ(), "VAULT_ADDR="+vault.URL, "VAULT_TOKEN="+fakevault.RootToken, "NOMAD_ADDR="+nomad.URL)
			cmd.SysProcAttr = &syscall.SysProcAttr{ // so that mount is permitted, and seen by nobody else
				Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
				UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
			}
			out, err := cmd.CombinedOutput()
			exit := new(exec.ExitError)
			if err != nil && !errors.As(err, &exit) || exit.ProcessState != nil && exit.ExitCode() == 77 {
				t.Skipf("no file system to fill: %v\n%s", err, out)
			}
			require.NoError(t, err, "%s", out)
			assert.Regexp(t, `(?s)`+
				`1 added\.\n+exit code 0\n`+
				`.*1 added\.\n.*harvest: -metrics-textfile: the old file stays, if there is one: .*: no space left on device\nexit code 1\n`+
				`unchanged\nharvest\.prom\n`+
				`.*Nothing to change; 1 kept.*exit code 0\n1\n$`, string(out))
			assert.Len(t, vault.Keys("", "second"), 1)
		})
	}
}
