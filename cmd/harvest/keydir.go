package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/pem"
)

// manifestName is the file of a -out directory that says which files are harvest's: their
// names, each with the SHA-256 of what they may hold. The keys' files are pure PEM this
// way, which some readers insist on. A file that the manifest doesn't name, or that was
// changed since, isn't harvest's, and is neither overwritten nor removed.
const manifestName = ".harvest-keys.json"

// Bounds on what is read of a directory.
const (
	maxManifest = 4 << 20
	maxKeyFile  = 64 << 10
)

type manifest struct {
	Version int                 `json:"version"` // 1
	Files   map[string][]string `json:"files"`   // two digests while a file is being replaced
}

// keyDir is a -out directory. os.Root keeps every name within it, whatever links there are.
type keyDir struct {
	root  *os.Root
	path  string
	owned manifest
}

// openKeyDir opens a directory, made if it isn't there, and reads its manifest.
func openKeyDir(path string) (*keyDir, error) {
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("-out: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("-out: %w", err)
	}
	d := &keyDir{root: root, path: path}
	if err := d.readManifest(); err != nil {
		_ = root.Close()
		return nil, err
	}
	return d, nil
}

func (d *keyDir) close() { _ = d.root.Close() }

func (d *keyDir) readManifest() error {
	data, err := d.read(manifestName, maxManifest)
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
		return fmt.Errorf("-out %s: its manifest %s can't be used: %w; remove it if harvest may start anew", d.path, manifestName, err)
	}
	for name := range d.owned.Files {
		if !isKeyFile(name) {
			return fmt.Errorf("-out %s: its manifest names %q, which harvest never writes", d.path, name)
		}
	}
	if d.owned.Files == nil {
		d.owned.Files = map[string][]string{}
	}
	return nil
}

// isKeyFile says whether name is one that fileNames makes.
func isKeyFile(name string) bool {
	return strings.HasSuffix(name, keyFileSuffix) && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, `/\`)
}

// read returns a regular file of the directory, of so many bytes at most.
func (d *keyDir) read(name string, most int64) ([]byte, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("larger than %d bytes", most)
	}
	return data, err
}

// state says of a name whether there is a file, what it holds, and whether harvest wrote it.
func (d *keyDir) state(name string) (data []byte, exists, owned bool) {
	data, err := d.read(name, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, false
	}
	if err != nil {
		return nil, true, false
	}
	return data, true, slices.Contains(d.owned.Files[name], digest(data))
}

// replace writes a file whole or not at all: a reader sees the old one or the new one.
func (d *keyDir) replace(name string, data []byte) (err error) {
	temporary := ".harvest-" + rand.Text() + ".tmp"
	f, err := d.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	defer func() {
		if err != nil {
			_ = d.root.Remove(temporary)
			err = fmt.Errorf("-out %s: %w", filepath.Join(d.path, name), err)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644) // whatever the umask
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = d.root.Rename(temporary, name)
	}
	return err
}

func (d *keyDir) writeManifest() error {
	data, err := json.MarshalIndent(d.owned, "", "  ")
	if err != nil {
		return err
	}
	return d.replace(manifestName, append(data, '\n'))
}

// writeKeys makes the directory hold a file for each key and removes those that harvest
// wrote for others, unless keep is set. Where a file of somebody else is in the way,
// nothing is written. Each change is a line on stdout.
func (a *app) writeKeys(dir string, keys []harvestedKey, keep bool) error {
	d, err := openKeyDir(dir)
	if err != nil {
		return err
	}
	defer d.close()
	changed, err := d.changes(keys)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, name := range fileNames(keys) {
		wanted[name] = true
	}
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(d.owned.Files)) {
		if !wanted[name] && !keep {
			gone = append(gone, name)
		}
	}
	if len(changed) == 0 && len(gone) == 0 {
		return nil
	}
	// The manifest is ahead of the files, so that a run cut short leaves none behind
	// that the next one takes for somebody else's.
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
		a.out.printf("+ %s\n", printable(filepath.Join(dir, name)))
	}
	for _, name := range gone {
		if err := a.removeKey(d, name); err != nil {
			return err
		}
	}
	return d.writeManifest()
}

// changes returns the files to write, by name. It refuses to touch somebody else's.
func (d *keyDir) changes(keys []harvestedKey) (map[string][]byte, error) {
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
			changed[name] = keys[i].text
		default:
			foreign = append(foreign, name)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return nil, fmt.Errorf("-out %s: %s not written by harvest, or changed since: nothing was written; move it away, or choose another directory",
			d.path, strings.Join(foreign, ", "))
	}
	return changed, nil
}

// sameKey says whether a file holds the key already: the day it was added stays.
func sameKey(data []byte, k harvestedKey) bool {
	var b pem.Block
	if b.UnmarshalText(data) != nil || b.Fingerprint() != k.fingerprint {
		return false
	}
	b.Annotation.Added = k.block.Annotation.Added
	text, err := b.MarshalText()
	return err == nil && string(text)+"\n" == string(k.text)
}

// removeKey removes a file that harvest wrote. One that was changed since stays, and is
// harvest's no longer.
func (a *app) removeKey(d *keyDir, name string) error {
	_, exists, owned := d.state(name)
	delete(d.owned.Files, name)
	switch {
	case !exists:
		return nil
	case !owned:
		a.says.warn("%s was changed since harvest wrote it: not removed, though its key is gone", filepath.Join(d.path, name))
		return nil
	}
	if err := d.root.Remove(name); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	a.out.printf("- %s\n", printable(filepath.Join(d.path, name)))
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
