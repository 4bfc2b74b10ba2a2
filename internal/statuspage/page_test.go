package statuspage

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// examplePage is the page that the documentation shows: every state there is.
func examplePage() monitor.Facts {
	const vault, eu = "https://vault.example.com:8200", "https://vault.eu.example.com:8200"
	added := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	key := func(state monitor.KeyState, cluster, region, kid string, age time.Duration, reason string) monitor.Key {
		return monitor.Key{
			Owner: pem.Owner{Cluster: cluster, Region: region}, KeyID: kid, Algorithm: "RS256", Reason: reason, Added: added(age), State: state,
			Fingerprint: sha256.Sum256([]byte(kid)), Trusted: state != monitor.Pending && state != monitor.Refused && state != monitor.Skipped && state != monitor.Denied,
		}
	}
	unannotated := key(monitor.Foreign, "", "", "", 0, `nobody's; kept, because foreign = "warn"`)
	unannotated.Added = time.Time{}
	pending := key(monitor.Pending, "eu-west", "", "0d4f7c52-8a1b-4b0e-9c55-1f2e8d7a6b3c", 0, "published, not yet trusted")
	pending.Added = time.Time{}
	skipped := key(monitor.Skipped, "us-east", "us-east-2", "ed7f0c11-53a9-47d8-8e64-0c9b1a2d3e4f", 0, "weak: RSA modulus of 1024 bits")
	skipped.Added = time.Time{}
	denied := key(monitor.Denied, "eu-west", "", "77b0e5d3-2c6a-4f18-a9e1-5d4c3b2a1908", 0, "denied")
	denied.Added = time.Time{}
	rebuilt := key(monitor.Refused, "ci", "", "e4d909c2-90d0-4b1c-a068-ffaddf22cbd0", 0, "")
	rebuilt.Added = time.Time{}
	edge := []monitor.Key{key(monitor.Trusted, "edge", "", "b45c9a02-6d3e-4e7f-8a9b-0c1d2e3f4a5b", 26*day, "kept: edge could not be read")}
	refused := monitor.LastError{Text: "GET https://nomad.edge.example.com:4646/.well-known/jwks.json: dial tcp 198.51.100.7:4646: i/o timeout", At: added(4 * time.Minute)}
	return monitor.Facts{
		Watching: true,
		Clusters: []monitor.ClusterFacts{
			{Owner: pem.Owner{Cluster: "us-east", Region: "us-east-1"}, From: monitor.FromNomad, Read: added(12 * time.Second), Published: 2},
			{Owner: pem.Owner{Cluster: "us-east", Region: "us-east-2"}, From: monitor.FromNomad, Read: added(31 * time.Second), Published: 1, Skipped: 1},
			{Owner: pem.Owner{Cluster: "eu-west"}, From: monitor.FromNomad, Read: added(8 * time.Second), Published: 3, Last: monitor.LastError{Text: "503 no cluster leader", At: added(5 * time.Hour)}},
			{Owner: pem.Owner{Cluster: "edge"}, From: monitor.FromNomad, Read: added(47 * time.Minute), Published: 1, Failing: true, Last: refused},
			{Owner: pem.Owner{Cluster: "ci"}, From: monitor.FromNomad, Read: added(5 * time.Second), Published: 1},
			{Owner: pem.Owner{Cluster: "eks"}, From: "OIDC issuer", Read: added(44 * time.Second), Published: 1},
		},
		Mounts: []monitor.MountFacts{
			{
				ID: vaultsync.MountID{Vault: vault, Namespace: "", Path: "jwt-nomad"}, Clusters: []string{"us-east", "edge"}, Synced: added(47 * time.Minute), Known: true, Partial: true,
				Repaired: 1, Warnings: []string{"1 of the trusted keys is no cluster's: anyone who holds a private half of one can log in"},
				Keys: monitor.Keys{List: append(edge,
					key(monitor.Trusted, "us-east", "us-east-1", "80ef5b3f-1c2d-4a5b-9e8f-7a6b5c4d3e2f", 3*time.Hour, ""),
					key(monitor.Trusted, "us-east", "us-east-1", "3f0fccd0-9b8a-4c7d-8e6f-5a4b3c2d1e0f", 18*day, ""),
					key(monitor.Trusted, "us-east", "us-east-2", "a04326cf-7e6d-4f5c-8b4a-392817065f4e", 33*day, ""),
					key(monitor.Retained, "us-east", "us-east-2", "fd33f64f-0a1b-4c2d-9e3f-4a5b6c7d8e9f", 63*day, "no longer published; retained until 2026-11-22T12:40:00Z"),
					key(monitor.Claimed, "ap-south", "", "5e6f7a8b-9c0d-4e1f-a2b3-c4d5e6f7a8b9", 9*day, "of a cluster that isn't this mount's here"),
					skipped, unannotated,
				)},
			},
			{
				ID: vaultsync.MountID{Vault: eu, Namespace: "team-a", Path: "jwt-nomad"}, Clusters: []string{"eu-west"}, Synced: added(20 * time.Minute), Known: true, Failing: true,
				Last: monitor.LastError{Text: "writing the configuration: 503 Vault is sealed", At: added(90 * time.Second)},
				Keys: monitor.Keys{List: []monitor.Key{
					key(monitor.Trusted, "eu-west", "", "1b2c9f40-5d6e-4f7a-8b9c-0d1e2f3a4b5c", 30*time.Minute, ""),
					key(monitor.Outgoing, "eu-west", "", "c0ffee12-3456-4789-abcd-ef0123456789", 45*day, "no longer published"), pending, denied,
				}},
			},
			{
				ID: vaultsync.MountID{Vault: vault, Path: "jwt-ci"}, Clusters: []string{"ci"}, Synced: added(70 * time.Minute), Known: true, Partial: true,
				Failures: []monitor.SourceFailure{{Owner: pem.Owner{Cluster: "ci"}, Last: monitor.LastError{
					Text: "none of the published keys is trusted already: trusted sha256:8b1a9953, published sha256:3b5d5c37; a wrong address, a rebuilt cluster, or one name for two clusters",
					At:   added(69 * time.Minute),
					Hint: "Trusted now:\n  sha256:8b1a9953c4611296a827abf8c47804d7e6c49c6b97a4f4a1b1f7e1f3a0d1c2b3\n" +
						"Published now:\n  sha256:3b5d5c3712955042212316173ccf37be800c1b4e6d5a2f9c8e7b6a5d4c3b2a19\n" +
						"If these are the cluster's new keys:\n  harvest sync -config /etc/harvest/harvest.hcl -allow-turnover=ci",
				}}},
				Keys: monitor.Keys{List: []monitor.Key{
					rebuilt, key(monitor.Trusted, "ci", "", "6512bd43-d9ca-4e02-8c99-0b0a82652dca", 12*day, "kept: the turnover of ci is refused"),
				}},
			},
			{
				ID: vaultsync.MountID{Vault: eu, Namespace: "team-b", Path: "jwt-eks"}, Clusters: []string{"eks"}, Synced: added(2 * time.Minute), Known: true, InSync: true,
				Keys: monitor.Keys{List: []monitor.Key{key(monitor.Trusted, "eks", "", "9d8c7b6a-5f4e-4d3c-b2a1-908f7e6d5c4b", 100*day, "")}},
			},
		},
	}
}

