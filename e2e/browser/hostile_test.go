//go:build !e2e

package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

const hostileKid = `<img src=/x onerror=alert(1)><script>alert(2)</script>"' onload='alert(3)' </code></style>{{.}}`

// What a cluster says is text in a real browser too: a kid, an error, names in an annotation.
func TestHostile(t *testing.T) {
	t.Parallel()
	nomad, vault := fakenomad.New(t), fakevault.New(t)
	key := fakenomad.NewKey("EdDSA")
	key.ID = hostileKid
	nomad.Region("").Add(key)
	control := fakenomad.NewKey("EdDSA")
	control.ID = "a\u202eb\x1b[2J"
	nomad.Region("").Add(control)
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `</p><script>alert(4)</script><iframe src=/y></iframe>`)
	}))
	t.Cleanup(down.Close)
	vault.Enable("", "jwt-nomad", "jwt")
	address := watch(t, fmt.Sprintf(`
cluster "one"  { address = %q }
cluster "down" { address = %q }
mount "jwt-nomad" {
  clusters = ["one", "down"]
  settle   = "300ms"
}
`, nomad.URL, down.URL), "VAULT_ADDR="+vault.URL, "VAULT_TOKEN="+fakevault.RootToken)

	b := open(t, phone)
	b.run(t, chromedp.Navigate(address))
	content := func() string { return ask[string](t, b, `document.body.innerText`) }
	b.until(t, "shown", func() bool { return strings.Contains(content(), hostileKid) && strings.Contains(content(), "alert(4)") })
	b.until(t, "shown as a terminal shows it", func() bool { return strings.Contains(content(), `a?b?[2J`) })
	assert.NotRegexp(t, `[\x00-\x08\x1b\x{202a}-\x{202e}\x{2066}-\x{2069}]`, content())
	assert.Equal(t, 0, ask[int](t, b, `document.querySelectorAll('script,img,iframe,object,embed,form,input,link').length`))
	assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on') || n === 'style')`))
	fits(t, b)

	assert.Contains(t, b.headers["Content-Security-Policy"], "default-src 'none'")
	assert.Equal(t, "no-store", b.headers["Cache-Control"])
	assert.NotEqual(t, "rgba(0, 0, 0, 0)", ask[string](t, b, `getComputedStyle(document.body).backgroundColor`), "the style is used")
	// And where the page did hold a script, the policy would keep it from running.
	assert.False(t, ask[bool](t, b, `(() => { const s = document.createElement('script'); s.textContent = 'window.ran = true'
		document.body.append(s); s.remove(); return !!window.ran })()`))
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.complaints, 2, "of that script, by the header and by the document")
	for _, complaint := range b.complaints {
		assert.Contains(t, complaint, "inline script violates")
	}
	b.complaints = nil
}
