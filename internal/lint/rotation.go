package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// rotationGrace is how late a rotation may be: Nomad looks at its keys every ten minutes, and
// harvest at Nomad's every five or so.
const rotationGrace = 24 * time.Hour

// DefaultRotation is how long Nomad signs with one key where root_key_rotation_threshold of
// its server block isn't set.
const DefaultRotation = 720 * time.Hour

func (in Inspection) rotation() time.Duration { return cmp.Or(in.Rotation, DefaultRotation) }

// rotations finds owners whose newest key has been trusted for longer than Nomad signs with
// one.
func (l *linter) rotations() {
	newest := map[pem.Owner]plan.Element{}
	for _, t := range l.trusted {
		for _, owner := range t.Block.Annotation.Owners() {
			if n, ok := newest[owner]; !ok || t.Block.Annotation.Added.After(n.Block.Annotation.Added) {
				newest[owner] = t
			}
		}
	}
	for _, owner := range l.rotating(newest) {
		t, ok := newest[owner]
		if !ok || t.Block.Annotation.Added.IsZero() {
			continue
		}
		age := l.Now.Sub(t.Block.Annotation.Added)
		if age <= l.rotation()+rotationGrace {
			continue
		}
		p := Problem{
			Lint: LintRotation, Severity: SeverityWarning, Cluster: owner.Cluster, Region: owner.Region,
			Message: "the newest key of " + owner.String() + " is trusted for " + days(age) + ", and Nomad rotates after " + days(l.rotation()) + ": ",
		}
		switch read, published := l.publishes(owner, t.Fingerprint); {
		case !read:
			p.Message += "whether there is a newer one could not be read"
			p.Fix = "run this again when the cluster can be read: its keys stay until then, and a newer one isn't trusted"
		case !published:
			p.Message += "harvest has not brought a newer one since"
			p.Fix = "run harvest sync, and see that it is run (cron, harvest watch)"
		case !l.asked(owner.Cluster):
			p.Message += "its file or URL still holds it, and no newer one"
			p.Fix = "bring the cluster's key set there again; where root_key_rotation_threshold is set, say so by -rotation; if it is no Nomad, -ignore rotation"
		default:
			p.Message += "the cluster still publishes it, and no newer one"
			p.Fix = "see `nomad operator root keyring list` for its age; where root_key_rotation_threshold is set, say so by -rotation"
		}
		l.add(p)
	}
}

// rotating returns the mount's owners that are Nomads, or may be: a file or a URL, which has
// no discovery document, mostly holds the keys of one, and nobody notices when they are no
// longer carried there.
func (l *linter) rotating(newest map[pem.Owner]plan.Element) []pem.Owner {
	var owners, more []pem.Owner
	for _, d := range l.Discovered {
		if d.Nomad && l.ours(d.Cluster) {
			owners = append(owners, pem.Owner{Cluster: d.Cluster, Region: d.Region})
		}
	}
	for owner := range newest {
		if l.ours(owner.Cluster) && !l.asked(owner.Cluster) {
			more = append(more, owner)
		}
	}
	slices.SortFunc(more, func(a, b pem.Owner) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Region, b.Region))
	})
	return append(owners, more...)
}

// asked reports whether a cluster was asked for a discovery document.
func (l *linter) asked(cluster string) bool {
	return slices.ContainsFunc(l.Discovered, func(d discover.Discovery) bool { return d.Cluster == cluster })
}

// publishes reports whether what an owner publishes was read, and has the key.
func (l *linter) publishes(owner pem.Owner, f pem.Fingerprint) (read, published bool) {
	for _, r := range l.Results {
		if r.Cluster != owner.Cluster || r.Region != owner.Region || r.Set == nil {
			continue
		}
		read = true
		for _, k := range r.Set.Keys {
			if other, err := pem.FingerprintOf(k.Public); err == nil && other == f {
				return true, true
			}
		}
	}
	return read, false
}

func days(d time.Duration) string {
	n := int(d / (24 * time.Hour))
	if n < 2 {
		return d.Round(time.Minute).String()
	}
	return strconv.Itoa(n) + " days"
}

func (l *linter) unconfigured() {
	if len(l.Clusters) == 0 {
		return
	}
	counts := map[string]int{}
	for _, t := range l.trusted {
		if name := t.Block.Annotation.Cluster; name != "" && !l.ours(name) {
			counts[name]++
		}
	}
	for _, name := range l.owners {
		if counts[name] == 0 {
			continue
		}
		l.add(Problem{
			Lint: LintUnconfigured, Severity: SeverityWarning, Cluster: name,
			Message: fmt.Sprintf("%d %s of cluster ", counts[name], text.Plural(counts[name], "key")) + name + ", which isn't configured for this mount, may log in",
			Fix:     "if the cluster is gone or was renamed, strike it off with retired = [" + vaultapi.Quote(name) + "]; if another harvester keeps its keys, -ignore unconfigured",
		})
	}
}