var update = flag.Bool("update", false, "write golden files anew")

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPageGolden(t *testing.T) {
	p := New(examplePage(), "0.1.0", now)
	p.Refresh = refresh
	body, err := p.HTML()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("testdata/page.html", body, 0o600))
	}
	want, err := os.ReadFile("testdata/page.html")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(body))
}

// The next key is monitor.Expected when -rotation says, where it is given.
func TestPageRotation(t *testing.T) {
	f := func(rotation time.Duration) monitor.Facts {
		source := pem.Owner{Cluster: "us-east"}
		return monitor.Facts{
			Rotation: rotation, Clusters: []monitor.ClusterFacts{{Owner: source, From: monitor.FromNomad, Read: now}},
			Mounts: []monitor.MountFacts{{Known: true, Clusters: []string{"us-east"}, Keys: monitor.Keys{List: []monitor.Key{
				{Owner: source, KeyID: "k", Added: now.Add(-40 * 24 * time.Hour), State: monitor.Trusted, Trusted: true},
			}}}},
		}
	}
	for rotation, want := range map[time.Duration][]string{
		0: {
			"2026-11-12", "that is past: the cluster rotates less often",
			"30 days after the newest was added: the default of <code>root_key_rotation_threshold</code>.",
		},
		2160 * time.Hour: {
			"2027-01-11", "",
			"90 days after the newest was added: <code>root_key_rotation_threshold</code>, as <code>-rotation</code> has it.",
		},
		90 * time.Minute: {"2026-10-13", "that is past: the cluster rotates less often", "1h30m0s after"},
	} {
		p := New(f(rotation), "0.1.0", now)
		body, err := p.HTML()
		require.NoError(t, err)
		shown := p.Mounts[0].Keys[0]
		assert.Equal(t, want[0], shown.Next.Text, rotation)
		assert.Equal(t, want[1], shown.NextNote, rotation)
		assert.Contains(t, string(body), want[2])
	}
}

