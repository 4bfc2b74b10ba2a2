package lab

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What OpenBao lacks is refused or left out, and all else passes as it is.
func TestOpenBao(t *testing.T) {
	var sent string
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		sent = string(body)
		_, _ = io.WriteString(w, `{"enterprise":false,"data":{"jwks_pairs":[],"jwks_url":"https://a"}}`)
	}))
	defer vault.Close()
	b, err := newOpenBao(vault.URL, VaultOptions{})
	require.NoError(t, err)
	defer b.stop()
	ask := func(method, path, namespace, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, b.address+"/v1/"+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-Vault-Namespace", namespace)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(got)
	}
	code, got := ask("PUT", "sys/audit/file", "", "{}")
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Contains(t, got, noAuditByAPI)
	code, _ = ask("GET", "auth/jwt/config", "team-a", "")
	assert.Equal(t, http.StatusNotFound, code, "a namespace that nobody made")

	_, got = ask("PUT", "auth/jwt/config", "", `{"jwks_pairs":[],"default_role":"x"}`)
	assert.JSONEq(t, `{"default_role":"x"}`, sent)
	assert.JSONEq(t, `{"enterprise":false,"data":{"jwks_url":"https://a"}}`, got)
	_, got = ask("GET", "sys/health", "", "")
	assert.JSONEq(t, `{"data":{"jwks_pairs":[],"jwks_url":"https://a"}}`, got)
	_, got = ask("GET", "auth/jwt/role/x", "", "")
	assert.JSONEq(t, `{"enterprise":false,"data":{"jwks_pairs":[],"jwks_url":"https://a"}}`, got)

	vault.CloseClientConnections()
	vault.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.address+"/v1/sys/health", nil)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(r)
	require.Error(t, err, "a Vault that is away doesn't answer")
}
