package vaultapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"
)

// ownRedirects returns a client that leaves redirects to vault/api, which follows one, and
// never from https to http; followed is false where the environment says that it mustn't. With
// an http.Client that has no CheckRedirect, net/http would follow ten to anywhere, and take
// X-Vault-Token along: it strips Authorization and cookies alone. A clone shares its http.Client
// with the caller's: it is copied, not changed.
func ownRedirects(c *api.Client) (own *api.Client, followed bool, err error) {
	config := c.CloneConfig() // with VAULT_DISABLE_REDIRECTS, read again
	refuse := config.HttpClient.CheckRedirect
	config.HttpClient.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if refuse != nil { // a caller's own rule may be stricter
			if err := refuse(r, via); err != nil {
				return err
			}
		}
		return http.ErrUseLastResponse
	}
	own, err = api.NewClient(config)
	if err != nil {
		return nil, false, err
	}
	own.SetHeaders(c.Headers())
	return own, !config.DisableRedirects, nil
}

// refuseRedirect returns why a reply that is a redirect isn't followed, or nil. What vault/api
// doesn't follow it takes for success: a write would seem to be done.
func refuseRedirect(ctx context.Context, resp *http.Response, followed bool) error {
	if resp.StatusCode < 300 || resp.StatusCode > 399 {
		return nil
	}
	hops, _ := ctx.Value(hops{}).(*int)
	if hops != nil {
		*hops++
	}
	what := fmt.Sprintf("%s %s: Vault answered with status %d", resp.Request.Method, resp.Request.URL.Path, resp.StatusCode)
	to, err := resp.Location()
	if err != nil {
		return fmt.Errorf("%s, and names no place to go to", what)
	}
	what += ", a redirect to " + Clean(to.Host)
	downgrade := resp.Request.URL.Scheme == "https" && to.Scheme != "https"
	const active = "address the active node"
	switch {
	case !followed:
		return fmt.Errorf("%s, and VAULT_DISABLE_REDIRECTS is set: %s", what, active)
	case resp.StatusCode != http.StatusMovedPermanently && resp.StatusCode != http.StatusFound && resp.StatusCode != http.StatusTemporaryRedirect:
		return fmt.Errorf("%s, which isn't followed: %s", what, active)
	case hops != nil && *hops > 1:
		return fmt.Errorf("%s; of redirects one is followed: %s", what, active)
	case !downgrade && !samePlace(resp.Request.URL, to):
		return fmt.Errorf("%s for another path: that is no standby of Vault but something else, such as a login page, and isn't sent the token; "+
			"address Vault past it", what)
	}
	return nil // a downgrade is refused by vault/api
}

// samePlace reports whether a redirect stays on its host, or asks another for the same: a standby
// names the active node and the path as it got it, which a proxy may have cut.
func samePlace(from, to *url.URL) bool {
	return from.Host == to.Host || strings.HasPrefix(to.Path, "/v1/") && strings.HasSuffix(from.Path, to.Path)
}

// hops is where the context of a request counts its redirects.
type hops struct{}

// CountHops returns the context of one request whose second redirect is an error. A read has
// its answer to tell.
func CountHops(ctx context.Context) context.Context { return context.WithValue(ctx, hops{}, new(int)) }
