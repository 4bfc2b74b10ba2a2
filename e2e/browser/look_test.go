//go:build !e2e

package browser

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	night = screen{1280, 900, 1, true, false}
	phone = screen{375, 812, 2, false, true}
)

// example is the page that the command's own tests hold: every state there is.
const example = "../../internal/statuspage/testdata/page.html"

// serve serves a page of a file. Its policy is in the document.
func serve(t *testing.T, file string) string {
	t.Helper()
	body, err := os.ReadFile(file)
	require.NoError(t, err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// fits wants a page that isn't wider than its screen.
func fits(t *testing.T, b *tab) {
	t.Helper()
	assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('body *')].filter(e => {
		const box = e.getBoundingClientRect()
		return box.width > 1 && getComputedStyle(e).position !== 'absolute' && (box.right > innerWidth + 0.5 || box.left < -0.5)
	}).map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))`), "these stick out")
	assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('.side li')].filter(
		e => e.getBoundingClientRect().right > e.parentElement.getBoundingClientRect().right + 0.5).map(e => e.textContent)`), "names hide the lines")
	assert.LessOrEqual(t, ask[int](t, b, `document.documentElement.scrollWidth`), ask[int](t, b, `innerWidth`), "the page scrolls sideways")
}

// readable wants contrast: WCAG 2.2, 1.4.3, level AA (4.5 to 1; nothing here counts as large).
const contrast = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m[3] ?? 1} }
	const light = c => { const f = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
		return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b) }
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c }
		return {r: 255, g: 255, b: 255} }
	const bad = []
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	let seen = 0
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement
		if (!walk.currentNode.data.trim() || e.closest('svg')) continue
		seen++
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))]
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
		if (ratio < 4.5) bad.push(ratio.toFixed(2) + ' ' + walk.currentNode.data.trim())
	}
	return seen > 50 ? bad : ['only ' + seen + ' texts']
})()`

// TestLook looks at the example on each screen, in both colour schemes.
func TestLook(t *testing.T) {
	t.Parallel()
	b := open(t, desktop)
	address := serve(t, example)
	backgrounds := map[bool]string{}
	for name, s := range map[string]screen{
		"desktop": desktop, "dark": night, "phone": phone, "dark phone": {375, 812, 2, true, true},
		"small phone": {320, 568, 2, false, true}, "tablet": {768, 1024, 1, false, true}, "wide": {1920, 1080, 1, false, false}, "just wide": {1089, 800, 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b.set(t, s)
			b.run(t, chromedp.Navigate(address))
			fits(t, b)
			assert.Empty(t, ask[[]string](t, b, contrast), "too little contrast")
			backgrounds[s.dark] = ask[string](t, b, `getComputedStyle(document.body).backgroundColor`)
			assert.Equal(t, 0, ask[int](t, b, `document.scripts.length`))
		})
	}
	assert.NotEqual(t, backgrounds[true], backgrounds[false], "dark is another colour")
	assert.NotEqual(t, "rgba(0, 0, 0, 0)", backgrounds[false], "the style is used: its hash fits")
}

// TestAccessibility reads the page as a screen reader does.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	b := open(t, desktop)
	b.run(t, chromedp.Navigate(serve(t, example)))
	for name, s := range map[string]screen{"desktop": desktop, "phone": phone} {
		t.Run(name, func(t *testing.T) {
			b.set(t, s)
			tree, err := chromedp.Run(b, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
				return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
			})
			require.NoError(t, err)
			count := map[string]int{}
			for _, n := range tree.Nodes {
				if n.Ignored || n.Role == nil {
					continue
				}
				role := text(n.Role)
				count[role]++
				switch role {
				case "heading", "image", "img", "link", "table", "region", "article", "columnheader", "rowheader":
					assert.NotEmpty(t, text(n.Name), "a %s without a name", role)
				}
				if role == "image" || role == "img" {
					assert.Contains(t, text(n.Description), "trusts 2 keys of us-east, region us-east-1", "the drawing in words")
				}
			}
			for role, want := range map[string]int{"banner": 1, "main": 1, "contentinfo": 1, "table": 5} {
				assert.Equal(t, want, count[role], role)
			}
			assert.Equal(t, 1, count["image"]+count["img"], "the drawing")
			assert.Positive(t, count["columnheader"], "tables stay tables")
			assert.Positive(t, count["cell"])
		})
	}
	levels := ask[[]int](t, b, `[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])`)
	require.NotEmpty(t, levels)
	assert.Equal(t, 1, levels[0])
	for i := 1; i < len(levels); i++ {
		assert.Greater(t, levels[i], 1, "one h1")
		assert.LessOrEqual(t, levels[i], levels[i-1]+1, "a level is left out: %v", levels)
	}
	assert.Equal(t, "en", ask[string](t, b, `document.documentElement.lang`))
	assert.Equal(t, "3 errors, 1 warning – harvest", ask[string](t, b, `document.title`))
	assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('time')].map(e => e.dateTime).filter(d => isNaN(Date.parse(d)))`))
	assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)`), "ids used twice")
	assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('a')].map(a => a.getAttribute('href')).filter(h => !document.querySelector(h))`), "links to nowhere")
}

func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `"`)
}

// maxShot bounds a picture of the documentation.
const maxShot = 150_000

// TestPictures takes those of the documentation where HARVEST_PICTURES names their directory.
func TestPictures(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("HARVEST_PICTURES")
	b := open(t, desktop)
	address := serve(t, example)
	for name, s := range map[string]screen{
		"status-light": {1280, 1540, 1, false, false}, "status-dark": {1280, 1540, 1, true, false}, "status-phone": {375, 1060, 2, false, true},
	} {
		b.set(t, s)
		b.run(t, chromedp.Navigate(address))
		shot, err := chromedp.Run(b, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		picture, err := png.Decode(bytes.NewReader(shot))
		require.NoError(t, err)
		var small bytes.Buffer
		require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewer(picture)))
		assert.Less(t, small.Len(), maxShot, name)
		if dir != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), small.Bytes(), 0o644))
		}
		_, err = os.Stat(filepath.Join("../../docs/img", name+".png"))
		assert.NoError(t, err)
	}
}

// fewer returns a picture in the 256 colours that it uses most.
func fewer(picture image.Image) *image.Paletted {
	bounds := picture.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	var colours []color.RGBA
	for c := range count {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return out
}
