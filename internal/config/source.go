package config

import (
	"fmt"
	"net/url"
	"strings"

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
// for the document.
func Named(f Flags, getenv func(string) string, source string, document jwks.Source) (Cluster, error) {
	var c Cluster
	u, err := url.Parse(source)
	switch isURL := err == nil && (u.Scheme == "http" || u.Scheme == "https"); {
	case source == "-":
		c.Document = document
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
