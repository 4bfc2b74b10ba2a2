package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html.tmpl
var pageSource string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// refresh is after how many seconds a browser asks for a served page again.
const refresh = 30

// Nothing but the page's own style, which its hash names: no script, no image, no request.
// A page in a file says so itself, where frame-ancestors has no meaning.
var (
	pageStyle  = template.CSS(pageCSS) //nolint:gosec // it is a file of this package
	filePolicy = "default-src 'none'; style-src '" + styleHash() + "'; base-uri 'none'; form-action 'none'"
	pagePolicy = filePolicy + "; frame-ancestors 'none'"
)

func styleHash() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// html returns the page.
func (p *statusPage) html() ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("making the page: %w", err)
	}
	return b.Bytes(), nil
}

// maxPages bounds the pages that are made at the same time.
const maxPages = 2

// servePage serves the page of what the board holds.
func servePage(b *board, now func() time.Time) http.Handler {
	slots := make(chan struct{}, maxPages)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			text(w, http.StatusServiceUnavailable, "busy")
			return
		}
		at := now()
		p := newPage(b.facts(at), at)
		p.Refresh = refresh
		body, err := p.html()
		if err != nil {
			text(w, http.StatusInternalServerError, "the page can't be made")
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(body)
	})
}
