package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/jwksharvest/harvest/internal/relay"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Relay is what a relay block says beside the rules, which are those of a mount.
type Relay struct {
	Name   string
	Dir    string
	Issuer string // "": there is no discovery document
}

// Open returns the relay of a mount that is one, with the rules that it has at this time.
func (m Mount) Open(now time.Time) *relay.Relay {
	return &relay.Relay{
		Name: m.Relay.Name, Dir: m.Relay.Dir, Issuer: m.Relay.Issuer, Clusters: m.Clusters,
		Rules: plan.Rules{Now: now, Retired: m.Options.Retired, Pin: m.Options.Pin, Deny: m.Options.Deny},
	}
}

var relayAttributes = []string{"dir", "issuer", "clusters", "retired", "retain", "max_keys", "allow_turnover", "deny"}

func (r *fileReader) relay(hb *hclsyntax.Block) {
	b, _ := open(hb.Body, hb.DefRange(), &r.diags, relayAttributes)
	name, ok := r.label(hb)
	if !ok {
		return
	}
	if err := relay.CheckName(name); err != nil {
		r.problem(hb.LabelRanges[0], "%v", err)
	}
	m := Mount{
		Relay: &Relay{Name: name, Dir: b.text("dir"), Issuer: b.text("issuer")}, Path: relay.Path(name), Clusters: b.texts("clusters"), at: hb.DefRange(),
		Options: vaultsync.Options{
			Retired: b.texts("retired"), Retain: b.retention(), MaxKeys: b.count("max_keys"), AllowTurnover: b.texts("allow_turnover"),
			Deny: b.fingerprints("deny"), AllowEmpty: true, // a relay without keys says so: {"keys":[]}
		},
	}
	if !b.has("dir") {
		b.problem("", "no dir: name the directory that this relay keeps its files in, as in dir = \"/var/lib/harvest/relay/nomad\"")
	}
	if b.has("issuer") && m.Relay.Issuer != "" {
		if err := relay.CheckIssuer(m.Relay.Issuer); err != nil {
			b.problem("issuer", "%v", err)
		}
	}
	r.clustersOf(b, m)
	r.mountRules(b, &m)
	for _, other := range r.config.Mounts {
		switch {
		case other.Relay == nil:
		case other.Relay.Name == name:
			r.problem(hb.LabelRanges[0], "relay %q is defined twice; give one of them another name", name)
		case m.Relay.Dir != "" && filepath.Clean(other.Relay.Dir) == filepath.Clean(m.Relay.Dir):
			b.problem("dir", "the same directory as in line %d, where two relays would undo each other's work", other.at.Start.Line)
		}
	}
	for _, cluster := range r.config.Clusters {
		if issuer := cluster.knownIssuer(); issuer != "" && m.Relay.Issuer != "" && issuer != m.Relay.Issuer && slices.Contains(m.Clusters, cluster.Name) {
			b.problem("issuer", "the tokens of %s name %q, and nobody takes them for those of %q; give %s a relay of its own, or leave issuer out",
				cluster.Name, issuer, m.Relay.Issuer, cluster.Name)
		}
	}
	r.name(b, "dir", m.Relay.Dir, func(ctx context.Context, now time.Time) ([]string, error) {
		_, err := m.Open(now).Read(ctx)
		return nil, cmp.Or(r.config.refuseSharedDirectory(m), err)
	})
	r.config.Mounts = append(r.config.Mounts, m)
	r.issuers = append(r.issuers, b.where("issuer"))
}

// refuseSharedDirectory returns an error for a relay whose directory is that of one before it,
// under another name: a symbolic link, say.
func (c *Config) refuseSharedDirectory(m Mount) error {
	if m.Relay == nil {
		return nil
	}
	dir, err := os.Stat(m.Relay.Dir)
	if err != nil {
		return nil //nolint:nilerr // anyone who uses it says so
	}
	for _, other := range c.Mounts {
		if other.Relay == nil {
			continue
		}
		if other.Relay.Name == m.Relay.Name {
			break
		}
		if theirs, err := os.Stat(other.Relay.Dir); err == nil && os.SameFile(theirs, dir) {
			return fmt.Errorf("relay %q: dir %s is the directory of relay %q by another name, where two relays would undo each other's work; give it one of its own",
				m.Relay.Name, m.Relay.Dir, other.Relay.Name)
		}
	}
	return nil
}

// DropRelays leaves the mounts of Vaults, for what only they have.
func (c *Config) DropRelays() error {
	c.Mounts = slices.DeleteFunc(c.Mounts, func(m Mount) bool { return m.Relay != nil })
	if len(c.Mounts) == 0 {
		return errors.New("the configuration has relays alone, and this is about mounts of Vault")
	}
	return nil
}

// Relays returns how many of the mounts are relays.
func (c *Config) Relays() int {
	n := 0
	for _, m := range c.Mounts {
		if m.Relay != nil {
			n++
		}
	}
	return n
}
