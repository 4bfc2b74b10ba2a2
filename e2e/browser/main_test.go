package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	harvestCommand string // built from this tree
	chromium       context.Context
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	browser := find()
	if browser == "" {
		fmt.Fprintln(os.Stderr, "SKIPPED: no Chromium on the PATH (Debian: apt-get install chromium); nothing was tested")
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "harvest-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	harvestCommand = filepath.Join(dir, "harvest")
	build := exec.Command("go", "build", "-o", harvestCommand, "./cmd/harvest")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s", err, out)
		return 1
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.WSURLReadTimeout(time.Minute))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // pages of this machine alone are opened
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, closeAll := chromedp.NewContext(allocator)
	defer closeAll()
	chromium = ctx //nolint:fatcontext // once: TestMain calls this
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintf(os.Stderr, "%s doesn't start: %v\n", browser, err)
		return 1
	}
	return m.Run()
}

func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// screen is what a page is looked at on.
type screen struct {
	width, height int64
	scale         float64
	dark, phone   bool
}

var desktop = screen{1280, 900, 1, false, false}

// tab is a tab of the browser, and what happened in it.
type tab struct {
	context.Context

	mu                   sync.Mutex
	requests, complaints []string
	headers              map[string]string // of the document
}

// open opens a tab, and wants it quiet at the end: nothing ran, nothing was asked for but
// pages, and the browser found nothing to complain of.
func open(t *testing.T, s screen) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(stop)
	b := &tab{Context: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *page.EventJavascriptDialogOpening:
			b.complaints = append(b.complaints, "a dialog: "+e.Message)
			go func() {
				_ = chromedp.Do(ctx, call(page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}))
			}()
		case *runtime.EventConsoleAPICalled:
			b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, "an exception: "+e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			b.complaints = append(b.complaints, e.Entry.Text)
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, string(e.Type)+" "+e.Request.URL)
		case *network.EventResponseReceived:
			if e.Type == network.ResourceTypeDocument {
				b.headers = map[string]string{}
				for name, value := range e.Response.Headers {
					b.headers[http.CanonicalHeaderKey(name)] = fmt.Sprint(value)
				}
			}
		}
	}))
	b.set(t, s)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		assert.NotEmpty(t, b.requests, "nothing was looked at")
		assert.Empty(t, b.complaints, "the browser's console")
		for _, request := range b.requests {
			assert.Regexp(t, `^Document `, request, "the page asks for something")
		}
	})
	return b
}

// set makes the tab another screen.
func (b *tab) set(t *testing.T, s screen) {
	t.Helper()
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	b.run(t, call(log.Enable, cdp.Empty{}), call(network.Enable, network.EnableParams{}),
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: s.width, Height: s.height, DeviceScaleFactor: s.scale, Mobile: s.phone,
		}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		}))
}

func (b *tab) run(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b, actions...))
}

// call is a command of the browser's protocol.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// ask evaluates JavaScript in the page, as its inspector does: the page's policy, which
// forbids scripts, isn't asked.
func ask[T any](t *testing.T, b *tab, script string) T {
	t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](script))
	require.NoError(t, err)
	return value
}

// until reloads the page until the condition holds.
func (b *tab) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
			if err := chromedp.Do(b, chromedp.Reload()); err != nil {
				require.NoError(t, err)
			}
		case <-b.Done():
			require.FailNow(t, "never "+what)
		}
	}
}
