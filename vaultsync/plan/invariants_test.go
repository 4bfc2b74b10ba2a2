package plan

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// invariants are what holds of any plan, one promise of Rules and Plan at a time. None of them
// plans: who could not be read is taken from the plan, and that is checked by itself.
type invariants struct {
	scene
	plan     *Plan
	elements []Element
	next     []Element
}

func of(k jwks.Key) pem.Fingerprint { return fingerprintOf(k.Public.(ed25519.PublicKey)) }

func weak(f pem.Fingerprint) bool { return f == fingerprint("weak") }

func (v invariants) ours(o pem.Owner) bool {
	return slices.Contains(v.want.Clusters, o.Cluster) && !v.retired(o)
}

func (v invariants) retired(o pem.Owner) bool {
	return slices.Contains(v.rules.Retired, o.Cluster) || slices.Contains(v.rules.Retired, o.Cluster+"/"+o.Region)
}

// kind is what an element is to this configuration.
func (v invariants) kind(e Element) string {
	a := e.Block.Annotation
	written := func(o pem.Owner) bool {
		return v.retired(o) || regexp.MustCompile(`^[A-Za-z0-9._-]{0,128}$`).MatchString(o.Region)
	}
	switch {
	case !e.Opaque && slices.Contains(v.rules.Deny, e.Fingerprint):
		return "denied"
	case e.Opaque || a.Version == 0:
		return "foreign"
	case a.Version == 1 && a.Placeholder:
		return "placeholder"
	case a.Version == 1 && (slices.Contains(v.want.Clusters, a.Cluster) || v.retired(a.Owner())) && !slices.ContainsFunc(a.Owners(), func(o pem.Owner) bool { return !written(o) }):
		return "owned"
	}
	return "claimed"
}

// with returns the elements of these kinds that have a key.
func (v invariants) with(f pem.Fingerprint, kinds ...string) (found []Element) {
	for _, e := range v.elements {
		if !e.Opaque && e.Fingerprint == f && slices.Contains(kinds, v.kind(e)) {
			found = append(found, e)
		}
	}
	return found
}

// failure returns why an owner's keys could not be learned, or nil; want of room is no reason.
func (v invariants) failure(o pem.Owner) error {
	for _, f := range v.plan.Failed {
		if _, full := f.Err.(*RoomError); f.Owner == o && !full { //nolint:errorlint // by itself: not one beside another failure
			return f.Err
		}
	}
	return nil
}

// publishers returns the owners who were read and publish a key that may be trusted from them.
func (v invariants) publishers(f pem.Fingerprint) (owners []pem.Owner) {
	for _, r := range v.want.Results {
		o := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		pins := v.rules.Pin[o.Cluster]
		if v.ours(o) && r.Set != nil && v.failure(o) == nil && !weak(f) && !slices.Contains(v.rules.Deny, f) && (pins == nil || slices.Contains(pins, f)) &&
			slices.ContainsFunc(r.Set.Keys, func(k jwks.Key) bool { return of(k) == f }) {
			owners = append(owners, o)
		}
	}
	return owners
}

// trustedFor returns the sound keys that the list has for an owner.
func (v invariants) trustedFor(o pem.Owner) (keys []pem.Fingerprint) {
	for _, e := range v.elements {
		if v.kind(e) == "owned" && !weak(e.Fingerprint) && slices.Contains(e.Block.Annotation.Owners(), o) {
			keys = append(keys, e.Fingerprint)
		}
	}
	return keys
}

func (v invariants) isNext(f pem.Fingerprint) bool {
	return slices.ContainsFunc(v.next, func(e Element) bool { return !e.Opaque && e.Fingerprint == f })
}

// crowded reports whether something may have to wait for room, or give way.
func (v invariants) crowded() bool {
	published := 0
	for _, r := range v.want.Results {
		if r.Set != nil {
			published += len(r.Set.Keys)
		}
	}
	const most = 1 << 10 // of an element
	full := v.rules.MaxSize > 0 && v.rules.Size+sizeOf(v.plan.Next) >= v.rules.MaxSize-most
	return full || v.rules.MaxKeys > 0 && len(v.next)+published >= v.rules.MaxKeys
}

