package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/jwksharvest/harvest/internal/text"
)

// maxRegions is how many regions a federation may have.
const maxRegions = 1000

// regionName is what the regions API may name. The names come from a remote, and end up in
// addresses, annotations and logs.
var regionName = text.Pattern(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Nomad is a region of a Nomad cluster, read from /.well-known/jwks.json of any agent
// in its federation. It needs no token and sends none.
type Nomad struct {
	Address string  // such as https://nomad.example.com:4646; may have a path, and ends with or without a slash
	Region  string  // "" is the agent's own
	Client  *Client // nil is the zero Client
}

var (
	_ Poller     = Nomad{}
	_ Discoverer = Nomad{}
	_ Federation = Nomad{}
)

// RegionName returns Region.
func (n Nomad) RegionName() string { return n.Region }

// String returns the request as errors and logs name it.
func (n Nomad) String() string {
	location := "GET " + shownAddress(n.Address)
	if u, err := n.endpoint(pathKeys, ""); err == nil {
		location = "GET " + shownAddress(u.String())
	}
	if n.Region != "" {
		location += " region " + text.Line(n.Region, maxExcerpt)
	}
	return location
}

// Check refuses an address that can't be asked. A source with such a method is asked before a run.
func (n Nomad) Check() error {
	_, err := n.endpoint(pathKeys, "")
	return err
}

// Fetch returns the keys of the region, with the bounds and errors of [Client].
// Source: Nomad, operator keyring API, "JWKS".
func (n Nomad) Fetch(ctx context.Context) (*Set, error) {
	u, err := n.endpoint(pathKeys, n.Region)
	if err != nil {
		return nil, err
	}
	return n.Client.orZero().fetchSet(ctx, u)
}

// replyTravel is how long a reply may be on its way: see Result.Asked.
const replyTravel = time.Second

// Poll is Fetch for a watch. With an index, Nomad holds the query until something changes, at most
// for Wait and a sixteenth of it. A failed query isn't tried again. Source: Nomad, blocking
// queries.
func (n Nomad) Poll(ctx context.Context, q Query) (Answer, error) {
	plain, err := n.endpoint(pathKeys, n.Region)
	if err != nil {
		return Answer{}, err
	}
	var hold time.Duration
	u := plain
	if q.Index > 0 {
		query := plain.Query()
		query.Set("index", strconv.FormatUint(q.Index, 10))
		query.Set("wait", q.Wait.String())
		u = new(*plain)
		u.RawQuery = query.Encode()
		hold = q.Wait + q.Wait/16
	}
	reply, err := n.Client.orZero().send(ctx, u, acceptSet, hold, 0)
	if err != nil {
		return Answer{}, err
	}
	a := q.answerWith(reply.body, func() (*Set, error) { return reply.parse(plain) })
	a.Index = reply.index
	if q.Index > 0 && reply.index > 0 {
		a.Asked = reply.at.Add(-replyTravel)
	}
	return a, nil
}

// Source returns the region of that name, asked through the same agent.
func (n Nomad) Source(region string) Source {
	n.Region = region
	return n
}

// Regions returns the names of the federated regions, sorted, each once; at least one, at
// most 1,000. Bounds and errors are otherwise those of [Client]. Nomad drops a region
// from the list as soon as its last server fails, so a region that is missing has failed; it
// has not been removed. Source: Nomad, regions API.
func (n Nomad) Regions(ctx context.Context) ([]string, error) {
	u, err := n.endpoint(pathRegions, "")
	if err != nil {
		return nil, err
	}
	reply, err := n.Client.orZero().get(ctx, u, acceptJSON)
	if err != nil {
		return nil, err
	}
	regions, err := parseRegions(reply.body)
	if err != nil {
		return nil, reply.refuse(u, err)
	}
	return regions, nil
}

// parseRegions refuses the whole list for one bad name: it isn't Nomad's then.
func parseRegions(data []byte) ([]string, error) {
	var names []string
	if err := json.Unmarshal(withoutMark(data), &names); err != nil {
		return nil, fmt.Errorf("not a list of regions: %w", err)
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("the list of regions is empty")
	case len(names) > maxRegions:
		return nil, fmt.Errorf("%w: %d regions, over %d", ErrTooLarge, len(names), maxRegions)
	}
	for _, name := range names {
		if !regionName().MatchString(name) {
			return nil, fmt.Errorf("not a list of regions: %q is no name of a region", text.Line(name, 64))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// endpoint returns the URL of an API below the address.
func (n Nomad) endpoint(path, region string) (*url.URL, error) {
	u, err := parseAddress(n.Address)
	if err != nil {
		return nil, fmt.Errorf("nomad: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("nomad: address %q has a query; give the agent's address alone", shownAddress(n.Address))
	}
	u = below(u, path)
	if region != "" {
		u.RawQuery = url.Values{"region": {region}}.Encode()
	}
	return u, nil
}
