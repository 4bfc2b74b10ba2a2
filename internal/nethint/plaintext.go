package nethint

import (
	"net/netip"
	"net/url"
	"strings"
)

// IsPlaintext reports whether rawURL is plain HTTP to another machine: anyone on the path chooses
// what is read. Loopback is this machine: "localhost", 127.0.0.0/8 and ::1. It is false for what
// isn't a URL.
func IsPlaintext(rawURL string) bool {
	u, err := url.Parse(rawURL)
	return err == nil && IsPlaintextURL(u)
}

// IsPlaintextURL is IsPlaintext for a URL that was parsed.
func IsPlaintextURL(u *url.URL) bool { return u.Scheme == "http" && !isLoopback(u.Hostname()) }

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
