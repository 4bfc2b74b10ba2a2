package verify

import (
	"context"
	"fmt"
	"io"

	"github.com/jwksharvest/harvest/internal/wait"
)

// ReadToken reads a token, of maxToken bytes at most, from the file of that name. Its errors hold
// nothing of it. When ctx ends so does the call, though not the read.
func ReadToken(ctx context.Context, name string, open func() (io.ReadCloser, error)) (*Token, error) {
	data, err := wait.Within(ctx, func() ([]byte, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(io.LimitReader(r, maxToken+1))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	token, err := parseToken(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return token, nil
}
