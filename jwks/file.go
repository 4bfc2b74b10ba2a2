package jwks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/jwksharvest/harvest/internal/files"
	"github.com/jwksharvest/harvest/internal/text"
)

// File returns a source of a JWKS document on disk. A pipe will do too, such as the one that a
// shell makes of <(curl …). A named pipe must have its writer already, and a silent pipe is
// waited for until the context ends. The source is a [Poller]: a watch reads a file every two
// seconds, and takes only regular files.
//
// Its errors wrap those of the file system (fs.ErrNotExist, fs.ErrPermission) and of [Parse]. No
// more than MaxDocument is read.
func File(name string) Source { return fileSource(name) }

type fileSource string

// RegionName returns "".
func (fileSource) RegionName() string { return "" }

// String returns the file's name as errors and logs give it.
func (f fileSource) String() string { return "file " + text.Line(string(f), 2*maxExcerpt) }

// Fetch returns the keys of the file. Of a pipe, what is written after ctx has ended is left to
// anyone who reads it next.
func (f fileSource) Fetch(ctx context.Context) (*Set, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	data, err := readFile(ctx, string(f))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", f, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("key set: %w", err)
	}
	return f.parse(data)
}

// fileInterval is how often a watch reads a file.
const fileInterval = 2 * time.Second

var errNotRegular = errors.New("not a regular file, which is what can be watched")

// Poll is Fetch for a watch, every two seconds. The file must be a regular one.
func (f fileSource) Poll(ctx context.Context, q Query) (Answer, error) {
	info, err := os.Stat(string(f))
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "watch", Path: string(f), Err: errNotRegular}
	}
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", f, err)
	}
	data, err := readFile(ctx, string(f))
	if err != nil {
		return Answer{}, fmt.Errorf("key set: %w", err)
	}
	a := q.answerWith(data, func() (*Set, error) { return f.parse(data) })
	a.Next = fileInterval
	return a, nil
}

func (f fileSource) parse(data []byte) (*Set, error) {
	set, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	return set, nil
}

// readFile returns up to MaxDocument+1 bytes: enough for Parse to say that it is too much.
// When ctx ends, so does the wait for a pipe, with os.ErrDeadlineExceeded.
func readFile(ctx context.Context, name string) ([]byte, error) {
	data, info, err := files.Named(ctx, name, MaxDocument+1)
	if err == nil && len(data) == 0 && info.Mode()&fs.ModeNamedPipe != 0 {
		err = fmt.Errorf("%w: %s: nothing came out of this pipe: its writer failed, or had not opened it yet", ErrMalformed, text.Line(name, 2*maxExcerpt))
	}
	return data, err
}
