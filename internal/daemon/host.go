package daemon

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/statuspage"
	"github.com/jwksharvest/harvest/internal/text"
)

// hostChecked lets pass what asks for a loopback listener by one of its own names. A web page
// in the browser of somebody on this machine can give its own name a loopback address (DNS
// rebinding), and would read there what is served without a password; its name is in the
// Host. Where the listener is on the network, names are others' to give, and any will do.
// name is the host as -listen has it.
func hostChecked(listener net.Addr, name string, h http.Handler) http.Handler {
	if at, ok := listener.(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ownHost(r.Host, name) {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			statuspage.WriteText(w, http.StatusMisdirectedRequest, fmt.Sprintf("nothing is served to Host %q: harvest listens on a loopback address, and there answers "+
				"to localhost and loopback addresses alone, so that no web page can read it by a name of its own. "+
				"Let the proxy in front send such a Host, or -listen name an address of the network.", text.Cut(r.Host, monitor.MaxText)))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ownHost reports whether a Host is loopback, or the name itself, with any port. HTTP/1.0 may
// leave it out, as health checks do and no browser.
func ownHost(host, name string) bool {
	if host == "" {
		return true
	}
	bare, port, err := net.SplitHostPort(host)
	if err != nil {
		bare = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	} else if strings.Trim(port, "0123456789") != "" {
		return false
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		return ip.Unmap().IsLoopback()
	}
	bare = strings.ToLower(strings.TrimSuffix(bare, "."))
	return bare == "localhost" || strings.HasSuffix(bare, ".localhost") || bare != "" && bare == strings.ToLower(strings.TrimSuffix(name, "."))
}
