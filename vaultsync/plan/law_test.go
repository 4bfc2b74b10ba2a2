package plan

import (
	"crypto/ed25519"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// law says of a scene what any plan must respect. It is written from the documentation of
// Rules and Plan, one key at a time, and shares no code with the planner.
type law struct {
	scene
	elements []Element
}

// regionName is what harvest may call a region.
var regionName = regexp.MustCompile(`^[A-Za-z0-9._-]{0,128}$`)

func newLaw(s scene) law { return law{s, Read(s.list)} }

func (l law) ours(cluster string) bool { return slices.Contains(l.want.Clusters, cluster) }

// weak says whether nobody may trust a key.
func (l law) weak(f pem.Fingerprint) bool { return f == fingerprint("weak") }

// fit returns the keys of a set that may be trusted.
func (l law) fit(set *jwks.Set) []jwks.Key {
	if set == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(set.Keys), func(k jwks.Key) bool { return l.weak(of(k)) })
}

func (l law) denied(f pem.Fingerprint) bool { return slices.Contains(l.rules.Deny, f) }

func (l law) retired(o pem.Owner) bool {
	return slices.Contains(l.rules.Retired, o.Cluster) || slices.Contains(l.rules.Retired, o.Cluster+"/"+o.Region)
}

// kinds of an element.
const (
	denied      = "denied"
	foreign     = "foreign"
	claimed     = "claimed"
	placeholder = "placeholder"
	owned       = "owned"
)

func (l law) kind(e Element) string {
	a := e.Block.Annotation
	switch {
	case !e.Opaque && l.denied(e.Fingerprint):
		return denied
	case e.Opaque, a.Version == 0:
		return foreign
	case a.Version > 1:
		return claimed
	case a.Placeholder:
		return placeholder
	case !l.ours(a.Cluster) && !l.retired(a.Owner()):
		return claimed
	case slices.ContainsFunc(a.Owners(), func(o pem.Owner) bool { return !l.retired(o) && !regionName.MatchString(o.Region) }):
		return claimed // harvest could not have written the name of that region
	default:
		return owned
	}
}

// owners returns whose a key is by the elements that are owned, regions under the names
// that they have now.
func (l law) owners(f pem.Fingerprint) []pem.Owner {
	var owners []pem.Owner
	for _, e := range l.elements {
		if e.Fingerprint == f && l.kind(e) == owned {
			owners = append(owners, l.named(e)...)
		}
	}
	return owners
}

func (l law) named(e Element) []pem.Owner {
	owners := e.Block.Annotation.Owners()
	for i, o := range owners {
		if name, ok := l.newName(o); ok {
			owners[i] = name
		}
	}
	return owners
}

// newName returns the name of the agent's own region, or "" for that of a region, where nothing
// is said of the one and the other's keys are its.
func (l law) newName(o pem.Owner) (pem.Owner, bool) {
	var names []string
	for _, r := range l.want.Results {
		other := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		if r.Cluster == o.Cluster && (r.Region == "" || o.Region == "") && l.result(o) == nil && !l.retired(o) && o.Region != AllRegions &&
			l.result(other) != nil && l.read(other) && l.trusts(o, r.Set.Keys) {
			names = append(names, r.Region)
		}
	}
	if len(names) == 0 {
		return pem.Owner{}, false
	}
	return pem.Owner{Cluster: o.Cluster, Region: slices.Min(names)}, true
}

// trusts says whether the mount has one of these keys for an owner, or any where none is given.
func (l law) trusts(o pem.Owner, keys []jwks.Key) bool {
	return slices.ContainsFunc(l.elements, func(e Element) bool {
		return l.kind(e) == owned && !l.weak(e.Fingerprint) && slices.Contains(e.Block.Annotation.Owners(), o) &&
			(keys == nil || slices.ContainsFunc(keys, func(k jwks.Key) bool { return of(k) == e.Fingerprint }))
	})
}

func of(k jwks.Key) pem.Fingerprint { return fingerprintOf(k.Public.(ed25519.PublicKey)) }

func (l law) result(o pem.Owner) *jwks.Result {
	for i, r := range l.want.Results {
		if r.Cluster == o.Cluster && r.Region == o.Region {
			return &l.want.Results[i]
		}
	}
	return nil
}

