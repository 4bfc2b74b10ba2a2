package session_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/vaultsync"
)

const configuration = `
cluster "a" { jwks_file = "$DIR/jwks.json" }
vault "good" {
  address = "$VAULT"
  auth "token_file" { path = "$DIR/token" }
}
vault "bad" {
  address = "$VAULT"
  auth "token_file" { path = "$DIR/missing" }
}
mount "first" {
  vault    = "good"
  clusters = ["a"]
  settle   = "50ms"
}
mount "second" {
  vault    = "bad"
  clusters = ["a"]
  settle   = "50ms"
}
mount "third" {
  vault    = "good"
  clusters = ["a"]
  settle   = "50ms"
}
`

// open opens a session with three mounts, the second of which has a Vault that can't be used.
func open(t *testing.T, o session.Options) (*session.Session, *fakevault.Server) {
	t.Helper()
	return openFile(t, configuration, o)
}

func openFile(t *testing.T, configuration string, o session.Options) (*session.Session, *fakevault.Server) {
	t.Helper()
	fakevault.ClearEnvironment(t)
	v := fakevault.New(t)
	v.Enable("", "first", "jwt")
	v.Enable("", "third", "jwt")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(fakevault.RootToken), 0o600))
	set, err := os.ReadFile("../../cmd/harvest/testdata/us-east.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "jwks.json"), set, 0o600))
	file := filepath.Join(dir, "harvest.hcl")
	require.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer("$DIR", dir, "$VAULT", v.URL).Replace(configuration)), 0o600))
	cfg, err := config.Load(file)
	require.NoError(t, err)
	o.Now = time.Now()
	s := session.Open(t.Context(), cfg, o)
	t.Cleanup(s.Close)
	return s, v
}

func paths(r *vaultsync.Report) (all []string) {
	for _, m := range r.Mounts {
		all = append(all, m.Path)
	}
	return all
}

// A Vault that can't be used costs its own mount alone, whose report stands in its place.
func TestAVaultThatCannotBeUsed(t *testing.T) {
	var heard sync.Map // mounts sync side by side
	s, v := open(t, session.Options{OnEvent: func(e vaultsync.Event) { heard.Store(e.Mount, true) }})
	report, err := s.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"first", "second", "third"}, paths(report))
	require.NoError(t, report.Mounts[0].Err)
	require.ErrorContains(t, report.Mounts[1].Err, "mount second at "+v.URL)
	require.NoError(t, report.Mounts[2].Err)
	assert.NotEmpty(t, v.Keys("", "first"))
	assert.NotEmpty(t, v.Keys("", "third"))
	_, first := heard.Load(s.Mounts[0].ID())
	_, second := heard.Load(s.Mounts[1].ID())
	assert.True(t, first)
	assert.False(t, second)
}

// A mount whose Vault has no address, since the environment's can't be used, is told of as a mount:
// without one it would pass for a relay.
func TestAnAddressThatCannotBeUsed(t *testing.T) {
	for _, address := range []string{"vault.example.com:8200", "https://user:secret@vault", "://", "https://%zz"} {
		fakevault.ClearEnvironment(t)
		t.Setenv("VAULT_ADDR", address)
		cfg := &config.Config{Vaults: make([]config.Vault, 1), Mounts: []config.Mount{{Path: "jwt-nomad", Namespace: "team"}}}
		s := session.Open(t.Context(), cfg, session.Options{})
		report, err := s.Sync(t.Context())
		require.NoError(t, err)
		require.ErrorContains(t, report.Mounts[0].Err, "mount jwt-nomad in namespace team at the environment's address: VAULT_ADDR", address)
		assert.NotContains(t, report.Mounts[0].Err.Error(), "secret")
		s.Close()
	}
}

// What is refused is not touched, and its reason is its report.
func TestRefuse(t *testing.T) {
	s, v := open(t, session.Options{})
	reason := errors.New("not this one")
	id := s.Mounts[0].ID()
	s.Mounts[0].Refuse(reason)
	assert.Equal(t, id, s.Mounts[0].ID())
	report, err := s.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, reason, report.Mounts[0].Err)
	assert.Empty(t, v.Keys("", "first"))
	assert.NotEmpty(t, v.Keys("", "third"))
}

// A setup makes what stands around the keys, then the keys, of those mounts that it could propose
// something for.
func TestProposeAndApply(t *testing.T) {
	s, v := open(t, session.Options{})
	proposals := s.Propose(t.Context())
	require.Len(t, proposals, 3)
	assert.True(t, proposals[0].HasChanges())
	require.ErrorContains(t, proposals[1].Failure, "mount second at "+v.URL)
	assert.Equal(t, "second", proposals[1].Path)
	assert.Empty(t, v.Keys("", "first"), "a proposal changes nothing")

	report, made, err := s.Apply(t.Context(), proposals)
	require.NoError(t, err)
	assert.True(t, made)
	assert.Equal(t, []string{"first", "second", "third"}, paths(report))
	assert.NotEmpty(t, v.Keys("", "first"))
	require.Error(t, report.Mounts[1].Err)
	assert.NotEmpty(t, v.Keys("", "third"))
	for _, p := range s.Propose(t.Context()) {
		assert.False(t, p.HasChanges(), p.Path)
	}
}

// The address of a key set tells as much as the issuer does.
func TestProposeNoRoleForStrangersByTheirKeySet(t *testing.T) {
	s, _ := openFile(t, `
cluster "github" { jwks_url = "https://token.actions.githubusercontent.com/.well-known/jwks" }
vault {
  address = "$VAULT"
  auth "token_file" { path = "$DIR/token" }
}
mount "first" { clusters = ["github"] }
`, session.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody is asked
	require.ErrorContains(t, s.Propose(ctx)[0].Failure, "github is GitHub Actions, where anyone gets an account")
}

// Anyone has an account at GitHub: setup makes no role that takes all of its tokens.
func TestProposeNoRoleForStrangers(t *testing.T) {
	const block = `
cluster "github" {
  jwks_file = "$DIR/jwks.json"
  issuer    = "https://token.actions.githubusercontent.com"
}
vault {
  address = "$VAULT"
  auth "token_file" { path = "$DIR/token" }
}
mount "first" {
  clusters = ["github"]
  ROLE
}
`
	s, v := openFile(t, strings.Replace(block, "ROLE", "", 1), session.Options{})
	p := s.Propose(t.Context())[0]
	require.ErrorContains(t, p.Failure, `mount first at `+v.URL+`: github is GitHub Actions, where anyone gets an account`)
	report, made, err := s.Apply(t.Context(), []*setup.Proposal{p})
	require.NoError(t, err, "the others' error: there are none")
	require.Error(t, report.Mounts[0].Err)
	assert.False(t, made)
	assert.Empty(t, v.Keys("", "first"))

	s, _ = openFile(t, strings.Replace(block, "ROLE", `role "deploy" { bound = { repository = "our/repository" } }`, 1), session.Options{})
	require.NoError(t, s.Propose(t.Context())[0].Failure)
}