// hostile is what a cluster, an annotation or an error could say.
const hostile = `</title></style></code><script>alert(1)</script><img src=x onerror=alert(2)>"' onload=alert(3) {{.}}` + "\x1b[2J\u202egnp\x00\u2028"

// Whatever comes from outside is text on the page, and steers neither it nor its reader.
func TestPageHostile(t *testing.T) {
	source := pem.Owner{Cluster: hostile, Region: hostile}
	body, err := New(monitor.Facts{
		Problems: []monitor.Problem{{Severity: monitor.SeverityError, Where: text.Escape(hostile), Message: text.Escape(hostile), Fix: text.Escape(hostile)}},
		Clusters: []monitor.ClusterFacts{{Owner: source, From: monitor.FromNomad, Failing: true, Last: monitor.LastError{Text: hostile, At: now}, Read: now}},
		Mounts: []monitor.MountFacts{{
			ID: vaultsync.MountID{Vault: hostile, Namespace: hostile, Path: hostile}, Clusters: []string{hostile}, Known: true, Failing: true, Last: monitor.LastError{Text: hostile, At: now},
			Keys: monitor.Keys{List: []monitor.Key{
				{Owner: source, KeyID: hostile, Algorithm: hostile, Reason: hostile, Added: now, State: monitor.Trusted, Trusted: true},
				{Owner: pem.Owner{Cluster: hostile + "2", Region: hostile}, KeyID: hostile, Algorithm: hostile, Reason: hostile, Added: now, State: monitor.Claimed, Trusted: true},
			}},
			Failures: []monitor.SourceFailure{{Owner: source, Last: monitor.LastError{Text: hostile, Hint: hostile + "\n" + hostile}}}, Problems: []monitor.Problem{{Severity: monitor.SeverityWarning, Message: hostile, Fix: hostile}},
			Warnings: []string{hostile},
		}},
	}, "0.1.0", now).HTML()
	require.NoError(t, err)
	page := string(body)
	assert.NotRegexp(t, `(?i)<script|<img`, page)
	assert.Equal(t, 1, strings.Count(page, "</style>"))
	assert.Equal(t, 1, strings.Count(page, "</title></style>")+strings.Count(page, "</title>\n<style>"), "the document's own title")
	assert.NotContains(t, page, "\x1b")
	assert.NotContains(t, page, "\u202e")
	assert.NotContains(t, page, "\u2028")
	assert.NotContains(t, page, "\x00")
	assert.Contains(t, page, `&lt;script&gt;alert(1)&lt;/script&gt;`)
	assert.Contains(t, page, `\x1b[2J\u202egnp\x00\u2028`)
	assert.Empty(t, regexp.MustCompile(`<[^>]*"[^>="]*onload=`).FindString(page), "no attribute is broken out of")
}

