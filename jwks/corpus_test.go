package jwks

import (
	"context"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/corpus"
	"github.com/jwksharvest/harvest/internal/text"
)

var update = flag.Bool("update", false, "write smallprimes.bin anew")

const corpusDirectory = "testdata/hostile"

func readCorpus(t *testing.T) []corpus.Case {
	t.Helper()
	cases, err := corpus.Read(corpusDirectory)
	require.NoError(t, err)
	return cases
}

// refusals are the errors that the table names.
var refusals = map[string]error{
	"ErrTooLarge":      ErrTooLarge,
	"ErrMalformed":     ErrMalformed,
	"ErrPrivateKey":    ErrPrivateKey,
	"ErrNoKeys":        ErrNoKeys,
	"DeadlineExceeded": context.DeadlineExceeded,
	"UnexpectedEOF":    io.ErrUnexpectedEOF,
}

// isSkip says which reasons are no accusation.
func isSkip(r Reason) bool {
	return r == ReasonKeyType || r == ReasonUse || r == ReasonOperations
}

func TestCorpusParse(t *testing.T) {
	t.Logf("FIPS 140-3 enforced: %t", fips140.Enforced())
	for _, c := range readCorpus(t) {
		if c.Transport != corpus.Plain {
			continue
		}
		t.Run(c.Document, func(t *testing.T) {
			set, err := Parse(c.Data())
			requireJudgedVerdict(t, c, set, err)
			if !c.Generated() {
				again, errAgain := Parse(c.Data())
				assert.Equal(t, set, again, "the same document gives the same set")
				assert.Equal(t, err, errAgain)
			}
		})
	}
}

func TestCorpusFetch(t *testing.T) {
	cases := readCorpus(t)
	s := transports{ended: make(chan struct{})}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var index int
		_, transport, _ := strings.Cut(r.URL.Path[1:], "/")
		if _, err := fmt.Sscanf(r.URL.Path, "/%d/", &index); err != nil || !s.answer(strings.Trim(transport, "/"), cases[index].Data(), r.URL.EscapedPath(), w, r) {
			t.Errorf("no transport for %s", r.URL)
		}
	})
	quiet := func(server *httptest.Server) *httptest.Server {
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(server.Close)
		return server
	}
	plain := quiet(httptest.NewServer(handler))
	secure := quiet(httptest.NewTLSServer(handler))
	other := quiet(httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the other origin was asked")
	})))
	certificate := forgedCertificate(t)
	forged := httptest.NewUnstartedServer(handler)
	forged.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	forged.StartTLS()
	quiet(forged)
	t.Cleanup(func() { close(s.ended) })
	s.plain, s.secure, s.other, s.forged = plain.URL, secure.URL, other.URL, forged.URL

	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	roots.AddCert(certificate.Leaf)
	base := newTransport(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "example.com"})
	t.Cleanup(base.CloseIdleConnections)

	for i, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			transport := &metered{RoundTripper: base}
			client := &Client{HTTPClient: &http.Client{Transport: transport}, limits: s.limits(c.Transport)}
			address := fmt.Sprintf("%s/%d/%s/", s.address(c.Transport), i, url.PathEscape(c.Transport))
			set, err := client.fetch(t.Context(), address)
			requireJudgedVerdict(t, c, set, err)
			assert.LessOrEqual(t, transport.read.Load(), int64(MaxDocument+1), "bytes read of the body")
			if err != nil {
				assert.ErrorContains(t, err, "GET "+address+": ")
				assert.NotContains(t, err.Error(), "hunter2")
			}
		})
	}
}

// requireJudgedVerdict is requireVerdict of what is left when the keys are judged.
func requireJudgedVerdict(t *testing.T, c corpus.Case, set *Set, err error) {
	t.Helper()
	if err == nil {
		set, err = set.Judge()
	}
	requireVerdict(t, c, set, err)
}

