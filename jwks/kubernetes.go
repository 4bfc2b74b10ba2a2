package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Kubernetes is the API server of a Kubernetes cluster, whose service accounts' tokens its keys
// verify. It serves them to those who are logged in, unless somebody lets all others read them too:
// give the Client a Token, such as [TokenFile] of a projected service account token, and the CA of
// the cluster.
//
// The keys are asked for at Address. Where discovery says that they are, often an address inside
// the cluster, is never asked. Source: Kubernetes, service account issuer discovery.
type Kubernetes struct {
	Address string  // such as https://kubernetes.default.svc; may have a path
	Client  *Client // nil is the zero Client
}

var (
	_ Poller     = Kubernetes{}
	_ Discoverer = Kubernetes{}
)

// RegionName returns "".
func (Kubernetes) RegionName() string { return "" }

// String returns the request as errors and logs name it.
func (k Kubernetes) String() string {
	u, err := k.endpoint(pathKubernetesKeys)
	if err != nil {
		return "GET " + shownAddress(k.Address)
	}
	return "GET " + shownAddress(u.String())
}

// Fetch returns the keys of the cluster, with the bounds and errors of [Client.Fetch].
func (k Kubernetes) Fetch(ctx context.Context) (*Set, error) {
	u, err := k.endpoint(pathKubernetesKeys)
	if err != nil {
		return nil, err
	}
	set, err := unindexed(k.Client.orZero().fetchSet(ctx, u))
	return set, k.explain(err)
}

// Poll is Fetch for a watch.
func (k Kubernetes) Poll(ctx context.Context, q Query) (Answer, error) {
	u, err := k.endpoint(pathKubernetesKeys)
	if err != nil {
		return Answer{}, err
	}
	a, err := k.Client.orZero().poll(ctx, u, q)
	return a, k.explain(err)
}

// Discover returns what the cluster says of its tokens. Their issuer is seldom the address of the
// API server.
func (k Kubernetes) Discover(ctx context.Context) (Metadata, error) {
	u, err := k.endpoint(pathDiscovery)
	if err != nil {
		return Metadata{}, err
	}
	document, err := k.Client.orZero().discovery(ctx, u)
	if err != nil {
		return Metadata{}, k.explain(err)
	}
	return document.metadata()
}

// endpoint returns the URL of a path below the address.
func (k Kubernetes) endpoint(path string) (*url.URL, error) {
	u, err := parseAddress(k.Address)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("kubernetes: address %q has a query; give the API server's address alone", shownAddress(k.Address))
	}
	return below(u, path), nil
}

// explain says what to do where the API server refuses a request: it tells a token that it doesn't
// know (401) from one that may not (403).
func (k Kubernetes) explain(err error) error {
	status, ok := errors.AsType[*StatusError](err)
	if !ok {
		return err
	}
	sent := k.Client.orZero().Token != nil
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