// keyOf returns a key that is another each time.
func keyOf(kid string) jwks.Key {
	return jwks.Key{KeyID: kid, Algorithms: []string{"EdDSA"}, Public: fakenomad.NewKey("EdDSA").Public()}
}

func element(t *testing.T, k jwks.Key, cluster string, added time.Time) string {
	t.Helper()
	text, err := pem.Block{
		Public: k.Public, Annotation: pem.Annotation{Version: 1, Cluster: cluster, KeyID: k.KeyID, Algorithms: k.Algorithms, Added: added},
	}.MarshalText()
	require.NoError(t, err)
	return string(text)
}

// A watch's page follows what becomes of a plan.
func TestPageOfWatch(t *testing.T) {
	older, oldest, fresh := keyOf("3f0f"), keyOf("fd33"), keyOf("80ef")
	old, gone := element(t, older, "us-east", now.Add(-time.Hour)), element(t, oldest, "us-east", now.Add(-2*time.Hour))
	want := plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: &jwks.Set{Keys: []jwks.Key{older, fresh}}}}}
	planOf := func(elements ...string) *plan.Plan {
		p, err := plan.New(plan.Read(elements), want, plan.Rules{Now: now, Retain: time.Hour})
		require.NoError(t, err)
		return p
	}
	id := vaultsync.MountID{Vault: "https://vault:8200", Namespace: "", Path: "jwt-nomad"}
	b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	b.Expect(map[vaultsync.MountID]monitor.Expected{id: {Clusters: []string{"us-east"}}})
	b.Describe(map[string]string{"us-east": monitor.FromNomad})
	look := func() (state string, keys []string) {
		p := New(b.Facts(now), "0.1.0", now)
		require.Len(t, p.Mounts, 1)
		for _, k := range p.Mounts[0].Keys {
			line := string(k.State) + " " + k.KeyID[:4]
			if k.Since.ISO != "" {
				line += " since"
			}
			if k.Next.ISO != "" {
				line += " next"
			}
			keys = append(keys, line)
		}
		return p.Mounts[0].State.Text, keys
	}
	state, shown := look()
	assert.Equal(t, "not read yet", state)
	assert.Empty(t, shown)

	b.Result(want.Results[0], now)
	first := planOf(old, gone)
	b.Report(&vaultsync.MountReport{MountID: id, Plan: first, Err: errors.New("sealed")}, now)
	state, shown = look()
	assert.Equal(t, "not in sync", state)
	assert.Equal(t, []string{"pending 80ef", "trusted 3f0f since next", "retained fd33 since"}, shown)

	b.Event(vaultsync.Event{Mount: id, Kind: vaultsync.EventAdded, Key: first.Add[0]}, now)
	_, shown = look()
	assert.Equal(t, []string{"trusted 80ef since next", "trusted 3f0f since", "retained fd33 since"}, shown)

	b.Report(&vaultsync.MountReport{MountID: id, Plan: first}, now) // superseded, as far as its report says
	state, shown = look()
	assert.Equal(t, "changes pending", state)
	assert.Equal(t, []string{"trusted 80ef since next", "trusted 3f0f since", "retained fd33 since"}, shown)

	b.Report(&vaultsync.MountReport{MountID: id, Plan: planOf(old, element(t, fresh, "us-east", now))}, now)
	state, shown = look()
	assert.Equal(t, "in sync", state)
	assert.Equal(t, []string{"trusted 80ef since next", "trusted 3f0f since"}, shown)
	p := New(b.Facts(now), "0.1.0", now)
	assert.Equal(t, "Everything is in sync", p.Verdict.Text)
	assert.Equal(t, "sealed", p.Mounts[0].Error, "the last error stays")
	assert.Equal(t, monitor.FromNomad, p.Clusters[0].Kind)
}

