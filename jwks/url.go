package jwks

import "context"

// URL is any JWKS document.
type URL struct {
	Address string
	Client  *Client // nil is the zero Client
}

var _ Source = URL{}

// RegionName returns "".
func (URL) RegionName() string { return "" }

// String returns the request as errors and logs name it.
func (u URL) String() string { return "GET " + shownAddress(u.Address) }

// Fetch is [Client.Fetch].
func (u URL) Fetch(ctx context.Context) (*Set, error) {
	return u.Client.orZero().Fetch(ctx, u.Address)
}
