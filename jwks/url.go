package jwks

import (
	"context"
	"net/url"
)

// URL is any JWKS document.
type URL struct {
	Address string
	Client  *Client // nil is the zero Client
}

var _ Poller = URL{}

// RegionName returns "".
func (URL) RegionName() string { return "" }

// String returns the request as errors and logs name it.
func (u URL) String() string { return "GET " + shownAddress(u.Address) }

// Fetch is [Client.Fetch].
func (u URL) Fetch(ctx context.Context) (*Set, error) {
	return u.Client.orZero().Fetch(ctx, u.Address)
}

// Poll is Fetch for a watch.
func (u URL) Poll(ctx context.Context, q Query) (Answer, error) {
	address, err := parseAddress(u.Address)
	if err != nil {
		return Answer{}, err
	}
	return u.Client.orZero().poll(ctx, address, q)
}

// poll asks for the document at u, which has no index to wait on.
func (c *Client) poll(ctx context.Context, u *url.URL, q Query) (Answer, error) {
	reply, err := c.get(ctx, u, acceptSet)
	if err != nil {
		return Answer{}, err
	}
	return q.answerWith(reply.body, func() (*Set, error) { return unindexed(reply.parse(u)) }), nil
}