// A published key that isn't trusted is on the page, whatever keeps it from being: with it the page
// can't say that nothing is pending.
func TestPageShowsWhatIsPublishedAndUntrusted(t *testing.T) {
	old, fresh := keyOf("0ld0"), keyOf("f2e5")
	id := vaultsync.MountID{Vault: "https://vault:8200", Path: "jwt-nomad"}
	publish := func(keys ...jwks.Key) jwks.Result {
		return jwks.Result{Cluster: "us-east", Set: &jwks.Set{Keys: keys}}
	}
	planned := func(r jwks.Result) *plan.Plan {
		list := []string{element(t, old, "us-east", now.Add(-time.Hour))}
		p, err := plan.New(plan.Read(list), plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{r}}, plan.Rules{Now: now})
		require.NoError(t, err)
		return p
	}
	for name, test := range map[string]struct {
		then  func(b *monitor.Board)
		state string // of the new key
		edge  string
		want  []string // on the page
	}{
		"a refused turnover": {func(b *monitor.Board) {
			r := publish(fresh)
			b.Result(r, now)
			b.Report(&vaultsync.MountReport{MountID: id, Plan: planned(r)}, now)
		}, "refused", "bad", []string{
			">1</b> <span>change pending, 1 refused", "<dd>1 refused</dd>", "do this\n  harvest sync", "kept: the turnover of us-east is refused", "partly in sync",
		}},
		"a Vault that is sealed": {func(b *monitor.Board) {
			b.Result(publish(old, fresh), now)
			b.Report(&vaultsync.MountReport{MountID: id, Err: vaultsync.ErrSealed}, now)
		}, "pending", "wait", []string{">1</b> <span>change pending<", "<dd>1 to add</dd>", "not in sync", "do this"}},
		"a sync that is under way": {func(b *monitor.Board) {
			b.Result(publish(old, fresh), now)
		}, "pending", "wait", []string{">1</b> <span>change pending<", "<dd>1 to add</dd>", "changes pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "do this\n  harvest sync" })
			b.Expect(map[vaultsync.MountID]monitor.Expected{id: {Clusters: []string{"us-east"}}})
			b.Result(publish(old), now)
			b.Report(&vaultsync.MountReport{MountID: id, Plan: planned(publish(old))}, now)
			require.Empty(t, b.OutOfSync())
			require.Equal(t, "Everything is in sync", New(b.Facts(now), "0.1.0", now).Verdict.Text)

			test.then(b)
			assert.Len(t, b.OutOfSync(), 1)
			families, err := monitor.NewRegistry(b, monitor.Build{}).Gather()
			require.NoError(t, err)
			assert.Contains(t, fmt.Sprint(families), `name:"harvest_keys_untrusted"`)
			assert.Regexp(t, `name:"harvest_keys_untrusted".*?gauge:\{value:1\}`, fmt.Sprint(families))
			p := New(b.Facts(now), "0.1.0", now)
			body, err := p.HTML()
			require.NoError(t, err)
			for _, want := range test.want {
				assert.Contains(t, string(body), want)
			}
			assert.NotContains(t, string(body), "Everything is in sync")
			assert.NotContains(t, string(body), "could not be read")
			require.Len(t, p.Mounts[0].Keys, 2)
			assert.Equal(t, test.state+" f2e5", string(p.Mounts[0].Keys[0].State)+" "+p.Mounts[0].Keys[0].KeyID)
			assert.NotEmpty(t, p.Mounts[0].Keys[0].Full)
			require.Len(t, p.Graph.Lines, 1)
			assert.Equal(t, test.edge, p.Graph.Lines[0].Class)
			assert.Equal(t, []string{"jwt-nomad trusts 1 key of us-east, and not 1 more."}, p.Graph.Words)
		})
	}
}

