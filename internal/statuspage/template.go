package statuspage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"sync"
)

//go:embed page.html.tmpl
var pageSource string

//go:embed page.css
var pageCSS string

// pageTemplate is parsed when the first page is made: most runs make none.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageSource))
})

// refresh is after how many seconds a browser asks for a served page again.
const refresh = 30

// pagePolicy allows nothing but the page's own style, which its hash names: no script, no
// image, no request. A page in a file says so itself.
var pagePolicy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
})

// servedPolicy is what has no meaning in a file.
const servedPolicy = "; frame-ancestors 'none'"

// HTML returns the page.
func (p *Page) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, p); err != nil {
		return nil, fmt.Errorf("making the page: %w", err)
	}
	return b.Bytes(), nil
}
