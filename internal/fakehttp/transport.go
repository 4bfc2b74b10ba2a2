package fakehttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
)

// ErrDropped is what Transport returns where a listening server would drop the
// connection.
var ErrDropped = errors.New("connection dropped by a fault")

// Transport serves requests in the process, whatever their host, with no socket between:
// it works inside a testing/synctest bubble, where the server must then be made too. Like
// a real connection it gives up when the request's context does.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	type outcome struct {
		resp *http.Response
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		rec := httptest.NewRecorder()
		defer func() {
			switch p := recover(); {
			case p == nil:
				resp := rec.Result()
				resp.Request = req
				done <- outcome{resp: resp}
			case p == any(http.ErrAbortHandler):
				done <- outcome{err: ErrDropped}
			default:
				done <- outcome{err: fmt.Errorf("handler panicked: %v", p)}
			}
		}()
		t.s.ServeHTTP(rec, in)
	}()
	select {
	case o := <-done:
		return o.resp, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
