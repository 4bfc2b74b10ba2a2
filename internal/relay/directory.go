package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/jwksharvest/harvest/internal/files"
)

// maxFile bounds each file of a relay: more than a plan ever lets keys.pem grow to.
const maxFile = 2 << 20

// directory is a relay's. os.Root keeps every name within it, whatever links there are.
type directory struct{ root *os.Root }

// openDirectory opens a directory that is there. It isn't made: under a wrong name, or beneath a
// file system that isn't mounted, a relay would begin without knowing what it trusts.
func openDirectory(name string) (*directory, error) {
	root, err := os.OpenRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: make it, owned by the user of harvest: install -d -m 755 %s", err, name)
	}
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil && othersWrite(info) {
		err = fmt.Errorf("%s: every user of this machine may write it, and so choose whom others trust; chmod o-w it, or choose another directory", name)
	}
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &directory{root}, nil
}

// othersWrite reports whether anyone may write a file or a directory. Windows has other
// permissions, of which its mode bits say nothing.
func othersWrite(info fs.FileInfo) bool { return runtime.GOOS != "windows" && info.Mode()&0o002 != 0 }

func (d *directory) close() { _ = d.root.Close() }

func (d *directory) has(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}

func (d *directory) read(name string) ([]byte, error) {
	if info, err := d.root.Stat(name); err == nil && othersWrite(info) {
		return nil, errors.New("every user of this machine may write it, and so choose whom others trust: look at what it holds, then chmod o-w it")
	}
	return files.Read(d.root, name, maxFile)
}

// replace replaces a file, and makes the folder that it is in.
func (d *directory) replace(name string, data []byte) error {
	if folder := path.Dir(name); folder != "." {
		err := d.root.Mkdir(folder, 0o755)
		if err == nil {
			err = d.root.Chmod(folder, 0o755) // whatever the umask: the documents are for all to read
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return files.Replace(d.root, name, data, false)
}