// check checks all of them.
func (v invariants) check(t *testing.T) {
	t.Helper()
	v.checkFailures(t)
	for _, e := range v.elements {
		switch v.kind(e) {
		case "denied":
			require.False(t, v.isNext(e.Fingerprint), "a denied key stays")
		case "claimed":
			require.GreaterOrEqual(t, times(v.plan.Next, e.Text), times(v.list, e.Text), "another harvester's element was touched: %q", e.Text)
		case "foreign":
			v.checkForeign(t, e)
		case "owned":
			v.checkOwned(t, e)
		}
		v.checkRewritten(t, e)
	}
	for _, e := range v.next {
		known := slices.Contains(v.list, e.Text) || len(v.with(e.Fingerprint, "owned", "foreign", "placeholder", "claimed")) > 0
		require.True(t, known || len(v.publishers(e.Fingerprint)) > 0, "from nowhere: %q", e.Text)
	}
	for _, k := range v.plan.Add {
		require.Contains(t, v.publishers(k.Fingerprint), k.Owner)
	}
	v.checkPublished(t)
	v.checkParts(t)
	text, err := json.Marshal(slices.Concat(v.plan.Add, v.plan.Adopt, v.plan.Keep, v.plan.Remove, v.plan.Claimed, v.plan.Foreign, v.plan.Skipped))
	require.NoError(t, err)
	require.NotContains(t, string(text)+strings.Join(v.plan.Warnings, "")+strings.Join(v.plan.Remarks, ""), privateText[30:60])
}

// checkFailures: who has failed is named, and nobody else is.
func (v invariants) checkFailures(t *testing.T) {
	t.Helper()
	for _, r := range v.want.Results {
		o := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		if !v.ours(o) {
			failure := v.failure(o)
			require.True(t, failure == nil || errors.Is(failure, ErrNotRead), "%s: %v", o, failure) // its whole cluster is silent
			continue
		}
		sound, trusted := false, v.trustedFor(o)
		shared := len(trusted) == 0 || slices.Contains(v.rules.AllowTurnover, "*") || slices.Contains(v.rules.AllowTurnover, o.Cluster) || slices.Contains(v.rules.AllowTurnover, o.Cluster+"/"+o.Region)
		if r.Set != nil {
			for _, k := range r.Set.Keys {
				sound = sound || !weak(of(k))
				shared = shared || slices.Contains(trusted, of(k))
			}
		}
		failure := v.failure(o)
		require.Equal(t, r.Err != nil || !sound || !shared, failure != nil, "%s: %v", o, failure)
		require.Equal(t, sound && !shared, errors.Is(failure, ErrTurnover), "%s: %v", o, failure)
		doubted := r.Set != nil && r.Set.Unindexed && (failure == nil || errors.Is(failure, ErrTurnover)) && slices.ContainsFunc(trusted, func(f pem.Fingerprint) bool {
			return !slices.ContainsFunc(r.Set.Keys, func(k jwks.Key) bool { return of(k) == f })
		})
		require.Equal(t, doubted, slices.Contains(v.plan.Doubtful, o), "%s: a loose answer that lacks a key", o)
	}
	for _, f := range v.plan.Failed {
		asked := slices.ContainsFunc(v.want.Results, func(r jwks.Result) bool { return r.Cluster == f.Cluster && r.Region == f.Region })
		require.True(t, asked || len(v.trustedFor(f.Owner)) > 0 || f.Region == "", "%s: %v", f.Owner, f.Err)
		waits := slices.ContainsFunc(v.plan.Skipped, func(k Key) bool { return k.Reason == ReasonNoRoom })
		require.True(t, !errors.Is(f.Err, ErrNoRoom) || waits && f.Region == "", "%s: %v", f.Owner, f.Err)
	}
	for _, k := range v.plan.Skipped {
		told := slices.ContainsFunc(v.publishers(k.Fingerprint), func(o pem.Owner) bool {
			return slices.ContainsFunc(v.plan.Failed, func(f Failure) bool { return f.Cluster == o.Cluster && errors.Is(f.Err, ErrNoRoom) })
		})
		require.True(t, told || k.Reason != ReasonNoRoom, "nobody tells that %s waits", k)
	}
}

// checkForeign: what is nobody's stays as it is, unless it is to go and can be nobody's.
func (v invariants) checkForeign(t *testing.T, e Element) {
	t.Helper()
	switch published := !e.Opaque && len(v.publishers(e.Fingerprint)) > 0; {
	case published:
		require.True(t, v.isNext(e.Fingerprint), "a published key went: %q", e.Text)
	case v.rules.Foreign != ForeignRemove:
		require.Equal(t, times(v.list, e.Text), times(v.plan.Next, e.Text), "a foreign element was touched: %q", e.Text)
	default:
		unread := slices.ContainsFunc(v.plan.Failed, func(f Failure) bool {
			return v.failure(f.Owner) != nil && (len(v.trustedFor(f.Owner)) == 0 || v.retired(f.Owner))
		})
		require.Equal(t, unread || times(v.list, e.Text) == 0, slices.Contains(v.plan.Next, e.Text), "foreign keys go, once all are read: %q", e.Text)
	}
}

