package relay

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

var _ vaultsync.Store = (*Relay)(nil)

// open returns the relay "nomad" of clusters a and b in that directory, opened.
func open(t *testing.T, dir string, changes ...func(*Relay)) *Relay {
	t.Helper()
	r := &Relay{Name: "nomad", Dir: dir, Clusters: []string{"a", "b"}, Rules: plan.Rules{Now: fakekeys.Now}}
	for _, change := range changes {
		change(r)
	}
	_ = r.Open(t.Context(), nil)
	return r
}

func denies(name string) func(*Relay) {
	return func(r *Relay) { r.Rules.Deny = append(r.Rules.Deny, fakekeys.Fingerprint(name)) }
}

// publish makes the relay publish what clusters do, as harvest sync does.
func publish(t *testing.T, r *Relay, results ...jwks.Result) error {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) {
		o := vaultsync.Options{
			Now: r.Rules.Now, Deny: r.Rules.Deny, Pin: r.Rules.Pin, Retired: r.Rules.Retired, AllowEmpty: true, AllowTurnover: []string{"*"},
		}
		mount := &vaultsync.Mount{Path: Path(r.Name), Store: r}
		report, _ := mount.Sync(t.Context(), plan.Desired{Clusters: r.Clusters, Results: results}, o)
		err = report.Err
	})
	return err
}

// get asks a server of the relay.
func get(t *testing.T, r *Relay, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var s Server
	s.Use([]*Relay{r})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, request)
	return w
}

const keySetPath = "/relay/nomad/jwks.json"

// served returns the kids that the relay serves; nil where it answers 503.
func servedBy(t *testing.T, r *Relay) []string {
	t.Helper()
	w := get(t, r, keySetPath)
	if w.Code == http.StatusServiceUnavailable {
		return nil
	}
	require.Equal(t, http.StatusOK, w.Code)
	return kids(t, w.Body.Bytes())
}

// kids returns those of a key set, by way of what reads Nomad's.
func kids(t *testing.T, document []byte) []string {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	require.NoError(t, json.Unmarshal(document, &set))
	names := []string{}
	for _, k := range set.Keys {
		names = append(names, k.Kid)
	}
	return names
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(data)
}

func write(t *testing.T, dir, name, data string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
}

func TestSyncWritesTheFilesAndServesThem(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, func(r *Relay) { r.Issuer = "https://keys.example.com/relay/nomad" })
	w := get(t, r, keySetPath)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Contains(t, w.Body.String(), "none of its clusters has been read")

	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1", "k2"), fakekeys.Publish("b", "k3")))
	assert.ElementsMatch(t, []string{"k1", "k2", "k3"}, servedBy(t, r))
	assert.Equal(t, get(t, r, keySetPath).Body.String(), read(t, dir, "jwks.json"))
	discovery := get(t, r, "/relay/nomad/.well-known/openid-configuration")
	assert.Equal(t, discovery.Body.String(), read(t, dir, ".well-known/openid-configuration"))
	var said map[string]any
	require.NoError(t, json.Unmarshal(discovery.Body.Bytes(), &said))
	assert.Equal(t, "https://keys.example.com/relay/nomad", said["issuer"])
	assert.Equal(t, "https://keys.example.com/relay/nomad/jwks.json", said["jwks_uri"])

	state := read(t, dir, "keys.pem")
	assert.Equal(t, 3, strings.Count(state, `harvest/1 cluster=`), "the state says whose each key is")
	again, err := jwks.Parse([]byte(read(t, dir, "jwks.json")))
	require.NoError(t, err)
	assert.Len(t, again.Keys, 3, "the set passes what a cluster's must")
	assert.Empty(t, again.Skipped)
	assert.Empty(t, again.Warnings)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 3, "nothing is left over")
}

