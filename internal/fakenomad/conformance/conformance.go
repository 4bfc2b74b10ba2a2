// Package conformance holds what harvest relies on a Nomad agent to do, as cases that run
// against any agent: the stand-in in every test run, the lab's real agents under the e2e
// tag. Where the two differ it is the stand-in that is wrong.
package conformance

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
)

// Agent is the agent to ask and the means to change its keyring.
type Agent struct {
	Address string
	Region  string // the agent's own
	Other   string // another federated region; "" is none
	Issuer  string // "" is an agent without oidc_issuer

	// Rotate makes a new key and signs with it; Prepublish makes one for later, or fails with
	// errors.ErrUnsupported. Both return its id. Remove takes a key away.
	Rotate     func(context.Context) (string, error)
	Prepublish func(context.Context) (string, error)
	Remove     func(ctx context.Context, id string) error
}

const jwksPath = "/.well-known/jwks.json"

// Run runs every case. Keys come and go, and one of them stays.
func Run(t *testing.T, a Agent) {
	t.Run("document", func(t *testing.T) { document(t, a) })
	t.Run("methods", func(t *testing.T) { methods(t, a) })
	t.Run("gzip", func(t *testing.T) { compressed(t, a) })
	t.Run("regions", func(t *testing.T) { regions(t, a) })
	t.Run("discovery", func(t *testing.T) { discovery(t, a) })
	t.Run("keyring", func(t *testing.T) { keyring(t, a) })
	t.Run("blocking", func(t *testing.T) { blocking(t, a) })
}

// reply is one answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	took   time.Duration
	err    error
}

func (a Agent) get(ctx context.Context, path string, header ...string) reply {
	return a.do(ctx, http.MethodGet, path, header...)
}

// do asks without letting the client add or undo a compression.
func (a Agent) do(ctx context.Context, method, path string, header ...string) reply {
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, method, a.Address+path, nil)
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body), time.Since(start), err}
}

// index is the answer's X-Nomad-Index.
func (r reply) index(t *testing.T) uint64 {
	t.Helper()
	i, err := strconv.ParseUint(r.header.Get("X-Nomad-Index"), 10, 64)
	require.NoError(t, err)
	return i
}

func (r reply) keys(t *testing.T) map[string]jose.JSONWebKey {
	t.Helper()
	require.NoError(t, r.err)
	require.Equal(t, http.StatusOK, r.status, r.body)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal([]byte(r.body), &set))
	out := map[string]jose.JSONWebKey{}
	for _, k := range set.Keys {
		out[k.KeyID] = k
	}
	require.Len(t, out, len(set.Keys), "each key has an id of its own")
	return out
}

// document: what is published and with which headers, to one who has no token.
func document(t *testing.T, a Agent) {
	r := a.get(t.Context(), jwksPath)
	keys := r.keys(t)
	require.NotEmpty(t, keys)
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	require.Positive(t, r.index(t))
	require.Contains(t, r.header.Get("Cache-Control"), "max-age=")
	for id, k := range keys {
		require.Len(t, id, 36)
		require.Equal(t, "sig", k.Use)
		require.Equal(t, "RS256", k.Algorithm)
		require.True(t, k.IsPublic())
	}
	var raw struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(r.body), &raw))
	for _, k := range raw.Keys {
		require.ElementsMatch(t, []string{"alg", "e", "kid", "kty", "n", "use"}, names(k))
	}
	require.Equal(t, r.body, a.get(t.Context(), jwksPath).body, "the same keys in the same order")
	require.Equal(t, r.body, a.get(t.Context(), jwksPath, "Cache-Control", "no-cache").body)
}

func names(m map[string]any) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	return out
}

// methods: nothing but GET.
func methods(t *testing.T, a Agent) {
	for _, path := range []string{jwksPath, "/v1/regions"} {
		for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
			r := a.do(t.Context(), method, path)
			require.NoError(t, r.err)
			require.Equal(t, http.StatusMethodNotAllowed, r.status, method)
			if method != http.MethodHead {
				require.Equal(t, "Invalid method", strings.TrimSpace(r.body))
			}
		}
	}
}

// compressed: asked for, the answer is.
func compressed(t *testing.T, a Agent) {
	plain := a.get(t.Context(), jwksPath)
	require.Empty(t, plain.header.Get("Content-Encoding"))
	r := a.get(t.Context(), jwksPath, "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", r.header.Get("Content-Encoding"))
	z, err := gzip.NewReader(strings.NewReader(r.body))
	require.NoError(t, err)
	body, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, plain.body, string(body))
}

