package config

import (
	"context"
	"fmt"
	"time"

	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
)

// Reading is how clusters are read.
type Reading struct {
	Lenient   bool   // plain HTTP and unverified TLS pass
	UserAgent string // "": Go's own
}

// Open returns the library's view of a cluster. What is wrong with its TLS files is found when it
// is fetched: it must not cost other clusters their harvest.
func (c Cluster) Open(r Reading) jwks.Cluster {
	cluster := jwks.Cluster{Name: c.Name}
	client := &jwks.Client{AllowPlaintext: c.AllowPlaintext || r.Lenient, UserAgent: r.UserAgent}
	if c.TLS != (jwks.TLS{}) {
		var err error
		if client.HTTPClient, err = c.TLS.HTTPClient(); err != nil {
			for _, region := range c.regionNames() {
				cluster.Sources = append(cluster.Sources, broken{region, err, c, r})
			}
			return cluster
		}
	}
	if c.TokenFile != "" {
		client.Token = jwks.TokenFile(c.TokenFile)
	}
	switch {
	case c.Document != nil:
		cluster.Sources = []jwks.Source{c.Document}
	case c.JWKSFile != "":
		cluster.Sources = []jwks.Source{jwks.File(c.JWKSFile)}
	case c.JWKSURL != "":
		cluster.Sources = []jwks.Source{jwks.URL(c.JWKSURL, client)}
	case c.OIDCIssuer != "":
		cluster.Sources = []jwks.Source{jwks.Issuer(c.OIDCIssuer, client)}
	case c.Kubernetes != "":
		cluster.Sources = []jwks.Source{jwks.Kubernetes(c.Kubernetes, client)}
	default:
		for _, region := range c.regionNames() {
			agent := jwks.Nomad{Address: c.Address, Region: region, Client: client}
			if region == allRegions {
				agent.Region = ""
				cluster.Federation = &agent
				continue
			}
			cluster.Sources = append(cluster.Sources, agent)
		}
	}
	if c.Issuer != "" {
		for i, s := range cluster.Sources {
			cluster.Sources[i] = jwks.WithIssuer(s, c.Issuer)
		}
	}
	return cluster
}

// OpenWithin is Open for a cluster whose certificates may come from a pipe: where they don't in
// half of the time that there is, the others have the rest.
func (c Cluster) OpenWithin(ctx context.Context, r Reading) jwks.Cluster {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/2))
		defer cancel()
	}
	cluster, err := wait.Within(ctx, func() (jwks.Cluster, error) { return c.Open(r), nil })
	if err != nil {
		cluster = jwks.Cluster{Name: c.Name}
		err = fmt.Errorf("certificate or key file not read to its end: is one a pipe that nobody writes to? %w", err)
		for _, region := range c.regionNames() {
			cluster.Sources = append(cluster.Sources, broken{region, err, c, r})
		}
	}
	return cluster
}

// regionNames are the regions, at least the agent's own.
func (c Cluster) regionNames() []string {
	if len(c.Regions) == 0 {
		return []string{""}
	}
	return c.Regions
}

// broken is a source that can't be asked, such as one whose CA file is missing. It is made
// anew each time that it is asked: the file may be there by then.
type broken struct {
	region  string
	err     error
	config  Cluster
	reading Reading
}

var _ jwks.Source = broken{}

// RegionName implements jwks.Source; "*" fails all regions, as an unread list of them does.
func (b broken) RegionName() string { return b.region }

// Fetch asks the source if it can be made by now, else it returns why not.
func (b broken) Fetch(ctx context.Context) (*jwks.Set, error) {
	cluster, err := wait.Within(ctx, func() (jwks.Cluster, error) { return b.config.Open(b.reading), nil })
	if err != nil {
		return nil, b.err
	}
	for _, s := range cluster.Sources {
		if still, ok := s.(broken); ok {
			return nil, still.err
		}
		if s.RegionName() == b.region {
			return s.Fetch(ctx)
		}
	}
	return nil, b.err // every region of a federation: for the next sync or reload
}