// checkOwned: a key stays for those who publish it, can't be read or are others, and for as long
// as the rules have it; else it goes.
func (v invariants) checkOwned(t *testing.T, e Element) {
	t.Helper()
	a, trusted := e.Block.Annotation, v.isNext(e.Fingerprint)
	var left, struck []pem.Owner // those of its owners that may have it and aren't retired; those that are
	bound, others := v.publishers(e.Fingerprint), 0
	for _, o := range a.Owners() {
		pins := v.rules.Pin[o.Cluster]
		switch failed := v.failure(o) != nil && !weak(e.Fingerprint); {
		case v.retired(o):
			struck = append(struck, o)
			continue
		case !v.ours(o):
			others++
			bound = append(bound, o)
		case failed:
			bound = append(bound, o)
		}
		if pins == nil || slices.Contains(pins, e.Fingerprint) {
			left = append(left, o)
		}
	}
	require.True(t, len(bound) == 0 || trusted, "%s lost its key: %q", bound, e.Text)
	for _, o := range bound {
		asItWas := slices.Contains(v.plan.Next, e.Text) && v.crowded() // a longer annotation waits for room
		named := slices.ContainsFunc(v.next, func(n Element) bool {
			return n.Fingerprint == e.Fingerprint && slices.Contains(n.Block.Annotation.Owners(), o)
		})
		require.True(t, named || asItWas, "%s lost its key: %q", o, e.Text)
	}
	if len(v.with(e.Fingerprint, "owned", "foreign", "claimed", "placeholder")) > 1 || len(bound) > 0 {
		return
	}
	young := slices.ContainsFunc(v.want.Results, func(r jwks.Result) bool {
		return slices.Contains(left, pem.Owner{Cluster: r.Cluster, Region: r.Region}) && !r.Asked.IsZero() && !a.Added.Before(r.Asked) && !a.Added.After(now.Add(time.Minute))
	})
	retain := v.rules.Retain
	if retain == 0 && slices.ContainsFunc(v.want.Results, func(r jwks.Result) bool {
		return r.Set != nil && r.Set.Unindexed && slices.Contains(left, pem.Owner{Cluster: r.Cluster, Region: r.Region})
	}) {
		retain = UnindexedRetain
	}
	retained := retain > 0 && len(left) > 0 && (a.Missing.IsZero() || v.rules.Now.Before(a.Missing.Add(retain)))
	returns := a.Adopted && v.rules.Foreign != ForeignRemove && (len(left) > 0 || len(struck) == len(a.Owners())) &&
		len(v.plan.Claimed)+len(v.plan.Foreign)-len(v.plan.GivenBack) > 0
	switch {
	case returns, !weak(e.Fingerprint) && young:
		require.True(t, trusted, "a key that must stay went: %q", e.Text)
	case !weak(e.Fingerprint) && retained:
		require.True(t, trusted || v.crowded(), "a retained key went: %q", e.Text)
	case weak(e.Fingerprint), len(v.plan.Failed) == 0 && retain == 0 && !v.renamed(a):
		require.False(t, trusted, "kept for nobody: %q", e.Text)
	}
}

// renamed reports whether an owner may be asked under another name: the agent's own region has one.
func (v invariants) renamed(a pem.Annotation) bool {
	return slices.ContainsFunc(a.Owners(), func(o pem.Owner) bool {
		return slices.ContainsFunc(v.want.Results, func(r jwks.Result) bool {
			return r.Cluster == o.Cluster && r.Region != o.Region && (r.Region == "" || o.Region == "")
		})
	})
}

// checkRewritten: an element that is annotated again keeps what harvest doesn't own.
func (v invariants) checkRewritten(t *testing.T, old Element) {
	t.Helper()
	if kind := v.kind(old); kind != "owned" && kind != "foreign" || old.Opaque || len(v.with(old.Fingerprint, "owned", "foreign", "claimed", "placeholder")) != 1 {
		return
	}
	for _, e := range v.next {
		if e.Fingerprint != old.Fingerprint || e.Text == old.Text {
			continue
		}
		require.Equal(t, old.Block.Comment, e.Block.Comment)
		require.Equal(t, old.Block.Annotation.Unknown, e.Block.Annotation.Unknown)
		if a := e.Block.Annotation; slices.Contains(v.want.Clusters, a.Cluster) {
			require.Equal(t, old.Foreign() || old.Block.Annotation.Adopted, a.Adopted, "whether a key was foreign before")
		}
		if !old.Foreign() {
			require.Equal(t, old.Block.Annotation.Added, e.Block.Annotation.Added, "the day a key was added changed")
		}
	}
}