// What nobody can date is the same for two instances, whenever each began.
func TestInstancesServeTheSameBytes(t *testing.T) {
	first, second := open(t, t.TempDir()), open(t, t.TempDir())
	require.NoError(t, publish(t, first, fakekeys.Publish("a", "k1")))
	require.NoError(t, publish(t, first, fakekeys.Publish("a", "k1", "k2"), fakekeys.Publish("b", "k3")))
	second.Rules.Now = fakekeys.Now.AddDate(0, 0, 1)
	second.Clusters = []string{"b", "a"}
	require.NoError(t, publish(t, second, fakekeys.Publish("b", "k3"), fakekeys.Publish("a", "k2", "k1")))
	assert.Equal(t, read(t, first.Dir, "jwks.json"), read(t, second.Dir, "jwks.json"))
	assert.NotEqual(t, read(t, first.Dir, "keys.pem"), read(t, second.Dir, "keys.pem"))
}

func TestFilesAreWrittenOnChangeAlone(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	inode := func(name string) os.FileInfo {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		return info
	}
	state, set := inode("keys.pem"), inode("jwks.json")
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	require.NoError(t, publish(t, r, fakekeys.Down("a")))
	assert.True(t, os.SameFile(state, inode("keys.pem")))
	assert.True(t, os.SameFile(set, inode("jwks.json")))

	write(t, dir, "jwks.json", `{"keys":[]}`)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	assert.Equal(t, []string{"k1"}, kids(t, []byte(read(t, dir, "jwks.json"))), "what was spoilt, or never finished, is mended")
}

// After a restart keys.pem goes through today's rules before a byte is served.
func TestRestartServesWhatPassesTodaysRules(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, publish(t, open(t, dir), fakekeys.Publish("a", "k1", "k2"), fakekeys.Publish("b", "k3")))
	for name, of := range map[string]struct {
		change func(*Relay)
		want   []string
	}{
		"as they were": {func(*Relay) {}, []string{"k1", "k2", "k3"}},
		"denied":       {denies("k2"), []string{"k1", "k3"}},
		"all denied":   {func(r *Relay) { denies("k1")(r); denies("k2")(r); denies("k3")(r) }, []string{}},
		"not pinned":   {func(r *Relay) { r.Rules.Pin = map[string][]pem.Fingerprint{"a": {fakekeys.Fingerprint("k1")}} }, []string{"k1", "k3"}},
		"retired":      {func(r *Relay) { r.Clusters, r.Rules.Retired = []string{"a"}, []string{"b"} }, []string{"k1", "k2"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := read(t, dir, "keys.pem")
			assert.ElementsMatch(t, of.want, servedBy(t, open(t, dir, of.change)))
			assert.Equal(t, before, read(t, dir, "keys.pem"), "to open it changes nothing")
		})
	}
	t.Run("weak", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "keys.pem", fakekeys.Trust("a", "k1")+"\n"+fakekeys.Trust("a", "weak")+"\n")
		assert.Equal(t, []string{"k1"}, servedBy(t, open(t, dir)))
	})
}

func TestClustersAwayKeepTheLastGoodSet(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, publish(t, open(t, dir), fakekeys.Publish("a", "k1"), fakekeys.Publish("b", "k3")))
	r := open(t, dir)
	require.NoError(t, publish(t, r, fakekeys.Down("a"), jwks.Result{Cluster: "b", Set: &jwks.Set{}}))
	assert.ElementsMatch(t, []string{"k1", "k3"}, servedBy(t, r))
}

func TestRulesThatLeaveNothingServeAnEmptySet(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1"), fakekeys.Publish("b", "k1")))
	denies("k1")(r)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1"), fakekeys.Publish("b", "k1")))
	assert.JSONEq(t, `{"keys":[]}`, get(t, r, keySetPath).Body.String())
	assert.JSONEq(t, `{"keys":[]}`, read(t, dir, "jwks.json"))
	assert.JSONEq(t, `{"keys":[]}`, get(t, open(t, dir), keySetPath).Body.String(), "after a restart too")

	first := open(t, t.TempDir(), func(r *Relay) { r.Clusters = []string{"a"} }, denies("k1"))
	require.NoError(t, publish(t, first, fakekeys.Publish("a", "k1")))
	assert.Equal(t, []string{}, servedBy(t, first), "and where there was never another")
}