// requireVerdict holds what was made of a document against the table.
func requireVerdict(t *testing.T, c corpus.Case, set *Set, err error) {
	t.Helper()
	if c.Verdict == corpus.Refuse {
		requireRefusal(t, c, set, err)
		return
	}
	require.NoError(t, err, "line %d", c.Line)
	require.Len(t, set.Keys, c.Kept, "line %d: %v", c.Line, set.Skipped)
	require.Len(t, set.Skipped, c.Lost, "line %d: %v", c.Line, set.Skipped)
	for _, skipped := range set.Skipped {
		assert.Equal(t, c.Reason, string(skipped.Reason), skipped.Error())
		assert.Equal(t, c.Verdict == corpus.Skip, isSkip(skipped.Reason), "skipped or rejected: %v", skipped)
		requirePrintable(t, skipped.Error())
		assert.LessOrEqual(t, len(skipped.KeyID), 64)
	}
	identities := map[string]bool{}
	for _, key := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(key.Public)
		require.NoError(t, err)
		assert.False(t, identities[string(der)], "a key twice")
		identities[string(der)] = true
		assert.True(t, key.KeyID != "" && len(key.KeyID) <= MaxKeyID && text.IsPrintable(key.KeyID), "kid %q", key.KeyID)
	}
	for _, warning := range set.Warnings {
		assert.True(t, text.IsPrintable(warning), "%q", warning)
	}
	if strings.Contains(string(c.Data()), `"sibling"`) {
		assert.Contains(t, keyIDs(set), "sibling", "the good key beside it")
	}
}

func requireRefusal(t *testing.T, c corpus.Case, set *Set, err error) {
	t.Helper()
	require.Error(t, err, "line %d", c.Line)
	assert.Nil(t, set)
	requirePrintable(t, err.Error())
	if part := strings.Trim(c.Reason, `"`); part != c.Reason {
		assert.ErrorContains(t, err, part)
		return
	}
	want := refusals[c.Reason]
	require.Error(t, want, "line %d: no error is called %s", c.Line, c.Reason)
	require.ErrorIs(t, err, want, "line %d", c.Line)
}

// requirePrintable checks that a text fits one line of a log.
func requirePrintable(t *testing.T, line string) {
	t.Helper()
	assert.True(t, text.IsPrintable(line), "%q", line)
	assert.Less(t, len(line), 1500)
}

// The table and the directory hold the same documents.
func TestCorpusIsWhole(t *testing.T) {
	listed := map[string]bool{}
	cases := readCorpus(t)
	for _, c := range cases {
		listed[c.Document] = true
		if isSibling := strings.Contains(string(c.Data()), `"sibling"`); c.Verdict == corpus.Reject || c.Verdict == corpus.Skip {
			assert.True(t, isSibling || strings.HasPrefix(c.Document, "issuer-"), "%s: no good key beside the bad one", c.Document)
		}
	}
	entries, err := os.ReadDir(corpusDirectory)
	require.NoError(t, err)
	for _, entry := range entries {
		if entry.Name() != corpus.Table {
			assert.True(t, listed[entry.Name()], "%s is on no line of the table", entry.Name())
		}
	}
	assert.GreaterOrEqual(t, len(listed), 60)
	for r := range refusals {
		assert.True(t, slices.ContainsFunc(cases, func(c corpus.Case) bool { return c.Reason == r }), "nothing is refused with %s", r)
	}
	for _, r := range []Reason{
		ReasonMalformed, ReasonKeyType, ReasonUse, ReasonOperations, ReasonAlgorithm, ReasonKeyID, ReasonSize,
		ReasonModulus, ReasonExponent, ReasonFactor, ReasonROCA, ReasonClosePrimes, ReasonPattern, ReasonPrime, ReasonPoint,
		ReasonOrder,
	} {
		assert.True(t, slices.ContainsFunc(cases, func(c corpus.Case) bool { return c.Reason == string(r) }), "nothing is left out for %s", r)
	}
}

// Where GODEBUG=fips140=only forbids SHA-1, among others, no document costs more than
// elsewhere: the verdicts are the same, and nothing panics.
func TestCorpusFIPS(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program, "-test.run=^TestCorpusParse$", "-test.v")
	command.Env = append(os.Environ(), "GODEBUG=fips140=only")
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.Contains(t, string(output), "FIPS 140-3 enforced: true")
	assert.Contains(t, string(output), "--- PASS: TestCorpusParse/x5c-sound.json")
}