// failed says whether the keys of an owner could not be learned.
func (l law) failed(o pem.Owner) bool {
	if !l.ours(o.Cluster) || l.retired(o) {
		return false
	}
	if r := l.result(o); r != nil {
		turnover := l.trusts(o, nil) && r.Set != nil && !l.trusts(o, r.Set.Keys) &&
			!slices.Contains(l.rules.AllowTurnover, "*") && !slices.Contains(l.rules.AllowTurnover, o.Cluster) && !slices.Contains(l.rules.AllowTurnover, o.Cluster+"/"+o.Region)
		return r.Err != nil || len(l.fit(r.Set)) == 0 || turnover
	}
	if o.Region == AllRegions || !l.trusts(o, nil) {
		return false
	}
	_, renamed := l.newName(o)
	return !renamed
}

// read says whether an owner's keys are known.
func (l law) read(o pem.Owner) bool {
	return l.ours(o.Cluster) && !l.retired(o) && l.result(o) != nil && !l.failed(o)
}

// unread says whether there is a cluster, or a region, of which neither the keys nor any
// former ones are known: a key that seems to be nobody's may be its.
func (l law) unread() bool {
	for _, r := range l.want.Results {
		o := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		if l.failed(o) && !l.trusts(o, nil) {
			return true
		}
	}
	return slices.ContainsFunc(l.want.Clusters, l.silent)
}

// silent says whether nothing is known of any region of a cluster.
func (l law) silent(cluster string) bool {
	said := slices.ContainsFunc(l.want.Results, func(r jwks.Result) bool {
		return r.Cluster == cluster && !l.retired(pem.Owner{Cluster: r.Cluster, Region: r.Region})
	})
	return !said && !slices.ContainsFunc(l.elements, func(e Element) bool {
		return l.kind(e) == owned && slices.ContainsFunc(l.named(e), func(o pem.Owner) bool { return o.Cluster == cluster && l.failed(o) })
	})
}

// offered returns who publishes a key that may be trusted from them.
func (l law) offered(f pem.Fingerprint) []pem.Owner {
	var owners []pem.Owner
	for _, r := range l.want.Results {
		o := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		if !l.denied(f) && !l.weak(f) && l.read(o) && l.pinned(o.Cluster, f) && slices.ContainsFunc(r.Set.Keys, func(k jwks.Key) bool { return of(k) == f }) {
			owners = append(owners, o)
		}
	}
	return owners
}

func (l law) pinned(cluster string, f pem.Fingerprint) bool {
	return l.rules.Pin[cluster] == nil || slices.Contains(l.rules.Pin[cluster], f)
}

// bound returns the owners of a trusted key for whom it must stay: those who publish it, those
// who could not be read, and other harvesters' clusters. One that must not be trusted stays for
// the last of these alone.
func (l law) bound(f pem.Fingerprint) []pem.Owner {
	owners := l.offered(f)
	for _, o := range l.owners(f) {
		if !l.retired(o) && (l.failed(o) && !l.weak(f) || !l.ours(o.Cluster)) {
			owners = append(owners, o)
		}
	}
	return owners
}

// stays says whether an element, or another with its key, must be there afterwards.
func (l law) stays(e Element) bool {
	switch l.kind(e) {
	case denied, placeholder:
		return false
	case claimed:
		return true
	case foreign:
		return l.rules.Foreign != ForeignRemove || l.unread() || !e.Opaque && len(l.offered(e.Fingerprint)) > 0
	}
	return len(l.bound(e.Fingerprint)) > 0 || l.retained(e) || l.young(e) || l.returned(e)
}

// returned reports whether a key goes back to foreign: it was adopted, and the mount is used by
// others too.
func (l law) returned(e Element) bool {
	left := slices.DeleteFunc(l.named(e), l.retired)
	if l.rules.Foreign == ForeignRemove || l.kind(e) != owned ||
		len(left) > 0 && !slices.ContainsFunc(left, func(o pem.Owner) bool { return l.pinned(o.Cluster, e.Fingerprint) }) {
		return false
	}
	adopted := slices.ContainsFunc(l.elements, func(other Element) bool {
		return l.kind(other) == owned && other.Fingerprint == e.Fingerprint && other.Block.Annotation.Adopted
	})
	return adopted && l.count(e.Fingerprint, owned) == 1 && slices.ContainsFunc(l.elements, func(other Element) bool {
		return l.kind(other) == claimed || l.kind(other) == foreign && (other.Opaque || len(l.offered(other.Fingerprint)) == 0)
	})
}

