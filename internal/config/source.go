package config

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
)

// Agent returns what the address of a Nomad agent stands for.
func Agent(f Flags, getenv func(string) string, address string) (Cluster, error) {
	c := Cluster{Address: address}
	if err := checkURL(address, "https", "http"); err != nil {
		return c, fmt.Errorf("the source: %w", err)
	}
	err := c.connect(f, getenv)
	return c, err
}

// Named returns what a source stands for that is named by one word: a file, a URL, or "-"
// for a document on standard input.
func Named(f Flags, getenv func(string) string, source string, stdin io.Reader) (Cluster, error) {
	var c Cluster
	u, err := url.Parse(source)
	switch isURL := err == nil && (u.Scheme == "http" || u.Scheme == "https"); {
	case source == "-":
		c.Document = document{stdin}
	case isURL && strings.Trim(u.Path, "/") == "" && u.RawQuery == "":
		c.Address = source
	case isURL:
		c.JWKSURL = source
	case strings.Contains(source, "://"):
		return c, fmt.Errorf("the source has a scheme other than https and http")
	default:
		c.JWKSFile = source
	}
	if raw := c.URL(); raw != "" {
		if err := checkURL(raw, "https", "http"); err != nil {
			return c, fmt.Errorf("the source: %w", err)
		}
	}
	err = c.connect(f, getenv)
	return c, err
}

// document is a key set on standard input.
type document struct{ r io.Reader }

var _ jwks.Source = document{}

// RegionName returns "".
func (document) RegionName() string { return "" }

// Fetch reads the document, which can be done once. When ctx ends so does Fetch, though not the
// read.
func (d document) Fetch(ctx context.Context) (*jwks.Set, error) {
	data, err := wait.Within(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(d.r, jwks.MaxDocument+1)) })
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	set, err := jwks.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return set, nil
}
