package plan

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/pem"
)

// FuzzNew plans over arbitrary lists and sets and checks what must hold of any plan, by what law
// says of the scene.
func FuzzNew(f *testing.F) {
	raw := []string{
		"", "note", "x\n-----BEGIN PUBLIC KEY-----\n", `cluster="a" zz="\x00"`, "\"\x1b[2J\u2028", `cluster="a" added="9999-12-31T23:59:59-01:00"`,
		"\n" + paste("k1"), certificates()["k2"], strings.Repeat("long ", 1000),
	}
	random := rand.NewChaCha8([32]byte{}) // so that go test, by itself, sees some of everything
	for i := range 256 {
		seed := make([]byte, 200)
		_, _ = random.Read(seed)
		f.Add(seed, raw[i%len(raw)])
	}
	f.Fuzz(func(t *testing.T, data []byte, raw string) {
		const most = 4096
		s := draw(&choices{data}, raw[:min(len(raw), most)])
		defer func() {
			if t.Failed() {
				t.Log(s)
			}
		}()
		l := newLaw(s)
		p, err := New(Read(s.list), s.want, s.rules)
		if err != nil {
			l.requireRefused(t, err)
			return
		}
		l.require(t, p)
		requireApplied(t, p, s.want, s.rules)
		requireSettled(t, p, s)
		requireParts(t, l, p)
		requirePlain(t, p)

		same, err := New(Read(s.list), s.want, s.rules)
		require.NoError(t, err)
		require.Equal(t, p.Next, same.Next, "the same input gives the same bytes")
		slices.Reverse(s.list)
		other, err := New(Read(s.list), s.want, s.rules)
		require.NoError(t, err)
		require.ElementsMatch(t, p.Next, other.Next, "the order of the list decides nothing")
	})
}

// require checks that all that the law binds is there afterwards, and nothing that it forbids.
func (l law) require(t *testing.T, p *Plan) {
	t.Helper()
	next := Read(p.Next)
	now := map[pem.Fingerprint][]pem.Owner{} // the owners of what is trusted then
	for _, e := range next {
		if !e.Opaque {
			now[e.Fingerprint] = append(now[e.Fingerprint], e.Block.Annotation.Owners()...)
		}
	}
	for _, e := range l.elements {
		kind := l.kind(e)
		_, trusted := now[e.Fingerprint]
		switch {
		case kind == denied:
			require.False(t, trusted, "a denied key stays")
		case kind == claimed, kind == foreign && l.stays(e) && (e.Opaque || len(l.offered(e.Fingerprint)) == 0):
			// More of them where a key of ours becomes another harvester's alone.
			require.GreaterOrEqual(t, times(p.Next, e.Text), times(l.raw(), e.Text), "a %s element was touched: %q", kind, e.Text)
		case l.stays(e):
			require.True(t, trusted || l.givesWay(next, e), "%s: a key that must stay went: %q", kind, e.Text)
		case kind == placeholder, kind == foreign, !l.retired(e.Block.Annotation.Owner()), l.unread(), l.returned(e):
		default:
			require.False(t, trusted && l.count(e.Fingerprint, owned, foreign, claimed, placeholder) == 1, "a retired key stays: %q", e.Text)
		}
		asItWas := slices.Contains(p.Next, e.Text) && !l.roomy(p.Next) // a longer annotation waits for room
		for _, o := range l.bound(e.Fingerprint) {
			require.True(t, kind != owned || slices.Contains(now[e.Fingerprint], o) || asItWas, "%s lost its key", o)
		}
		l.requireAdopted(t, e, next)
	}
	// What is published is trusted, and nothing else has come.
	for _, r := range l.want.Results {
		if o := (pem.Owner{Cluster: r.Cluster, Region: r.Region}); l.read(o) {
			for _, k := range r.Set.Keys {
				require.True(t, !slices.Contains(l.offered(of(k)), o) || len(now[of(k)]) > 0 || l.leftOut(of(k)) || l.crowded(p, next, of(k)), "%s's key %s isn't trusted", o, k.KeyID)
			}
		}
	}
	for _, e := range next {
		ours := slices.Contains(l.raw(), e.Text)
		require.True(t, ours || len(l.offered(e.Fingerprint)) > 0 || l.count(e.Fingerprint, owned, foreign, claimed, placeholder) > 0, "from nowhere: %q", e.Text)
	}
	for _, k := range p.Add {
		require.Contains(t, l.offered(k.Fingerprint), k.Owner)
		require.False(t, l.leftOut(k.Fingerprint), "no login by it")
	}
	l.requireLockedOut(t, p, now)
	for _, failure := range p.Failed {
		o := pem.Owner{Cluster: failure.Cluster, Region: failure.Region}
		if errors.Is(failure.Err, ErrNoRoom) {
			require.True(t, slices.ContainsFunc(p.Skipped, func(k Key) bool { return k.Reason == ReasonNoRoom }))
			continue
		}
		require.True(t, l.failed(o) || errors.Is(failure.Err, ErrNotRead) && o.Region == "" && l.silent(o.Cluster), "%s has not failed", o)
	}
	for _, e := range l.elements {
		for _, o := range l.owners(e.Fingerprint) {
			require.Equal(t, l.failed(o) || l.ours(o.Cluster) && o.Region == "" && l.silent(o.Cluster), slices.ContainsFunc(p.Failed, func(f Failure) bool {
				_, full := f.Err.(*RoomError) //nolint:errorlint // by itself: not one beside another failure
				return f.Cluster == o.Cluster && f.Region == o.Region && !full
			}), o)
		}
	}
}