// retained says whether the only element of a key is in its retention period.
func (l law) retained(e Element) bool {
	a := e.Block.Annotation
	left := slices.DeleteFunc(l.named(e), l.retired)
	pinned := slices.ContainsFunc(left, func(o pem.Owner) bool { return l.pinned(o.Cluster, e.Fingerprint) })
	return l.rules.Retain > 0 && !l.weak(e.Fingerprint) && pinned && l.count(e.Fingerprint, owned) == 1 && (a.Missing.IsZero() || l.rules.Now.Before(a.Missing.Add(l.rules.Retain)))
}

// young says whether a key was added after its owner was asked.
func (l law) young(e Element) bool {
	a := e.Block.Annotation
	return !l.weak(e.Fingerprint) && l.count(e.Fingerprint, owned) == 1 && slices.ContainsFunc(l.named(e), func(o pem.Owner) bool {
		r := l.result(o)
		return r != nil && l.ours(o.Cluster) && !l.retired(o) && l.pinned(o.Cluster, e.Fingerprint) &&
			!r.Asked.IsZero() && !a.Added.Before(r.Asked) && !a.Added.After(l.rules.Now.Add(time.Minute))
	})
}

// count returns how many elements of these kinds have a key.
func (l law) count(f pem.Fingerprint, kinds ...string) int {
	n := 0
	for _, e := range l.elements {
		if !e.Opaque && e.Fingerprint == f && slices.Contains(kinds, l.kind(e)) {
			n++
		}
	}
	return n
}

// requireRefused checks that there was a reason to make no plan.
func (l law) requireRefused(t *testing.T, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), privateText[30:60])
	stays := slices.ContainsFunc(l.elements, l.stays)
	for _, r := range l.want.Results {
		if r.Set != nil {
			stays = stays || slices.ContainsFunc(r.Set.Keys, func(k jwks.Key) bool { return len(l.offered(of(k))) > 0 && !l.leftOut(of(k)) })
		}
	}
	require.ErrorIs(t, err, ErrLastKey)
	require.False(t, stays || l.rules.AllowEmpty || len(l.elements) == 0, err)
}

// leftOut says whether a stated list keeps a key out that nobody trusts yet.
func (l law) leftOut(f pem.Fingerprint) bool {
	return l.rules.LeaveOut != "" && l.count(f, owned, foreign) == 0 && !slices.ContainsFunc(l.want.Results, func(r jwks.Result) bool {
		return slices.Contains(l.offered(f), pem.Owner{Cluster: r.Cluster, Region: r.Region}) &&
			slices.ContainsFunc(r.Set.Keys, func(k jwks.Key) bool { return of(k) == f && l.logsIn(k) })
	})
}

// logsIn reports whether logins are taken by one of the algorithms of an Ed25519 key: those that
// it is published with or, where there are none, EdDSA.
func (l law) logsIn(k jwks.Key) bool {
	algs := k.Algorithms
	if len(algs) == 0 {
		algs = []string{"EdDSA"}
	}
	return len(l.rules.Algorithms) == 0 || slices.ContainsFunc(algs, func(alg string) bool {
		return slices.Contains(l.rules.Algorithms, alg) || alg == "Ed25519" && slices.Contains(l.rules.Algorithms, "EdDSA")
	})
}

// requireLockedOut checks that just those are named whose keys are trusted in vain.
func (l law) requireLockedOut(t *testing.T, p *Plan, now map[pem.Fingerprint][]pem.Owner) {
	t.Helper()
	named := map[pem.Owner]int{}
	for _, locked := range p.LockedOut {
		require.Zero(t, named[locked.Owner], "%s is named twice", locked.Owner)
		named[locked.Owner] = len(locked.Keys)
	}
	for _, r := range l.want.Results {
		o := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		kept := 0
		if l.read(o) {
			for _, k := range r.Set.Keys {
				if slices.Contains(l.offered(of(k)), o) && len(now[of(k)]) > 0 && !l.logsIn(k) {
					kept++
				}
			}
		}
		require.Equal(t, kept, named[o], "%s", o)
	}
}