// What isn't harvest's makes the file refused: it is left as it is, and nothing of it is published.
func TestStateThatHarvestDidNotWriteIsRefused(t *testing.T) {
	good := fakekeys.Trust("a", "k1")
	for name, of := range map[string]struct{ state, want string }{
		"foreign":          {good + "\n" + fakekeys.Paste("x"), "element 2 (" + fakekeys.Fingerprint("x").Short() + ") has no annotation"},
		"another's":        {fakekeys.Trust("c", "x"), "is a key of c, which this relay doesn't publish"},
		"shared":           {fakekeys.Trust("a", "x", fakekeys.Also("c/eu")), "is a key of c/eu"},
		"a newer harvest":  {strings.Replace(good, "harvest/1", "harvest/2", 1), "a newer harvest (harvest/2)"},
		"no key":           {good + "\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "element 2 holds no key"},
		"text":             {good + "\nremember the milk\n", "text after the last key"},
		"cut short":        {good[:len(good)-30], "text after the last key"},
		"a document":       {`{"keys":[]}`, "text after the last key"},
		"too large":        {strings.Repeat("\n", 3<<20), "larger than"},
		"for all to write": {good + "\n", "every user of this machine may write it"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "keys.pem", of.state)
			if name == "for all to write" {
				require.NoError(t, os.Chmod(filepath.Join(dir, "keys.pem"), 0o666))
			}
			write(t, dir, "jwks.json", "old")
			r := open(t, dir)
			w := get(t, r, keySetPath)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Contains(t, w.Body.String(), "its files are refused")
			assert.NotContains(t, w.Body.String(), dir, "anyone may ask")
			err := publish(t, r, fakekeys.Publish("a", "k2"))
			require.ErrorContains(t, err, of.want)
			assert.Contains(t, err.Error(), filepath.Join(dir, "keys.pem"))
			assert.Equal(t, of.state, read(t, dir, "keys.pem"))
			assert.Equal(t, "old", read(t, dir, "jwks.json"))
			var files *FilesError
			require.ErrorAs(t, err, &files)
			assert.Equal(t, "files", files.Kind())
		})
	}
}

// While harvest runs, an edit is refused, and what it had goes on being served.
func TestEditWhileRunningKeepsWhatIsServed(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	write(t, dir, "keys.pem", read(t, dir, "keys.pem")+fakekeys.Paste("x")+"\n")
	require.ErrorIs(t, publish(t, r, fakekeys.Publish("a", "k1", "k2")), ErrState)
	assert.Equal(t, []string{"k1"}, servedBy(t, r))
	assert.Contains(t, read(t, dir, "keys.pem"), fakekeys.Paste("x"), "nothing is lost")

	require.NoError(t, os.Remove(filepath.Join(dir, "keys.pem")))
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1", "k2")))
	assert.ElementsMatch(t, []string{"k1", "k2"}, servedBy(t, r))
}

// What somebody writes into keys.pem under a cluster's name, while harvest runs, is served when
// that cluster publishes it, and not before; also under another configuration. So is what another
// harvest writes there.
func TestElementsEditedInWaitForTheirCluster(t *testing.T) {
	dir := t.TempDir()
	before := open(t, dir)
	require.NoError(t, publish(t, before, fakekeys.Publish("a", "k1")))
	write(t, dir, "keys.pem", read(t, dir, "keys.pem")+fakekeys.Trust("a", "x")+"\n")
	reloaded := &Relay{Name: "nomad", Dir: dir, Clusters: before.Clusters, Rules: before.Rules}
	denies("k9")(reloaded)
	require.NoError(t, reloaded.Open(t.Context(), before))
	for name, r := range map[string]*Relay{"as it was": before, "reloaded": reloaded} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, publish(t, r, fakekeys.Down("a")))
			assert.Equal(t, []string{"k1"}, servedBy(t, r))
			assert.Equal(t, []string{"k1"}, kids(t, []byte(read(t, dir, "jwks.json"))))
		})
	}
	require.NoError(t, publish(t, reloaded, fakekeys.Down("a"), fakekeys.Publish("b", "k2")))
	assert.ElementsMatch(t, []string{"k1", "k2"}, servedBy(t, reloaded), "nor where another key is written")
	assert.Contains(t, read(t, dir, "keys.pem"), fakekeys.Trust("a", "x"), "nothing is lost")

	require.NoError(t, publish(t, open(t, dir), fakekeys.Publish("a", "k1", "k3", "x"), fakekeys.Publish("b", "k2")))
	require.NoError(t, publish(t, reloaded, fakekeys.Publish("a", "k1", "k3", "x"), fakekeys.Publish("b", "k2")))
	assert.ElementsMatch(t, []string{"k1", "k2", "k3", "x"}, servedBy(t, reloaded))
}

