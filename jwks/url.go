package jwks

import (
	"context"
	"net/url"
)

// URL returns a source of any JWKS document, fetched with c; nil is the zero Client. It is a
// [Poller].
func URL(address string, c *Client) Source { return urlSource{address, c} }

type urlSource struct {
	address string
	client  *Client
}

// RegionName returns "".
func (urlSource) RegionName() string { return "" }

// String returns the request as errors and logs name it.
func (u urlSource) String() string { return "GET " + shownAddress(u.address) }

// Check refuses an address that can't be asked.
func (u urlSource) Check() error {
	_, err := parseAddress(u.address)
	return err
}

// Fetch returns the keys of the document.
func (u urlSource) Fetch(ctx context.Context) (*Set, error) {
	return u.client.orZero().fetch(ctx, u.address)
}

// Poll is Fetch for a watch.
func (u urlSource) Poll(ctx context.Context, q Query) (Answer, error) {
	address, err := parseAddress(u.address)
	if err != nil {
		return Answer{}, err
	}
	return u.client.orZero().poll(ctx, address, q)
}

// poll asks for the document at u, which has no index to wait on.
func (c *Client) poll(ctx context.Context, u *url.URL, q Query) (Answer, error) {
	reply, err := c.get(ctx, u, acceptSet)
	if err != nil {
		return Answer{}, err
	}
	return q.answerWith(reply.body, func() (*Set, error) { return unindexed(reply.parse(u)) }), nil
}
