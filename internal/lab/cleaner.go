package lab

import (
	"io"
	"os"
	"os/exec"
	"strconv"
)

// cleanScript waits for the end of its input, which comes when the server has been
// stopped or the test process has died, however it died. Then it gives the server $2 ten
// seconds to end, and removes what is left in its directory $1 and of it: the executors
// of Nomad's tasks, which are meant to outlive an agent, the tasks' secrets directories,
// which are mounts, and the files. A process is known by its working directory and its
// TMPDIR, for the directory's name is unique.
const cleanScript = `
cat >/dev/null
tries=0
while kill -0 "$2" 2>/dev/null && [ -d "/proc/$2" ] && [ $tries -lt 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
for p in /proc/[0-9]*; do
	case $(readlink "$p/cwd" 2>/dev/null) in
	"$1" | "$1"/*) kill -9 "${p#/proc/}" 2>/dev/null && continue ;;
	esac
	if tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -qxF "TMPDIR=$1"; then
		kill -9 "${p#/proc/}" 2>/dev/null
	fi
done
awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo 2>/dev/null |
	sort -r | while read -r point; do umount -l "$point"; done
rm -rf "$1"
`

// cleaner is a shell that outlives the test process to clean up after a server.
type cleaner struct {
	cmd *exec.Cmd
	in  io.Closer
}

func startCleaner(dir string, pid int) (*cleaner, error) {
	cmd := exec.Command("/bin/sh", "-c", cleanScript, "lab-cleaner", dir, strconv.Itoa(pid))
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = ownSession()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &cleaner{cmd, in}, nil
}

// clean returns when everything is gone. The server must have ended.
func (c *cleaner) clean() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}