// A relay that has no issuer any more has no discovery document. One that harvest didn't write
// stays.
func TestDiscoveryDocumentGoesWithTheIssuer(t *testing.T) {
	issuer := func(r *Relay) { r.Issuer = "https://keys.example.com" }
	for name, of := range map[string]struct {
		spoil func(t *testing.T, dir string)
		stays bool
	}{
		"harvest's":   {func(*testing.T, string) {}, false},
		"somebody's":  {func(t *testing.T, dir string) { write(t, dir, discoveryFile, `{"issuer":"https://keys.example.com"}`) }, true},
		"no document": {func(t *testing.T, dir string) { write(t, dir, discoveryFile, "theirs") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, publish(t, open(t, dir, issuer), fakekeys.Publish("a", "k1")))
			of.spoil(t, dir)
			require.NoError(t, publish(t, open(t, dir), fakekeys.Publish("a", "k1")))
			_, err := os.Stat(filepath.Join(dir, discoveryFile))
			if of.stays {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, os.ErrNotExist)
			}
			assert.FileExists(t, filepath.Join(dir, "jwks.json"))
		})
	}
}

// So is the folder of the discovery document: anyone who writes it names another issuer.
func TestDiscoveryDocumentInAFolderOfEverybodys(t *testing.T) {
	dir := t.TempDir()
	issuer := func(r *Relay) { r.Issuer = "https://keys.example.com" }
	require.NoError(t, publish(t, open(t, dir, issuer), fakekeys.Publish("a", "k1")))
	require.NoError(t, os.Chmod(filepath.Join(dir, ".well-known"), 0o777))
	err := publish(t, open(t, dir, issuer), fakekeys.Publish("a", "k1"))
	require.ErrorContains(t, err, ".well-known/openid-configuration: its folder .well-known: every user of this machine may write it")
}

// Another configuration goes on with what is served, by its own rules, whatever became of the
// files.
func TestReloadGoesOnWithWhatIsServed(t *testing.T) {
	dir := t.TempDir()
	before := open(t, dir)
	require.NoError(t, publish(t, before, fakekeys.Publish("a", "k1", "k2"), fakekeys.Publish("b", "k3")))
	write(t, dir, "keys.pem", read(t, dir, "keys.pem")+fakekeys.Paste("x")+"\n")
	after := &Relay{Name: "nomad", Dir: dir, Clusters: []string{"a"}, Rules: before.Rules}
	denies("k2")(after)
	require.ErrorIs(t, after.Open(t.Context(), before), ErrState)
	assert.Equal(t, []string{"k1"}, servedBy(t, after), "not what is denied, nor of a cluster that was taken away")
	assert.ElementsMatch(t, []string{"k1", "k2", "k3"}, servedBy(t, before))

	var first *Relay
	require.ErrorIs(t, open(t, dir).Open(t.Context(), first), ErrState)
}

