package relay

import (
	"encoding/json"
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
	if err == nil {
		err = refuseStrangers(info)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		_ = root.Close()
		return nil, err
	}
	return &directory{root}, nil
}

// refuseStrangers refuses a file or a directory that somebody else may write: they would choose
// whom others trust. As with the files of ssh, root and the user of this process may, and unlike
// there the group of this process: a volume of Kubernetes is written by way of its group. Windows
// has other permissions, of which its mode bits say nothing.
func refuseStrangers(info fs.FileInfo) error {
	const so = "and so choose whom others trust"
	user, group, known := ownersOf(info)
	mayWrite := func(bits fs.FileMode) bool { return runtime.GOOS != "windows" && info.Mode()&bits != 0 }
	switch {
	case mayWrite(0o002):
		return fmt.Errorf("every user of this machine may write it, %s: look at what it holds, then chmod o-w it", so)
	case known && user != 0 && user != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, who may write it, %s, and this harvest runs as user %d: run it as that user, or look at what it holds, then chown it",
			user, so, os.Geteuid())
	case known && mayWrite(0o020) && group != os.Getegid():
		return fmt.Errorf("group %d may write it, %s, and this harvest runs with group %d: look at what it holds, then chmod g-w it", group, so, os.Getegid())
	}
	return nil
}

// refuseStrangers is that of a name in the directory, where there is a file or a folder.
func (d *directory) refuseStrangers(name string) error {
	info, err := d.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return nil //nolint:nilerr // anyone who uses it says so
	}
	err = refuseStrangers(info)
	if err != nil && info.IsDir() { // of a file the caller says the name
		err = fmt.Errorf("its folder %s: %w", name, err)
	}
	return err
}

func (d *directory) close() { _ = d.root.Close() }

func (d *directory) has(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}

func (d *directory) read(name string) ([]byte, error) {
	for _, at := range []string{path.Dir(name), name} {
		if err := d.refuseStrangers(at); err != nil {
			return nil, err
		}
	}
	return files.Read(d.root, name, maxFile)
}

// removeDiscovery removes the discovery document of an issuer that the relay had, and leaves
// somebody else's.
func (d *directory) removeDiscovery() error {
	data, _ := d.read(discoveryFile) // nothing where it isn't there, or must not be
	var said struct {
		Issuer string `json:"issuer"`
	}
	if json.Unmarshal(data, &said) != nil || string(data) != string(discoveryOf(said.Issuer)) {
		return nil //nolint:nilerr // it isn't harvest's
	}
	return d.root.Remove(discoveryFile)
}

// replace replaces a file, and makes the folder that it is in.
func (d *directory) replace(name string, data []byte) error {
	if folder := path.Dir(name); folder != "." {
		err := d.root.Mkdir(folder, 0o755)
		if err == nil {
			err = d.root.Chmod(folder, 0o755) // whatever the umask: the documents are for all to read
		}
		if errors.Is(err, fs.ErrExist) {
			err = d.refuseStrangers(folder)
		}
		if err != nil {
			return err
		}
	}
	return files.Replace(d.root, name, data, false)
}
