// Package files reads and replaces files of a directory that harvest keeps: bounded, whole or not
// at all, and never by way of a link that leads out of it (os.Root). It reads files that an
// operator names, too, so that a pipe holds nothing up.
package files

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path"
)

// Read returns what a regular file holds; one of more than most bytes is an error.
func Read(root *os.Root, name string, most int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := root.Open(name)
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

// Replace writes a file that all may read, whole or not at all: a reader sees the old one or the
// new one. With durable, that holds through a power cut too.
func Replace(root *os.Root, name string, data []byte, durable bool) error {
	s, err := Stage(root, name, data)
	if err != nil {
		return err
	}
	return s.Commit(durable)
}

// Staged is a file that the file system has taken, and that has yet to take the place of another.
type Staged struct {
	root            *os.Root
	file            *os.File
	temporary, name string
}

// Stage is the first half of Replace, after which a full disk is no matter any more.
func Stage(root *os.Root, name string, data []byte) (*Staged, error) {
	s := &Staged{root: root, temporary: path.Join(path.Dir(name), ".harvest-"+rand.Text()+".tmp"), name: name}
	var err error
	if s.file, err = root.OpenFile(s.temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return nil, err
	}
	_, err = s.file.Write(data)
	if err == nil {
		err = s.file.Chmod(0o644) // whatever the umask
	}
	if err != nil {
		s.drop()
		return nil, err
	}
	return s, nil
}

// Commit is the second half. After an error the old file is there.
func (s *Staged) Commit(durable bool) (err error) {
	if durable {
		err = s.file.Sync()
	}
	if closed := s.file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = s.root.Rename(s.temporary, s.name)
	}
	if err != nil {
		s.drop()
	}
	return err
}

func (s *Staged) drop() {
	_ = s.file.Close()
	_ = s.root.Remove(s.temporary)
}
