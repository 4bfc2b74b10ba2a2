package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Named returns the first bytes, most at most, of a file that an operator names. It may be a pipe,
// such as a shell puts in the place of <(…); a named one must have its writer already. When ctx
// ends, so does the wait for a pipe, with os.ErrDeadlineExceeded. A directory is refused.
func Named(ctx context.Context, name string, most int64) ([]byte, fs.FileInfo, error) {
	return read(ctx, name, most, func(m fs.FileMode) error {
		if m.IsDir() {
			return errors.New("is a directory; give the file in it")
		}
		return nil
	})
}

// Regular returns what a regular file holds that an operator names, and that is read again and
// again while harvest runs: nothing would end the wait for a pipe. One of more than most bytes is
// an error.
func Regular(name string, most int64) ([]byte, error) {
	data, _, err := read(context.Background(), name, most+1, func(m fs.FileMode) error {
		if !m.IsRegular() {
			return errNotRegular
		}
		return nil
	})
	if err == nil && int64(len(data)) > most {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("larger than %d bytes", most)}
	}
	return data, err
}

var errNotRegular = errors.New("not a regular file")

func read(ctx context.Context, name string, most int64, check func(fs.FileMode) error) ([]byte, fs.FileInfo, error) {
	// O_NONBLOCK makes no difference to regular files. Without it the open would wait for the
	// writer of a named pipe, and nothing could end that.
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := check(info.Mode()); err != nil {
		return nil, nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	stop := context.AfterFunc(ctx, func() {
		_ = file.SetReadDeadline(time.Unix(1, 0)) // regular files have no deadlines, and need none
	})
	defer stop()
	data, err := io.ReadAll(io.LimitReader(file, most))
	return data, info, err
}
