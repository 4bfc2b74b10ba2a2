// Package relay publishes the judged keys of clusters as a key set of its own, for anyone who can't
// read the clusters or shouldn't: Consul, a proxy, a cloud's workload identity.
//
// A relay is a directory. Its keys.pem is the state, a list of annotated elements as a mount of
// Vault holds one, and kept by the same plan (package vaultsync/plan): a [Relay] is a
// vaultsync.Store. Beside it stand jwks.json and, where the relay has an issuer, the discovery
// document. They are made from what the plan leaves on the list, and so is what a [Server] serves
// from memory.
//
// Anyone who trusts a relay trusts each of its clusters for every claim.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Relay is one relay. Its methods are called from one goroutine at a time, but for those of a
// Server, which look at what is served.
type Relay struct {
	Name   string
	Dir    string // must be there, and be written by nobody else
	Issuer string // of the discovery document; "" is none
	// Clusters are the names whose keys it publishes.
	Clusters []string
	// Rules are those of its plans. By them, Open says what is served of what the directory holds.
	Rules plan.Rules

	listed     []plan.Element // what keys.pem held when it was read last
	written    bool           // there is a keys.pem, or was while this process runs
	unreadable atomic.Bool    // the last Read was an error
	served     atomic.Pointer[served]
}

// served is what is served, made once for each change.
type served struct {
	elements  []plan.Element
	keys      document
	discovery *document // nil: the relay has no issuer
}

// Path returns what a relay is called beside mounts, and where its documents are served.
func Path(name string) string { return "relay/" + name }

// maxName is how many bytes the name of a relay may have.
const maxName = 128

// CheckName refuses a name that can't stand in a path or in a line of a log.
func CheckName(name string) error {
	if len(name) > maxName || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "" || strings.Trim(name, "._-") == "" ||
		strings.Contains(name, "..") {
		return fmt.Errorf("relay name %q: use letters, digits, '.', '_' and '-', one letter or digit at least, %d bytes at most", name, maxName)
	}
	return nil
}

// CheckIssuer refuses what isn't the URL of an issuer (OpenID Connect Discovery 1.0, section 2).
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("issuer %q: not an https URL, such as https://keys.example.com/relay/nomad", issuer)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return errors.New("issuer: a URL without user, query and fragment is wanted")
	case strings.HasSuffix(issuer, "/"):
		return fmt.Errorf("issuer %q: leave out the slash at its end, since it must be exactly what tokens name", issuer)
	}
	return nil
}

// Open makes what the directory holds, and today's rules leave of it, what is served. No cluster
// is asked: each counts as one that couldn't be read, so that its keys stay. What is denied,
// retired, not pinned or must not be trusted is not served.
//
// before is this relay as it was until another configuration came, or nil: what it served counts in
// the place of the directory, whose file may be refused by now, or not have been written.
//
// Where there is nothing to be served yet, or what is there is refused, a Server answers 503. The
// error is that of [Relay.Read].
func (r *Relay) Open(ctx context.Context, before *Relay) error {
	list, err := r.Read(ctx)
	elements := plan.Read(list)
	var served *served
	if before != nil {
		served = before.served.Load()
	}
	switch {
	case served != nil:
		r.written = true
		elements = slices.DeleteFunc(slices.Clone(served.elements), func(e plan.Element) bool { return r.own(e) != nil })
	case err != nil || !r.written:
		return err
	}
	rules := r.Rules
	rules.AllowEmpty = true
	p, planned := plan.New(elements, plan.Desired{Clusters: r.Clusters}, rules)
	if planned != nil {
		return planned
	}
	return errors.Join(err, r.serve(plan.Read(p.Next)))
}

// serve makes these elements what is served, less those that no pin allows: a plan keeps such a
// key while its cluster can't be read.
func (r *Relay) serve(elements []plan.Element) error {
	elements = slices.DeleteFunc(slices.Clone(elements), func(e plan.Element) bool {
		return !slices.ContainsFunc(e.Block.Annotation.Owners(), func(o pem.Owner) bool { return rule.Pins(r.Rules.Pin, o.Cluster, e.Fingerprint) })
	})
	var keys []jwks.Key
	for _, e := range elements {
		a := e.Block.Annotation
		keys = append(keys, jwks.Key{KeyID: a.KeyID, Algorithms: a.Algorithms, Public: e.Block.Public})
	}
	set, err := Document(keys)
	if err != nil {
		return err
	}
	now := &served{elements: elements, keys: newDocument(set)}
	if r.Issuer != "" {
		discovery := newDocument(discoveryOf(r.Issuer))
		now.discovery = &discovery
	}
	r.served.Store(now)
	return nil
}
