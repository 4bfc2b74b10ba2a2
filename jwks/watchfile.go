package jwks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jwksharvest/harvest/internal/wait"
)

// fileProbe reads a file when it looks changed, and each Interval whether it does or not:
// times are coarse, and tools keep them.
type fileProbe struct {
	file    File
	options WatchOptions
	info    os.FileInfo // of the file when it was read last; nil: read it
	readAt  time.Time
}

func (p *fileProbe) probe(ctx context.Context) (*answer, time.Duration, error) {
	pause := wait.About(p.options.fileInterval())
	asked := time.Now()
	info, err := os.Stat(string(p.file))
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = errNotRegular
	}
	if err != nil {
		p.info = nil
		return nil, 0, fmt.Errorf("%s: %w", p.file, err)
	}
	if p.settled(info) && asked.Sub(p.readAt) < p.options.interval() {
		return &answer{same: true, asked: asked}, pause, nil
	}
	p.info = nil
	data, err := readFile(ctx, string(p.file))
	if err != nil {
		return nil, 0, fmt.Errorf("key set: %w", err)
	}
	p.info, p.readAt = info, asked
	return &answer{body: data, asked: asked, parse: func() (*Set, error) {
		set, err := Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.file, err)
		}
		return set, nil
	}}, pause, nil
}

// settled says whether a file is the one that was read, and was old enough then that a
// later change must show in its time.
func (p *fileProbe) settled(info os.FileInfo) bool {
	const coarsest = 3 * time.Second // FAT knows every other second
	return p.info != nil && os.SameFile(p.info, info) && p.info.Size() == info.Size() &&
		p.info.ModTime().Equal(info.ModTime()) && p.readAt.Sub(info.ModTime()) > coarsest
}

var errNotRegular = errors.New("not a regular file, which is what can be watched")
