package fakehttp

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"
)

// Fault stands between a request and the server. It may answer by itself, call next to
// let the server answer, or do something before, after or instead. Several goroutines may
// be in it at once.
//
//	// the next two reads of the config fail
//	s.Inject(On("GET", "auth/jwt-nomad/config", Times(2, Status(503, "Vault is sealed"))))
//	// a write is applied, and its answer is lost
//	s.Inject(On("PUT", "/config", Times(1, DropAfter())))
//	// between our read and our write, another writer comes by
//	s.Inject(On("GET", "/config", Times(1, Then(func() { … }))))
type Fault func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc)

// Inject adds a fault outside those that are there already.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// ClearFaults removes every fault.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// On applies f to requests of that method whose path ends in path; "" is any. PUT and
// POST are the same, as they are to Vault.
func On(method, path string, f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if matches(r.Method, r.URL.Path, method, path) {
			f(w, r, next)
			return
		}
		next(w, r)
	}
}

// Times applies f to the first n requests that get as far as here; put it inside On.
func Times(n int64, f Fault) Fault { return Between(0, n, f) }

// Between applies f from request number from (counted from 0) up to, not including, to.
func Between(from, to int64, f Fault) Fault {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if i := seen.Add(1) - 1; i >= from && i < to {
			f(w, r, next)
			return
		}
		next(w, r)
	}
}

// Status answers with that code and Vault's form of errors.
func Status(code int, messages ...string) Fault {
	if messages == nil {
		messages = []string{}
	}
	return func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": messages})
	}
}

// Answer answers with that code, content type and body.
func Answer(code int, contentType, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// Redirect answers with a redirect to location.
func Redirect(code int, location string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Location", location)
		w.WriteHeader(code)
	}
}

// Delay waits before the server sees the request, or until the request is given up.
func Delay(d time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			next(w, r)
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
}

// Hold keeps requests until the channel is closed, or until they are given up.
func Hold(release <-chan struct{}) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		select {
		case <-release:
			next(w, r)
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
}

// Drop closes the connection without an answer; the server never sees the request.
func Drop() Fault {
	return func(http.ResponseWriter, *http.Request, http.HandlerFunc) {
		panic(http.ErrAbortHandler)
	}
}

// DropAfter lets the server do what was asked and then closes the connection, so that the
// client can't tell whether it was done.
func DropAfter() Fault {
	return func(_ http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		next(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}

// First runs do before the server sees the request.
func First(do func()) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		do()
		next(w, r)
	}
}

// Then runs do when the server has made its answer, before the client gets it: what do
// changes is news to the client.
func Then(do func()) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		rec := httptest.NewRecorder()
		next(rec, r)
		do()
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
}
