package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
)

// warnUnauthenticated says what sync would refuse, for commands that trust nothing.
func (a *app) warnUnauthenticated(c clusterConfig) {
	if c.allowPlaintext {
		return
	}
	const consequence = "anyone on that path can choose these keys; sync refuses it without allow-plaintext"
	switch {
	case jwks.IsPlaintext(c.url()):
		a.says.Warn("cluster %q is read over plain HTTP: %s", c.name, consequence)
	case c.tls.InsecureSkipVerify:
		a.says.Warn("cluster %q is read without verifying its certificate: %s", c.name, consequence)
	}
}

// cluster returns the library's view of a cluster. lenient lets plain HTTP and unverified
// TLS pass. What is wrong with its TLS files is found when it is fetched: it must not cost
// other clusters their harvest.
func (c clusterConfig) cluster(lenient bool) jwks.Cluster {
	cluster := jwks.Cluster{Name: c.name}
	client := &jwks.Client{AllowPlaintext: c.allowPlaintext || lenient, UserAgent: "harvest/" + buildInfo().Version}
	if c.tls != (jwks.TLS{}) {
		var err error
		if client.HTTPClient, err = c.tls.HTTPClient(); err != nil {
			for _, region := range c.regionNames() {
				cluster.Sources = append(cluster.Sources, broken{region, err, c, lenient})
			}
			return cluster
		}
	}
	switch {
	case c.document != nil:
		cluster.Sources = []jwks.Source{c.document}
	case c.jwksFile != "":
		cluster.Sources = []jwks.Source{jwks.File(c.jwksFile)}
	case c.jwksURL != "":
		cluster.Sources = []jwks.Source{jwks.URL{Address: c.jwksURL, Client: client}}
	case c.oidcIssuer != "":
		cluster.Sources = []jwks.Source{jwks.Issuer{Issuer: c.oidcIssuer, Client: client}}
	default:
		for _, region := range c.regionNames() {
			agent := jwks.Nomad{Address: c.address, Region: region, Client: client}
			if region == allRegions {
				agent.Region = ""
				cluster.Federation = &agent
				continue
			}
			cluster.Sources = append(cluster.Sources, agent)
		}
	}
	return cluster
}

// clusterWithin is cluster, which reads certificates. Where they don't come, from a pipe, in half of
// the time that there is, the others have the rest.
func (c clusterConfig) clusterWithin(ctx context.Context, lenient bool) jwks.Cluster {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/2))
		defer cancel()
	}
	cluster, err := wait.Within(ctx, func() (jwks.Cluster, error) { return c.cluster(lenient), nil })
	if err != nil {
		cluster = jwks.Cluster{Name: c.name}
		err = fmt.Errorf("certificate or key file not read to its end: is one a pipe that nobody writes to? %w", err)
		for _, region := range c.regionNames() {
			cluster.Sources = append(cluster.Sources, broken{region, err, c, lenient})
		}
	}
	return cluster
}

// regionNames are the regions, at least the agent's own.
func (c clusterConfig) regionNames() []string {
	if len(c.regions) == 0 {
		return []string{""}
	}
	return c.regions
}

// broken is a source that can't be asked, such as one whose CA file is missing. It is made
// anew each time that it is asked: the file may be there by then.
type broken struct {
	region  string
	err     error
	config  clusterConfig
	lenient bool
}

var _ jwks.Source = broken{}

// RegionName implements jwks.Source; "*" fails all regions, as an unread list of them does.
func (b broken) RegionName() string { return b.region }

// Fetch asks the source if it can be made by now, else it returns why not.
func (b broken) Fetch(ctx context.Context) (*jwks.Set, error) {
	cluster, err := wait.Within(ctx, func() (jwks.Cluster, error) { return b.config.cluster(b.lenient), nil })
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