// checkPublished: what is published is trusted, or skipped for a reason; and just those are said to
// be locked out whose keys are trusted in vain.
func (v invariants) checkPublished(t *testing.T) {
	t.Helper()
	lockedOut := map[pem.Owner]int{}
	for _, locked := range v.plan.LockedOut {
		require.Zero(t, lockedOut[locked[0].Owner], "%s is named twice", locked[0].Owner)
		lockedOut[locked[0].Owner] = len(locked)
	}
	for _, r := range v.want.Results {
		o, inVain := pem.Owner{Cluster: r.Cluster, Region: r.Region}, 0
		if r.Set == nil {
			continue
		}
		for _, k := range r.Set.Keys {
			f := of(k)
			if !slices.Contains(v.publishers(f), o) {
				continue
			}
			skipped := slices.IndexFunc(v.plan.Skipped, func(s Key) bool {
				return s.Fingerprint == f && s.Reason != "" && slices.Contains([]string{ReasonNoRoom, v.rules.LeaveOut}, s.Reason)
			})
			require.True(t, v.isNext(f) || skipped >= 0, "%s's key %s isn't trusted", o, k.KeyID)
			if skipped >= 0 {
				require.True(t, !v.isNext(f) || len(v.with(f, "claimed", "placeholder")) > 0, "skipped, and trusted")
				require.Empty(t, v.with(f, "owned", "foreign"), "a trusted key waits for nothing")
				require.True(t, v.crowded() || v.plan.Skipped[skipped].Reason != ReasonNoRoom && !v.logsIn(k), "%s's key %s has room", o, k.KeyID)
			}
			if v.isNext(f) && !v.logsIn(k) {
				inVain++
			}
		}
		require.Equal(t, inVain, lockedOut[o], "%s", o)
	}
}

// logsIn reports whether logins are taken by one of the algorithms of an Ed25519 key: those that
// it is published with or, where there are none, EdDSA.
func (v invariants) logsIn(k jwks.Key) bool {
	algs := k.Algorithms
	if len(algs) == 0 {
		algs = []string{"EdDSA"}
	}
	return len(v.rules.Algorithms) == 0 || slices.ContainsFunc(algs, func(alg string) bool {
		return slices.Contains(v.rules.Algorithms, alg) || alg == "Ed25519" && slices.Contains(v.rules.Algorithms, "EdDSA")
	})
}

// checkParts: each element is on one of the plan's lists.
func (v invariants) checkParts(t *testing.T) {
	t.Helper()
	p := v.plan
	require.Len(t, p.Next, len(p.Add)+len(p.Adopt)+len(p.Keep)+len(p.Claimed)+len(p.Foreign))
	listed := map[pem.Fingerprint]int{}
	for _, k := range slices.Concat(p.Keep, p.Remove, p.Claimed, p.Foreign) {
		listed[k.Fingerprint]++
	}
	for _, k := range p.Adopt {
		require.GreaterOrEqual(t, listed[k.Fingerprint], 0, "adopted twice")
		listed[k.Fingerprint] = -1000
	}
	for _, k := range p.Add {
		require.Empty(t, v.with(k.Fingerprint, "owned", "foreign", "denied"), "added, but already there")
	}
	elements := map[pem.Fingerprint]int{}
	for _, e := range v.elements {
		elements[e.Fingerprint]++
	}
	for f, n := range listed {
		require.Positive(t, elements[f])
		require.True(t, n < 0 || n == elements[f], "%d elements, %d entries", elements[f], n)
	}
	for f := range elements {
		require.Contains(t, listed, f, "on no list")
	}
}

// checkRefused: there was a reason to make no plan.
func (v invariants) checkRefused(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, ErrLastKey)
	require.NotContains(t, err.Error(), privateText[30:60])
	require.False(t, v.rules.AllowEmpty || len(v.elements) == 0)
	for _, e := range v.elements {
		stays := v.kind(e) == "claimed" || v.kind(e) == "foreign" && v.rules.Foreign != ForeignRemove
		require.False(t, stays, "it has %q", e.Text)
	}
	for _, r := range v.want.Results {
		o := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		require.False(t, v.ours(o) && r.Err != nil && slices.ContainsFunc(v.trustedFor(o), func(f pem.Fingerprint) bool { return len(v.with(f, "owned")) > 0 }), "%s has keys", o)
	}
}

func times(list []string, text string) int {
	n := 0
	for _, e := range list {
		if e == text {
			n++
		}
	}
	return n
}
