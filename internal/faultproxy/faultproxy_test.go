package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it gets, and keeps it.
type echo struct {
	url string
	mu  sync.Mutex
	got bytes.Buffer
	// ends receives how each connection's reading ended: nil is its end, as with FIN.
	ends chan error
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &echo{url: "http://" + listener.Addr().String(), ends: make(chan error, 16)}
	var running sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_, err := io.Copy(io.MultiWriter(e, c), c)
				e.ends <- err
			})
		}
	})
	return e
}

func (e *echo) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.Write(b)
}

func (e *echo) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if errors.Is(err, syscall.ECONNRESET) { // it was so soon
		return brokenConn{}
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c
}

// brokenConn is a connection that was reset before anything was asked of it.
type brokenConn struct{ net.Conn }

func (brokenConn) Read([]byte) (int, error)  { return 0, syscall.ECONNRESET }
func (brokenConn) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }

// say writes, and reads as much back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
	back := make([]byte, len(text))
	_, err = io.ReadFull(c, back)
	require.NoError(t, err)
	require.Equal(t, text, string(back))
}

func TestForward(t *testing.T) {
	e := newEcho(t)
	p := New(t, e.url)
	c := dial(t, p)
	say(t, c, "hello")
	say(t, c, strings.Repeat("long ", 50_000))
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	rest, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Empty(t, rest)
	require.NoError(t, <-e.ends)
	assert.Zero(t, p.Struck())
}

func TestBytes(t *testing.T) {
	const text = "GET: ten and more bytes"
	for name, c := range map[string]struct {
		fault    Fault
		arrived  string // at the server
		answered string // back at the client
		reset    bool
	}{
		"cut on the way there":   {Fault{ToServer: CutAfter(10)}, text[:10], "", false},
		"cut at the very end":    {Fault{ToServer: CutAfter(len(text))}, text, "", false},
		"cut on the way back":    {Fault{ToClient: CutAfter(7)}, text, text[:7], false},
		"reset on the way there": {Fault{ToServer: ResetAfter(10)}, text[:10], "", true},
		"reset on the way back":  {Fault{ToClient: ResetAfter(0), When: "GET"}, text, "", true},
		"reset at once":          {Fault{ToServer: ResetAfter(0)}, "", "", true},
		"cut when it is said":    {Fault{When: "GET:", ToServer: CutAfter(3)}, text[:3], "", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEcho(t)
			p := New(t, e.url)
			p.Set(c.fault)
			conn := dial(t, p)
			_, _ = io.WriteString(conn, text)
			back, err := io.ReadAll(conn)
			if c.reset {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			} else if err != nil {
				require.ErrorIs(t, err, syscall.ECONNRESET, "of what was sent too late")
			}
			// What was on its way back when the connection was cut may or may not arrive.
			assert.True(t, strings.HasPrefix(c.answered, string(back)) || strings.HasPrefix(c.arrived, string(back)), "%q", back)
			if !c.reset && c.fault.ToClient.cut {
				assert.Equal(t, c.answered, string(back))
			}
			<-e.ends
			if !c.reset { // of what a reset breaks, the server may not see all
				assert.Equal(t, c.arrived, e.String())
			}
			assert.True(t, strings.HasPrefix(c.arrived, e.String()), "%q", e.String())
			assert.Equal(t, 1, p.Struck())

			p.Lift()
			say(t, dial(t, p), "lifted")
		})
	}
}

// A fault that waits for its words lets the others by, and hits as many as it is told to.
func TestWhenAndTimes(t *testing.T) {
	e := newEcho(t)
	p := New(t, e.url)
	p.Set(Fault{When: "PUT", Times: 1, ToClient: ResetAfter(0)})
	c := dial(t, p)
	say(t, c, "GET one")
	say(t, c, "GET two")
	assert.Zero(t, p.Struck())
	_, err := io.WriteString(c, "PUT three")
	require.NoError(t, err)
	require.NoError(t, p.Await(t.Context(), 1))
	_, err = io.ReadAll(c)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, "GET oneGET twoPUT three", e.String(), "the server had it all the same")
	say(t, dial(t, p), "PUT four")
	assert.Equal(t, 1, p.Struck())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Await(ctx, 2), context.Canceled)
}

