package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Kubernetes returns a source of the keys that verify the service accounts' tokens of a Kubernetes
// cluster. address is that of its API server, such as https://kubernetes.default.svc, and may have
// a path. The API server serves the keys to those who are logged in, unless somebody lets all
// others read them too. So give c a Token, such as [TokenFile] of a projected service account
// token, and the CA of the cluster. The source is a [Poller] and a [Discoverer].
//
// The keys are fetched from that address. The jwks_uri that discovery names, often an address
// inside the cluster, is never asked. Source: Kubernetes, service account issuer discovery.
func Kubernetes(address string, c *Client) Source { return kubernetesSource{address, c} }

type kubernetesSource struct {
	address string
	client  *Client
}

// RegionName returns "".
func (kubernetesSource) RegionName() string { return "" }

// String returns the request as errors and logs name it.
func (k kubernetesSource) String() string {
	u, err := k.endpoint(pathKubernetesKeys)
	if err != nil {
		return "GET " + shownAddress(k.address)
	}
	return "GET " + shownAddress(u.String())
}

// Check refuses an address that can't be asked.
func (k kubernetesSource) Check() error {
	_, err := k.endpoint("")
	return err
}

// Fetch returns the keys of the cluster.
func (k kubernetesSource) Fetch(ctx context.Context) (*Set, error) {
	u, err := k.endpoint(pathKubernetesKeys)
	if err != nil {
		return nil, err
	}
	set, err := unindexed(k.client.orZero().fetchSet(ctx, u))
	return set, k.explain(err)
}

// Poll is Fetch for a watch.
func (k kubernetesSource) Poll(ctx context.Context, q Query) (Answer, error) {
	u, err := k.endpoint(pathKubernetesKeys)
	if err != nil {
		return Answer{}, err
	}
	a, err := k.client.orZero().poll(ctx, u, q)
	return a, k.explain(err)
}

// Discover returns what the cluster says of its tokens. Their issuer is seldom the address of the
// API server.
func (k kubernetesSource) Discover(ctx context.Context) (Metadata, error) {
	u, err := k.endpoint(pathDiscovery)
	if err != nil {
		return Metadata{}, err
	}
	document, err := k.client.orZero().discovery(ctx, u)
	if err != nil {
		return Metadata{}, k.explain(err)
	}
	return document.metadata()
}

// endpoint returns the URL of a path below the address.
func (k kubernetesSource) endpoint(path string) (*url.URL, error) {
	u, err := parseAddress(k.address)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("kubernetes: address %q has a query; give the API server's address alone", shownAddress(k.address))
	}
	return below(u, path), nil
}

// explain says what to do where the API server refuses a request: it tells a token that it doesn't
// know (401) from one that may not (403).
func (k kubernetesSource) explain(err error) error {
	status, ok := errors.AsType[*StatusError](err)
	if !ok {
		return err
	}
	sent := k.client.orZero().Token != nil
	switch {
	case status.StatusCode == http.StatusUnauthorized && sent:
		status.hint = "the API server doesn't know the token: it has expired, is for another audience than the API server, or is of another cluster; " +
			"a projected service account token without an audience will do, read from the file that Kubernetes renews"
	case status.StatusCode == http.StatusForbidden && sent:
		status.hint = "the API server knows the token, and its service account may not read the keys: bind the ClusterRole " +
			"system:service-account-issuer-discovery to it, which Kubernetes does for all service accounts where nobody undid it"
	case status.StatusCode == http.StatusUnauthorized, status.StatusCode == http.StatusForbidden:
		status.hint = "the API server wants the token of a service account, and none is sent: give the file of one"
	}
	return err
}
