package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
)

// TestReport06SaysUntilWhen: plan, sync and status say until when a key stays that a URL's answers
// lack, and what ends it now.
func TestReport06SaysUntilWhen(t *testing.T) {
	var answer atomic.Pointer[string]
	publish := func(name string) {
		document, err := os.ReadFile(filepath.Join("..", "..", "jwks", "testdata", "reports", name+".json"))
		require.NoError(t, err)
		answer.Store(new(string(document)))
	}
	var asked atomic.Int32
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(*answer.Load()))
	}))
	defer idp.Close()
	vault := ownVault(t)
	vault.Enable("", "jwt", "jwt")
	env := map[string]string{"VAULT_ADDR": vault.URL, "VAULT_TOKEN": fakevault.RootToken}
	flags := []string{"-cluster", "idp", "-mount", "jwt", "-jwks-url", idp.URL + "/keys"}
	call := func(command string, more ...string) (int, string) {
		code, stdout, stderr := harvest(t, env, append(append([]string{command}, flags...), more...)...)
		return code, stdout + stderr
	}

	publish("06-front-end-a")
	code, said := call("sync")
	require.Equal(t, exitOK, code, said)
	assert.EqualValues(t, 1, asked.Load())
	publish("06-front-end-c")
	for _, command := range []string{"plan", "sync", "status", "sync"} {
		asked.Store(0)
		_, said = call(command)
		if command != "status" { // which says it once
			assert.Contains(t, said, "retained until 2026-11-22T13:00:00Z, or until it is denied", command)
		}
		assert.Contains(t, said, `key "XWQkT7hF4e70Dbru0H73IZNDiA4"`, command)
		assert.Contains(t, said, "it stays trusted until 2026-11-22T13:00:00Z, or until it is denied", command)
		assert.EqualValues(t, 2, asked.Load(), command)
	}
	code, said = call("plan", "-retain", "0s")
	assert.NotEqual(t, 1, code)
	assert.NotContains(t, said, "retained until")
}