// What a watch remembers for its page is bounded, whatever it hears.
func TestPageIsBounded(t *testing.T) {
	b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	id := vaultsync.MountID{Vault: "https://vault:8200", Namespace: "", Path: "jwt-nomad"}
	b.Expect(map[vaultsync.MountID]monitor.Expected{id: {Clusters: []string{"us-east"}}})
	planned := &plan.Plan{}
	for i := range monitor.MaxRows {
		if i > 0 {
			planned.Keep = append(planned.Keep, plan.Key{Owner: pem.Owner{Cluster: "us-east"}, KeyID: strings.Repeat("k", 256), Reason: "published"})
		}
		planned.Skipped = append(planned.Skipped, plan.Key{Owner: pem.Owner{Cluster: "us-east"}, Reason: strings.Repeat("r", 4000)})
		planned.Warnings = append(planned.Warnings, fmt.Sprint(i, strings.Repeat("w", 4000)))
	}
	b.Report(&vaultsync.MountReport{MountID: id, Plan: planned}, now)
	b.Result(jwks.Result{Cluster: "us-east", Err: errors.New(strings.Repeat("e", 4000))}, now)
	f := b.Facts(now)
	require.Len(t, f.Mounts, 1)
	assert.Len(t, f.Mounts[0].Keys.List, monitor.MaxRows)
	assert.Equal(t, monitor.MaxRows-1, f.Mounts[0].Keys.Unlisted)
	for _, k := range f.Mounts[0].Keys.List {
		assert.LessOrEqual(t, len(k.Reason), monitor.MaxText+len("…"))
	}
	require.Len(t, f.Clusters, 1)
	assert.LessOrEqual(t, len(f.Clusters[0].Last.Text), monitor.MaxText+len("…"))
	assert.NotContains(t, f.Mounts[0].Keys.List[0].Reason, "published", "the state says it")
	problems := New(f, "0.1.0", now).Problems
	assert.Len(t, problems, 1+monitor.MaxRemarks+1, "the cluster, remarks, and how many more")
	for _, p := range problems {
		assert.LessOrEqual(t, len(p.Message), monitor.MaxText+len("…"))
	}
	assert.Equal(t, fmt.Sprintf("and %d more remarks: harvest plan -format json has them all", monitor.MaxRows-monitor.MaxRemarks), problems[len(problems)-1].Message)
}

