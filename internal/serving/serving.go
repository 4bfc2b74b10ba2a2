// Package serving answers HTTP on a listener, and bounds what others can make the process hold.
package serving

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Connections that the listeners of a watch hold at most.
const (
	Relays = 1024
	Pages  = 128
)

const (
	requestTimeout = 5 * time.Second
	idleTimeout    = 30 * time.Second
)

// Service is what one listener serves.
type Service struct {
	Name        string // for the log
	Handler     http.Handler
	Connections int           // Relays or Pages
	Reply       time.Duration // a reply takes no longer
	Header      int           // bytes of a request's header, at most
}

// Serve answers on the listener until stop is called. It holds s.Connections at most: one more
// takes the place of the one on which nothing has happened for longest. It holds fewer where this
// process may open few files: all listeners together leave it half of them, for its own work.
func (s Service) Serve(listener net.Listener, log *slog.Logger) (stop func()) {
	files := openFiles()
	open := connections{most: bound(s.Connections, files)}
	server := &http.Server{
		Handler: s.Handler, ReadTimeout: requestTimeout, ReadHeaderTimeout: requestTimeout, WriteTimeout: s.Reply,
		IdleTimeout: idleTimeout, MaxHeaderBytes: s.Header, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnState: open.note, Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error(s.Name+" are served no more", "error", err)
		}
	}()
	log.Info("serving "+s.Name, "address", listener.Addr().String())
	if open.most < s.Connections {
		log.Warn("this process may open few files, so it holds fewer connections; raise its limit of open files",
			"serving", s.Name, "connections", open.most, "instead_of", s.Connections, "open_files", files)
	}
	return func() {
		_ = server.Close()
		<-done
	}
}

// unlimited is a number of open files that lowers no bound.
const unlimited = 1 << 20

// bound returns how many of most connections are held by a process that may open so many files.
func bound(most, files int) int {
	return max(1, min(most, most*files/(2*(Relays+Pages))))
}