// crowded reports whether a key that waits does so rightly: each cluster that publishes it has as
// many keys as it may, or the configuration has no room for it, and a failure tells of one of them.
func (l law) crowded(p *Plan, next []Element, f pem.Fingerprint) bool {
	told := false
	for _, o := range l.offered(f) {
		full := slices.ContainsFunc(p.Failed, func(failure Failure) bool { return failure.Cluster == o.Cluster && errors.Is(failure.Err, ErrNoRoom) })
		told = told || full
		if l.has(next, o.Cluster) < l.mostKeys() && l.roomy(p.Next) {
			return false
		}
	}
	return told
}

// roomy reports whether any element of a published key would have room.
func (l law) roomy(next []string) bool {
	const most = 1 << 10
	return l.rules.MaxSize == 0 || l.rules.Size+sizeOf(next) < l.rules.MaxSize-most
}

// has counts the keys that a cluster publishes or owns.
func (l law) has(next []Element, cluster string) int {
	keys := map[pem.Fingerprint]bool{}
	for _, e := range next {
		if !e.Opaque && l.kind(e) == owned && (e.Block.Annotation.Cluster == cluster || slices.ContainsFunc(l.offered(e.Fingerprint), func(o pem.Owner) bool { return o.Cluster == cluster })) {
			keys[e.Fingerprint] = true
		}
	}
	return len(keys)
}

func (l law) mostKeys() int {
	if l.rules.MaxKeys == 0 {
		return 256
	}
	return l.rules.MaxKeys
}

// givesWay reports whether a key that only its retention period holds went for want of room: for
// all that its cluster publishes, or owns, there wasn't enough.
func (l law) givesWay(next []Element, e Element) bool {
	if l.kind(e) != owned || len(l.bound(e.Fingerprint)) > 0 || l.young(e) {
		return false
	}
	return slices.ContainsFunc(l.named(e), func(o pem.Owner) bool {
		all := len(next)
		for _, r := range l.want.Results {
			if r.Set != nil {
				all += len(r.Set.Keys)
			}
		}
		return all >= l.mostKeys() && l.ours(o.Cluster)
	})
}

func (l law) raw() []string {
	var out []string
	for _, e := range l.elements {
		out = append(out, e.Text)
	}
	return out
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

// requireAdopted checks that a key which is annotated anew keeps what harvest doesn't own.
func (l law) requireAdopted(t *testing.T, old Element, next []Element) {
	t.Helper()
	if kind := l.kind(old); kind != owned && kind != foreign || old.Opaque || l.count(old.Fingerprint, owned, foreign, claimed, placeholder) != 1 {
		return
	}
	for _, e := range next {
		if e.Fingerprint != old.Fingerprint || e.Text == old.Text {
			continue
		}
		require.Equal(t, old.Block.Comment, e.Block.Comment)
		require.Equal(t, old.Block.Annotation.Unknown, e.Block.Annotation.Unknown)
		if a := e.Block.Annotation; l.ours(a.Cluster) {
			require.Equal(t, old.Foreign() || old.Block.Annotation.Adopted, a.Adopted, "whether a key was foreign before")
		}
		if !old.Foreign() {
			require.Equal(t, old.Block.Annotation.Added, e.Block.Annotation.Added, "the day a key was added changed")
		}
	}
}

// requireParts checks what Plan says of its lists.
func requireParts(t *testing.T, l law, p *Plan) {
	t.Helper()
	require.Len(t, p.Next, len(p.Add)+len(p.Adopt)+len(p.Keep)+len(p.Claimed)+len(p.Foreign))
	has := func(list []Key, f pem.Fingerprint) int {
		return len(slices.DeleteFunc(slices.Clone(list), func(k Key) bool { return k.Fingerprint != f }))
	}
	kinds := map[pem.Fingerprint]map[string]int{{}: {}}
	for _, e := range l.elements {
		if kinds[e.Fingerprint] == nil {
			kinds[e.Fingerprint] = map[string]int{}
		}
		kinds[e.Fingerprint][l.kind(e)]++
	}
	for _, k := range slices.Concat(p.Adopt, p.Keep, p.Remove, p.Claimed, p.Foreign) {
		require.Contains(t, kinds, k.Fingerprint)
	}
	for f, n := range kinds {
		total := 0
		for _, count := range n {
			total += count
		}
		listed := has(p.Keep, f) + has(p.Remove, f) + has(p.Claimed, f) + has(p.Foreign, f)
		adopted := has(p.Adopt, f)
		require.LessOrEqual(t, adopted, 1)
		if adopted == 0 {
			require.Equal(t, total, listed, "elements and entries of a key: %v", n)
		} else { // of ours, and foreign ones that are adopted, one is left
			beside := n[claimed] + n[placeholder]
			if len(l.offered(f)) == 0 {
				beside += n[foreign]
			}
			require.Equal(t, beside, listed, "beside an adopted key: %v", n)
		}
		require.Equal(t, n[claimed], has(p.Claimed, f))
		require.LessOrEqual(t, has(p.Foreign, f), n[foreign]+has(p.GivenBack, f))
		require.GreaterOrEqual(t, has(p.Remove, f), n[denied])
		require.True(t, has(p.Add, f) == 0 || n[owned]+n[foreign]+n[denied] == 0, "added, but already there: %v", n)
	}
}

// requirePlain checks that what is shown of a plan is JSON, and shows no private key.
func requirePlain(t *testing.T, p *Plan) {
	t.Helper()
	text, err := json.Marshal(slices.Concat(p.Add, p.Adopt, p.Keep, p.Remove, p.Claimed, p.Foreign, p.Skipped))
	require.NoError(t, err)
	require.NotContains(t, string(text)+strings.Join(p.Warnings, "")+strings.Join(p.Remarks, ""), privateText[30:60])
}
