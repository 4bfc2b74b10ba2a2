package jwks

import (
	"context"
	"fmt"
	"io"
	"os"
)

// File is a JWKS document on disk. A named pipe will do as well.
type File string

var _ Source = File("")

// RegionName returns "".
func (File) RegionName() string { return "" }

// String returns the file's name as errors and logs give it.
func (f File) String() string { return "file " + printable(string(f), 2*maxExcerpt) }

// Fetch returns the keys of the file. It refuses directories, and wraps the errors of the
// file system (fs.ErrNotExist, fs.ErrPermission) and of [Parse]. It reads no more than
// MaxDocument. When ctx ends, so does Fetch, though a pipe that nobody writes to stays open
// until somebody does.
func (f File) Fetch(ctx context.Context) (*Set, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	type outcome struct {
		data []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() { // opening a pipe waits for its writer, and can't be interrupted
		data, err := readFile(ctx, string(f))
		done <- outcome{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", f, ctx.Err())
	case read := <-done:
		if read.err != nil {
			return nil, fmt.Errorf("key set: %w", read.err)
		}
		set, err := Parse(read.data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		return set, nil
	}
}

// readFile returns up to MaxDocument+1 bytes: enough for Parse to say that it is too much.
func readFile(ctx context.Context, name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// Unblocks the read of a pipe. Regular files have no deadlines, and need none.
	defer context.AfterFunc(ctx, func() { file.Close() })()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; give the file in it", printable(name, 2*maxExcerpt))
	}
	return io.ReadAll(io.LimitReader(file, MaxDocument+1))
}