func TestDirectoryThatIsNotARelaysIsRefused(t *testing.T) {
	for name, of := range map[string]struct {
		make func(t *testing.T, dir string)
		want string
	}{
		"not there": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir)) }, "install -d"},
		"a file": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(dir))
			write(t, filepath.Dir(dir), filepath.Base(dir), "")
		}, "not a directory"},
		"written by anyone": {func(t *testing.T, dir string) { require.NoError(t, os.Chmod(dir, 0o777)) }, "every user of this machine"},
		"another key set":   {func(t *testing.T, dir string) { write(t, dir, "jwks.json", "theirs") }, "has a jwks.json and no keys.pem"},
		"another issuer":    {func(t *testing.T, dir string) { write(t, dir, discoveryFile, "theirs") }, "has a " + discoveryFile},
		"keys.pem a link": {func(t *testing.T, dir string) {
			write(t, dir, "real", fakekeys.Trust("a", "k1")+"\n")
			require.NoError(t, os.Symlink("real", filepath.Join(dir, "keys.pem")))
		}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "relay")
			require.NoError(t, os.Mkdir(dir, 0o755))
			of.make(t, dir)
			r := open(t, dir)
			err := publish(t, r, fakekeys.Publish("a", "k1"))
			require.ErrorContains(t, err, of.want)
			require.ErrorContains(t, err, "relay/nomad")
			assert.Nil(t, servedBy(t, r))
		})
	}
}

func TestOtherFilesOfTheDirectoryStay(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "index.html", "theirs")
	write(t, dir, ".well-known/security.txt", "theirs")
	write(t, dir, ".harvest-theirs.tmp", "theirs")
	r := open(t, dir, func(r *Relay) { r.Issuer = "https://keys.example.com" })
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	denies("k1")(r)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	for _, name := range []string{"index.html", ".well-known/security.txt", ".harvest-theirs.tmp"} {
		assert.Equal(t, "theirs", read(t, dir, name))
	}
}

// spoilt makes each write of a directory fail, no matter who runs the tests, while it
// can be planned on.
type spoilt struct{ *Relay }

func (s spoilt) Planned(ctx context.Context, p *plan.Plan) error {
	err := s.Relay.Planned(ctx, p)
	if p.Changed {
		s.Dir += "/gone"
	}
	return err
}

// A denial is served at once even where nothing can be written; what is added waits.
func TestDenialIsServedThoughNothingCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1", "k2")))
	before := read(t, dir, "keys.pem")
	synctest.Test(t, func(t *testing.T) {
		mount := &vaultsync.Mount{Path: "relay/nomad", Store: spoilt{r}}
		report, _ := mount.Sync(t.Context(), plan.Desired{Clusters: r.Clusters, Results: []jwks.Result{fakekeys.Publish("a", "k1", "k2", "k3")}},
			vaultsync.Options{Now: fakekeys.Now, Deny: []pem.Fingerprint{fakekeys.Fingerprint("k2")}})
		require.ErrorContains(t, report.Err, "keys that go are served no more, and keys that come wait for the disk")
	})
	assert.Equal(t, []string{"k1"}, servedBy(t, r))
	r.Dir = dir
	assert.Equal(t, before, read(t, dir, "keys.pem"))

	denies("k2")(r)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1", "k2", "k3")), "with room on the disk")
	assert.ElementsMatch(t, []string{"k1", "k3"}, servedBy(t, r))
	assert.Equal(t, get(t, r, keySetPath).Body.String(), read(t, dir, "jwks.json"))
}

func TestNamesAndIssuersThatAreNone(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "a b", "a\nb", "ключ", "a%2fb", "-", "a..b", strings.Repeat("x", 129)} {
		assert.Error(t, CheckName(name), "%q", name)
	}
	for _, name := range []string{"nomad", "us-east.1", "A_b", strings.Repeat("x", 128)} {
		assert.NoError(t, CheckName(name), "%q", name)
	}
	for _, issuer := range []string{"", "nomad", "http://keys.example.com", "https://", "https://u:p@keys.example.com", "https://keys.example.com/", "https://keys.example.com?x", "https://keys.example.com#x", "https:keys"} {
		assert.Error(t, CheckIssuer(issuer), "%q", issuer)
	}
	assert.NoError(t, CheckIssuer("https://keys.example.com/relay/nomad"))
}