// What changes on a mount is shown, however many keys stay as they are; what isn't shown is
// counted, in the figures too.
func TestPageShowsChangesFirst(t *testing.T) {
	fingerprint := func(i int) pem.Fingerprint { return sha256.Sum256([]byte(fmt.Sprint(i))) }
	list := func(from, n int, cluster, reason string) (keys []plan.Key) {
		for i := range n {
			keys = append(keys, plan.Key{Owner: pem.Owner{Cluster: cluster}, KeyID: fmt.Sprint(cluster, from+i), Reason: reason, Fingerprint: fingerprint(from + i)})
		}
		return keys
	}
	planned := &plan.Plan{
		Keep: list(10_000, monitor.MaxRows+5, "kept", "published"), Add: list(0, 3, "added", ""), Changed: true,
		Remove:  append(list(100, 2, "removed", ""), list(200, 1, "refused", plan.ReasonDenied)...),
		Claimed: list(300, 1, "claimed", ""), Foreign: list(400, 2, "", ""),
		Skipped: append(list(500, 4, "skipped", "weak"), list(600, 1, "refused", plan.ReasonDenied)...),
	}
	id := vaultsync.MountID{Vault: "https://vault:8200", Namespace: "", Path: "jwt-nomad"}
	b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	b.Expect(map[vaultsync.MountID]monitor.Expected{id: {Clusters: []string{"kept"}}})
	b.Result(jwks.Result{Cluster: "kept", Set: &jwks.Set{Keys: []jwks.Key{keyOf("80ef")}}}, now)
	b.Report(&vaultsync.MountReport{MountID: id, Plan: planned, Err: errors.New("sealed")}, now)
	look := func() (p *Page, shown map[string]int) {
		p, shown = New(b.Facts(now), "0.1.0", now), map[string]int{}
		for _, k := range p.Mounts[0].Keys {
			shown[k.Cluster+" "+string(k.State)]++
		}
		return p, shown
	}
	p, shown := look()
	assert.Equal(t, map[string]int{
		"added pending": 3, "kept pending": 1, "removed outgoing": 2, "refused denied": 1, "kept trusted": monitor.MaxRows - 7,
	}, shown)
	assert.Equal(t, 20, p.Mounts[0].More)
	assert.Equal(t, "4 to add, 3 to remove", p.Mounts[0].Drift)
	assert.Equal(t, figure{fmt.Sprint(monitor.MaxRows + 5 + 3 + 1 + 2), "keys trusted", "none"}, p.Figures[2])
	assert.Equal(t, figure{"7", "changes pending", "wait"}, p.Figures[3])
	assert.Len(t, p.Legend, 6)
	body, err := p.HTML()
	require.NoError(t, err)
	assert.Contains(t, string(body), "<p class=\"more\">Keys that aren't shown: 20.")

	// What happens to keys then keeps the sums.
	for kind, k := range map[vaultsync.EventKind]plan.Key{
		vaultsync.EventAdded: planned.Add[0], vaultsync.EventRemoved: planned.Remove[0], vaultsync.EventAdopted: planned.Keep[monitor.MaxRows],
	} {
		b.Event(vaultsync.Event{Mount: id, Kind: kind, Key: k}, now)
	}
	p, _ = look()
	assert.Equal(t, "3 to add, 2 to remove", p.Mounts[0].Drift)
	assert.Equal(t, fmt.Sprint(monitor.MaxRows+5+3+1+2), p.Figures[2].Value, "one came, one went")
	b.Report(&vaultsync.MountReport{MountID: id, Plan: planned}, now)
	p, shown = look()
	assert.Equal(t, "1 to add", p.Mounts[0].Drift)
	assert.Equal(t, 3, shown["added trusted"])
	assert.Equal(t, fmt.Sprint(monitor.MaxRows+5+3+1+2), p.Figures[2].Value)
}

// A drawing of a thousand clusters shows some, and says so.
func TestPageOfManyClusters(t *testing.T) {
	var f monitor.Facts
	m := monitor.MountFacts{ID: vaultsync.MountID{Path: "jwt-nomad"}, Known: true}
	for i := range 1000 {
		source := pem.Owner{Cluster: "c" + strings.Repeat("0", 3) + string(rune('a'+i%26)) + time.Duration(i).String()}
		f.Clusters = append(f.Clusters, monitor.ClusterFacts{Owner: source, Read: now, Published: 1, Failing: i == 999})
		m.Clusters = append(m.Clusters, source.Cluster)
		m.Keys.List = append(m.Keys.List, monitor.Key{Owner: source, State: monitor.Trusted, Trusted: true})
	}
	f.Mounts = []monitor.MountFacts{m}
	p := New(f, "0.1.0", now)
	assert.Len(t, p.Graph.Left, maxNodes)
	assert.Equal(t, 1000-maxNodes, p.Graph.LeftMore)
	assert.Len(t, p.Graph.Lines, maxNodes)
	assert.Equal(t, maxNodes*rowHeight, p.Graph.Height)
	failing := 0
	for _, n := range p.Graph.Left {
		if n.Class == "bad" {
			failing++
		}
	}
	assert.Equal(t, 1, failing, "what fails is drawn, whatever is left out")
	assert.Len(t, p.Clusters, 1000)
	body, err := p.HTML()
	require.NoError(t, err)
	assert.Contains(t, string(body), "Not drawn: 960 more clusters")
}
