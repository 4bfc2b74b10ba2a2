// Package keydir has published keys as PEM, and keeps a directory with a file for each, where it
// touches nobody else's files.
package keydir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/files"
	"github.com/jwksharvest/harvest/pem"
)

// Manifest is the file of a directory that names harvest's own files, each with the SHA-256 of what
// it may hold; so the keys' files are pure PEM, which some readers insist on. A file that it
// doesn't name, or that was changed since, isn't harvest's: it is neither overwritten nor removed.
const Manifest = ".harvest-keys.json"

// Bounds on what is read of a directory.
const (
	maxManifest = 4 << 20
	maxKeyFile  = 64 << 10
)

type manifest struct {
	Version int                 `json:"version"` // 1
	Files   map[string][]string `json:"files"`   // two digests while a file is being replaced
}

// Change is what became of a file.
type Change string

// Changes.
const (
	Written Change = "written" // made or replaced
	Removed Change = "removed" // its key is gone
	Left    Change = "left"    // its key is gone, and the file was changed since: it stays
)

// directory is one that is written. os.Root keeps every name within it, whatever links there are.
type directory struct {
	root  *os.Root
	path  string
	owned manifest
}

// open opens a directory, made if it isn't there, and reads its manifest.
func open(path string) (*directory, error) {
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &directory{root: root, path: path}
	if err := d.readManifest(); err != nil {
		_ = root.Close()
		return nil, err
	}
	return d, nil
}

func (d *directory) close() { _ = d.root.Close() }

func (d *directory) readManifest() error {
	data, err := files.Read(d.root, Manifest, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		d.owned = manifest{Version: 1, Files: map[string][]string{}}
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &d.owned)
	}
	if err == nil && d.owned.Version != 1 {
		err = fmt.Errorf("version %d; a newer harvest wrote it", d.owned.Version)
	}
	if err != nil {
		return fmt.Errorf("%s: its manifest %s can't be used: %w; remove it if harvest may start afresh", d.path, Manifest, err)
	}
	for name := range d.owned.Files {
		if !isKeyFile(name) {
			return fmt.Errorf("%s: its manifest names %q, which harvest never writes", d.path, name)
		}
	}
	if d.owned.Files == nil {
		d.owned.Files = map[string][]string{}
	}
	return nil
}

// isKeyFile reports whether name is one that fileNames makes.
func isKeyFile(name string) bool {
	return strings.HasSuffix(name, keyFileSuffix) && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, `/\`)
}

// state returns what a file holds, and reports whether there is one and whether harvest wrote it.
func (d *directory) state(name string) (data []byte, exists, owned bool) {
	data, err := files.Read(d.root, name, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, false
	}
	if err != nil {
		return nil, true, false
	}
	return data, true, slices.Contains(d.owned.Files[name], digest(data))
}

// replace writes a file whole or not at all: a reader sees the old one or the new one.
func (d *directory) replace(name string, data []byte) error {
	if err := files.Replace(d.root, name, data, true); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(d.path, name), err)
	}
	return nil
}

func (d *directory) writeManifest() error {
	data, err := json.MarshalIndent(d.owned, "", "  ")
	if err != nil {
		return err
	}
	return d.replace(Manifest, append(data, '\n'))
}

// Write makes the directory at path, made if it isn't there, hold a file for each key, and removes
// those that harvest wrote for others, unless keep is set. Where a file of somebody else is in the
// way, nothing is written. tell hears of each change, and of the file's path.
func Write(path string, keys []Key, keep bool, tell func(c Change, file string)) error {
	d, err := open(path)
	if err != nil {
		return err
	}
	defer d.close()
	changed, err := d.changes(keys)
	if err != nil {
		return err
	}
	var gone []string
	if !keep {
		gone = d.gone(keys)
	}
	if len(changed) == 0 && len(gone) == 0 {
		return nil
	}
	// The manifest is ahead of the files, so that a run cut short leaves none behind that the
	// next one takes for somebody else's.
	for name, data := range changed {
		d.owned.Files[name] = append(d.owned.Files[name], digest(data))
	}
	if err := d.writeManifest(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if err := d.replace(name, changed[name]); err != nil {
			return err
		}
		d.owned.Files[name] = []string{digest(changed[name])}
		tell(Written, filepath.Join(path, name))
	}
	for _, name := range gone {
		change, err := d.remove(name)
		if err != nil {
			return err
		}
		if change != "" {
			tell(change, filepath.Join(path, name))
		}
	}
	return d.writeManifest()
}

// gone returns the files of harvest's whose keys are gone.
func (d *directory) gone(keys []Key) []string {
	wanted := fileNames(keys)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.owned.Files)), func(name string) bool { return slices.Contains(wanted, name) })
}

// changes returns the files to write, by name. It refuses to touch somebody else's.
func (d *directory) changes(keys []Key) (map[string][]byte, error) {
	changed := map[string][]byte{}
	var foreign []string
	for i, name := range fileNames(keys) {
		data, exists, owned := d.state(name)
		same := exists && sameKey(data, keys[i])
		switch {
		case same && owned:
		case same: // put there by hand, or by a run that was cut short: taken over as it is
			changed[name] = data
		case !exists, owned:
			changed[name] = keys[i].Text
		default:
			foreign = append(foreign, name)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return nil, fmt.Errorf("%s: %s not written by harvest, or changed since: nothing was written; move it away, or choose another directory",
			d.path, strings.Join(foreign, ", "))
	}
	return changed, nil
}

// sameKey reports whether a file holds the key already. The day it was added stays.
func sameKey(data []byte, k Key) bool {
	var b pem.Block
	if b.UnmarshalText(data) != nil || b.Fingerprint() != k.Block.Fingerprint() {
		return false
	}
	b.Annotation.Added = k.Block.Annotation.Added
	text, err := b.MarshalText()
	return err == nil && string(text)+"\n" == string(k.Text)
}

// remove removes a file that harvest wrote. One that was changed since stays, and is harvest's no
// longer. The change is "" where there was no file.
func (d *directory) remove(name string) (Change, error) {
	_, exists, owned := d.state(name)
	delete(d.owned.Files, name)
	switch {
	case !exists:
		return "", nil
	case !owned:
		return Left, nil
	}
	return Removed, d.root.Remove(name)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