// A connection that is open is befallen too, whether bytes flow or not.
func TestMidStream(t *testing.T) {
	for name, effect := range map[string]func(p *Proxy){
		"set":   func(p *Proxy) { p.Set(Fault{ToClient: ResetAfter(0)}) },
		"break": (*Proxy).Break,
	} {
		t.Run(name, func(t *testing.T) {
			e := newEcho(t)
			p := New(t, e.url)
			c := dial(t, p)
			say(t, c, "hello")
			effect(p)
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			require.Error(t, <-e.ends)
		})
	}
}

func TestBlackhole(t *testing.T) {
	e := newEcho(t)
	p := New(t, e.url)
	c := dial(t, p)
	say(t, c, "before")
	p.Set(Fault{ToServer: Blackhole()})
	_, err := io.WriteString(c, "lost")
	require.NoError(t, err)
	p.Lift()
	_, err = io.WriteString(c, "lost too")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	var timeout net.Error
	require.True(t, errors.As(err, &timeout) && timeout.Timeout(), "it stays open and silent: %v", err)
	require.NoError(t, c.Close())
	<-e.ends
	assert.Equal(t, "before", e.String())

	p.Set(Fault{ToClient: Blackhole()})
	c = dial(t, p)
	_, err = io.WriteString(c, " heard")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.True(t, errors.As(err, &timeout) && timeout.Timeout(), "%v", err)
	require.NoError(t, c.Close())
	<-e.ends
	assert.Equal(t, "before heard", e.String(), "the other way is open")
}

// Delays and rates have a least time; how much longer they take isn't judged.
func TestSlow(t *testing.T) {
	for name, c := range map[string]struct {
		fault Fault
		bytes int
		least time.Duration
	}{
		"delay":    {Fault{ToServer: Delay(30 * time.Millisecond), ToClient: Delay(20 * time.Millisecond)}, 10, 50 * time.Millisecond},
		"throttle": {Fault{ToServer: Throttle(2000)}, 200, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(t, newEcho(t).url)
			p.Set(c.fault)
			conn := dial(t, p)
			began := time.Now()
			say(t, conn, strings.Repeat("x", c.bytes))
			assert.GreaterOrEqual(t, time.Since(began), c.least)
			p.Lift()
			say(t, conn, "fast again")
		})
	}
}

// Over HTTP, with connections that are kept, and what passes is told.
func TestHTTP(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %d", r.Method, len(body))
	}))
	defer s.Close()
	p := New(t, s.URL+"/base")
	require.True(t, strings.HasSuffix(p.URL, "/base"))
	var mu sync.Mutex
	var there, back strings.Builder
	p.OnPass = func(way Way, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		if way == ToServer {
			there.Write(b)
		} else {
			back.Write(b)
		}
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	ask := func(method, body string) (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), method, p.URL, strings.NewReader(body))
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		return string(answer), err
	}
	p.Set(Fault{When: "PUT /base", ToServer: CutAfter(40)})
	answer, err := ask(http.MethodGet, "")
	require.NoError(t, err)
	assert.Equal(t, "GET 0", answer)
	_, err = ask(http.MethodPut, strings.Repeat("x", 1000))
	require.Error(t, err)
	p.Lift()
	answer, err = ask(http.MethodPut, strings.Repeat("x", 1000))
	require.NoError(t, err)
	assert.Equal(t, "PUT 1000", answer)
	mu.Lock()
	defer mu.Unlock()
	assert.Contains(t, there.String(), "GET /base")
	assert.Contains(t, back.String(), "PUT 1000")
}

func TestNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	p := New(t, url)
	_, err = dial(t, p).Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)

	_, err = Start("127.0.0.1")
	require.ErrorContains(t, err, "want a URL with a port")
}