// regions: each has keys of its own, and only those that are federated can be reached.
func regions(t *testing.T, a Agent) {
	r := a.get(t.Context(), "/v1/regions")
	require.Equal(t, http.StatusOK, r.status)
	var list []string
	require.NoError(t, json.Unmarshal([]byte(r.body), &list))
	want := []string{a.Region}
	if a.Other != "" {
		want = append(want, a.Other)
	}
	require.ElementsMatch(t, want, list)

	own := a.get(t.Context(), jwksPath)
	require.Equal(t, own.body, a.get(t.Context(), jwksPath+"?region="+url.QueryEscape(a.Region)).body)
	if a.Other != "" {
		other := a.get(t.Context(), jwksPath+"?region="+url.QueryEscape(a.Other))
		require.Positive(t, other.index(t))
		for id := range other.keys(t) {
			require.NotContains(t, own.keys(t), id)
		}
	}
	r = a.get(t.Context(), jwksPath+"?region=nowhere")
	require.Equal(t, http.StatusInternalServerError, r.status)
	require.Equal(t, "No path to region", strings.TrimSpace(r.body))
}

// discovery: only with an issuer.
func discovery(t *testing.T, a Agent) {
	r := a.get(t.Context(), "/.well-known/openid-configuration")
	if a.Issuer == "" {
		require.Equal(t, http.StatusNotFound, r.status)
		require.Equal(t, "OIDC Discovery endpoint disabled", strings.TrimSpace(r.body))
		return
	}
	require.Equal(t, http.StatusOK, r.status, r.body)
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &doc))
	require.Equal(t, a.Issuer, doc["issuer"])
	require.Equal(t, a.Issuer+jwksPath, doc["jwks_uri"])
}

// keyring: a new key is published at once and an old one stays until it is removed.
func keyring(t *testing.T, a Agent) {
	before := a.get(t.Context(), jwksPath)
	prepublished, err := a.Prepublish(t.Context())
	fixture.Needs(t, !errors.Is(err, errors.ErrUnsupported), "the agent prepublishes no key")
	require.NoError(t, err)
	with := a.get(t.Context(), jwksPath)
	require.Greater(t, with.index(t), before.index(t))
	require.Contains(t, with.keys(t), prepublished)
	require.Len(t, with.keys(t), len(before.keys(t))+1)

	require.NoError(t, a.Remove(t.Context(), prepublished))
	without := a.get(t.Context(), jwksPath)
	require.NotContains(t, without.keys(t), prepublished)
	require.Greater(t, without.index(t), with.index(t))

	active, err := a.Rotate(t.Context())
	require.NoError(t, err)
	rotated := a.get(t.Context(), jwksPath).keys(t)
	require.Contains(t, rotated, active)
	for id := range before.keys(t) {
		require.Contains(t, rotated, id, "the old key stays")
	}
}

// blocking: a query with the index waits for a change, up to the time it names.
func blocking(t *testing.T, a Agent) {
	now := a.get(t.Context(), jwksPath)
	at := func(index uint64, wait string) string {
		return jwksPath + "?index=" + strconv.FormatUint(index, 10) + "&wait=" + wait
	}
	t.Run("an older index doesn't wait", func(t *testing.T) {
		r := a.get(t.Context(), at(1, "30s"))
		require.Equal(t, now.body, r.body)
		require.Less(t, r.took, 10*time.Second)
	})
	t.Run("a wait ends by itself", func(t *testing.T) {
		for _, index := range []uint64{now.index(t), now.index(t) + 1000000} {
			r := a.get(t.Context(), at(index, "1s"))
			require.Equal(t, now.body, r.body)
			require.Equal(t, now.index(t), r.index(t), "the server's index, not the one asked for")
			require.GreaterOrEqual(t, r.took, time.Second)
			require.Less(t, r.took, 10*time.Second)
		}
	})
	t.Run("a change ends it", func(t *testing.T) {
		done := make(chan reply, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		query := at(now.index(t), "40s")
		go func() { done <- a.get(ctx, query) }()
		select {
		case r := <-done:
			t.Fatalf("it didn't block: %d %s %v", r.status, r.body, r.err)
		case <-time.After(300 * time.Millisecond): // it is the absence of an answer that is waited for
		}
		id, err := a.Rotate(ctx)
		require.NoError(t, err)
		r := <-done
		require.Less(t, r.took, 20*time.Second)
		require.Greater(t, r.index(t), now.index(t))
		require.Contains(t, r.keys(t), id)
	})
	if a.Other != "" {
		t.Run("in another region", func(t *testing.T) {
			other := a.get(t.Context(), jwksPath+"?region="+url.QueryEscape(a.Other))
			r := a.get(t.Context(), at(other.index(t), "1s")+"&region="+url.QueryEscape(a.Other))
			require.Equal(t, other.body, r.body)
			require.GreaterOrEqual(t, r.took, time.Second)
		})
	}
	t.Run("nonsense", func(t *testing.T) {
		r := a.get(t.Context(), jwksPath+"?index=x")
		require.Equal(t, http.StatusBadRequest, r.status)
		require.Equal(t, "Invalid index", strings.TrimSpace(r.body))
		r = a.get(t.Context(), jwksPath+"?index=1&wait=x")
		require.Equal(t, http.StatusBadRequest, r.status)
		require.Equal(t, "Invalid wait time", strings.TrimSpace(r.body))
	})
	t.Run("given up", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		latest := a.get(t.Context(), jwksPath)
		r := a.get(ctx, at(latest.index(t), "30s"))
		require.ErrorIs(t, r.err, context.DeadlineExceeded)
	})
}
