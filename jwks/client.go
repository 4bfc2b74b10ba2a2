package jwks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/redact"
	"github.com/jwksharvest/harvest/internal/wait"
)

// Client is how sources fetch key sets over HTTP. The zero value is ready for use; a Client may be
// used by several goroutines at once and must not be changed once in use.
//
// It sends GET requests, and no credentials but a TLS client certificate and Token. The reply must
// have status 200, be JSON, and fit MaxDocument after decompression. A reply that is labelled as a
// text of another type than JSON is taken if it begins like JSON. A redirect to another scheme,
// host or port is refused, as are TLS before 1.2 and, without AllowPlaintext, what ErrPlaintext
// stands for. A fetch takes at most 30 seconds, or until its context ends; then the error is the
// context's. A lost or refused connection and the statuses 429, 502, 503 and 504 are tried again at
// most twice within that time. When all is well a fetch costs one GET.
//
// Another status is a *StatusError, and a reply that isn't labelled as JSON is ErrMalformed. The
// other errors are those of Parse, ErrPlaintext, ErrTokenNotSent, ErrUnreachable and those of the
// network. Each names the URL and, if that is known, what to do next. No error holds user
// information, the token, or more than 256 bytes of a body.
type Client struct {
	// HTTPClient is copied, never changed; nil is a client with time limits, TLS 1.2
	// or newer and the environment's proxies. The rules on redirects and size hold
	// with any client.
	HTTPClient *http.Client
	// AllowPlaintext permits plain HTTP to other machines and a client that doesn't
	// verify certificates: anyone on that path chooses the keys.
	AllowPlaintext bool
	// Token, where set, returns the bearer token of each request (RFC 6750): see [TokenFile]. It is
	// sent only over verified TLS, whatever AllowPlaintext says, never to another origin, and only
	// by an *http.Transport, which shows whether it verifies. No error shows it. It is called for
	// each request, and its errors must not hold the token. Nil sends none.
	Token func(context.Context) (string, error)
	// UserAgent is sent with each request; "" is "harvest".
	UserAgent string

	limits limits // zero is defaultLimits
}

// limits are the bounds of one fetch in time and number.
type limits struct {
	total   time.Duration // of a fetch, retries included
	header  time.Duration // of a request until the reply's header is there
	retries int
	backoff time.Duration // before the first retry
}

// defaultLimits leave a slow cluster time, and a cron job of a minute its minute.
var defaultLimits = limits{total: 30 * time.Second, header: 20 * time.Second, retries: 2, backoff: 200 * time.Millisecond}

// maxRedirects is how many redirects within one origin are followed.
const maxRedirects = 5

// ErrUnreachable: there is no connection to a source, or it broke. It is not that of a time that
// ran out, nor of a certificate.
var ErrUnreachable = errors.New("no connection")

// Media types that are asked for. What is labelled otherwise is taken too, if it is JSON, and some
// servers answer 406 unless they may send it.
const (
	acceptSet  = "application/jwk-set+json, application/json, */*;q=0.1"
	acceptJSON = "application/json, */*;q=0.1"
)

// fetch returns the key set that rawURL publishes.
func (c *Client) fetch(ctx context.Context, rawURL string) (*Set, error) {
	u, err := parseAddress(rawURL)
	if err != nil {
		return nil, err
	}
	return unindexed(c.fetchSet(ctx, u))
}

// unindexed marks a set that came without an index.
func unindexed(set *Set, err error) (*Set, error) {
	if err == nil {
		set.Unindexed = set.Index == 0
	}
	return set, err
}

func (c *Client) fetchSet(ctx context.Context, u *url.URL) (*Set, error) {
	reply, err := c.get(ctx, u, acceptSet)
	if err != nil {
		return nil, err
	}
	return reply.parse(u)
}

// reply is what a request was answered with.
type reply struct {
	body  []byte
	index uint64    // X-Nomad-Index; 0 where there was none
	at    time.Time // when its header arrived
	hide  func(string) string
}

// refuse returns the error of what a reply from u holds.
func (r *reply) refuse(u *url.URL, err error) error {
	return &requestError{url: shownAddress(u.String()), err: err, hide: r.hide}
}

// parse judges the body of a reply to a request to u.
func (r *reply) parse(u *url.URL) (*Set, error) {
	set, err := Parse(r.body)
	if err != nil {
		if none, ok := errors.AsType[*NoKeysError](err); ok {
			none.Index = r.index
		}
		return nil, r.refuse(u, err)
	}
	if r.isRepeatedIn(set) {
		return nil, r.refuse(u, errRepeated)
	}
	set.Index = r.index
	return set, nil
}

// errRepeated: a key ID goes into Vault and is shown to anyone.
var errRepeated = fmt.Errorf("%w: it repeats the token that was sent to it, which would be shown with its keys; "+
	"look what answers there, and replace the token", ErrMalformed)

// isRepeatedIn reports whether what is shown of a set holds the token that was sent for it.
func (r *reply) isRepeatedIn(set *Set) bool {
	for _, k := range set.Keys {
		if r.hide(k.KeyID) != k.KeyID {
			return true
		}
	}
	for _, s := range set.Skipped {
		if shown := s.Error(); r.hide(shown) != shown {
			return true
		}
	}
	return false
}

// get asks u, again where that may help, and names u in each error.
func (c *Client) get(ctx context.Context, u *url.URL, accept string) (*reply, error) {
	return c.send(ctx, u, accept, 0, c.bounds().retries)
}

// send is get for a request that the server may hold before it answers: each limit is
// longer by as much.
func (c *Client) send(ctx context.Context, u *url.URL, accept string, hold time.Duration, retries int) (*reply, error) {
	client := c.httpClient(u)
	if client.Timeout > 0 {
		client.Timeout += hold
	}
	if err := c.refuseUnsafe(u, client); err != nil {
		return nil, &requestError{url: shownAddress(u.String()), err: err}
	}
	bounds := c.bounds()
	bounds.total += hold
	bounds.header += hold
	limited, cancel := context.WithTimeout(ctx, bounds.total)
	defer cancel()

	for attempt := 0; ; attempt++ {
		reply, err := c.ask(limited, client, u, accept, bounds.header)
		if err == nil {
			return reply, nil
		}
		// At random up to half as long again, so that many harvesters don't come back at once.
		pause := bounds.backoff << attempt
		if attempt < retries && worthRetrying(err) && wait.Sleep(limited, pause+wait.UpTo(pause/2)) {
			continue
		}
		return nil, describe(u, nethint.GivenTo(client), whyEnded(ctx, limited, bounds.total, err))
	}
}

// refuseUnsafe returns an error where a request must not be made.
func (c *Client) refuseUnsafe(u *url.URL, client *http.Client) error {
	if c.Token != nil {
		if err := refuseExposing(u, client); err != nil {
			return err
		}
	}
	if c.AllowPlaintext {
		return nil
	}
	return refuseUnauthenticated(u, client)
}

// ask sends one request and reads its reply, whose header must be there within limit.
func (c *Client) ask(ctx context.Context, client *http.Client, u *url.URL, accept string, limit time.Duration) (*reply, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Cache-Control", "no-cache") // max-age is days long and wrong after a rotation
	request.Header.Set("User-Agent", c.userAgent())
	token, err := c.authorize(request)
	if err != nil {
		return nil, err
	}
	hide := hiding(token)

	// The limit is on the request, not on the transport, so that it holds with any.
	tooSlow := fmt.Errorf("no reply within %v: %w", limit, context.DeadlineExceeded)
	timer := time.AfterFunc(limit, func() { stop(tooSlow) })
	response, err := client.Do(request)
	inTime, arrived := timer.Stop(), time.Now()
	if err == nil {
		defer response.Body.Close()
	}
	if !inTime && ctx.Err() != nil && errors.Is(context.Cause(ctx), tooSlow) {
		return nil, tooSlow
	}
	if err != nil {
		return nil, hidden(withoutURL(err), token)
	}
	if u.Scheme == "https" && !c.AllowPlaintext {
		if err := refuseUnverified(response.TLS); err != nil {
			return nil, err
		}
	}
	reply, err := readAside(response, hide)
	if status, ok := errors.AsType[*StatusError](err); ok {
		status.URL, status.hint = shownAddress(u.String()), statusHint(u, status, token != "")
		return nil, status
	}
	if err != nil {
		return nil, hidden(err, token)
	}
	if token != "" && bytes.Contains(reply.body, []byte(token)) {
		return nil, errRepeated
	}
	reply.at, reply.hide = arrived, hide
	return reply, nil
}

// hidden returns an error without the token that was sent.
func hidden(err error, token string) error {
	if token == "" {
		return err
	}
	return redact.Error(err, token)
}

// readAside is readReply in a goroutine of its own. Decompression takes a deep stack, which
// would stay with each goroutine of a watch while Nomad holds its next question.
func readAside(response *http.Response, hide func(string) string) (*reply, error) {
	type outcome struct {
		reply *reply
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		reply, err := readReply(response, hide)
		done <- outcome{reply, err}
	}()
	read := <-done
	return read.reply, read.err
}

// httpClient returns a copy of the client, with the rule on redirects from u.
func (c *Client) httpClient(u *url.URL) *http.Client {
	client := http.Client{Transport: sharedTransport()}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		switch {
		case u.Scheme == "https" && request.URL.Scheme == "http":
			return fmt.Errorf("redirected to %s, another origin and plain HTTP, where anyone on the path chooses the keys: not followed; "+
				"if a proxy ends TLS before the server, have the server send its public address", shownAddress(request.URL.String()))
		case !sameOrigin(u, request.URL):
			return fmt.Errorf("redirected to %s, another origin: not followed; give that address itself if it is the right one", shownAddress(request.URL.String()))
		case request.URL.User != nil:
			return errors.New("redirected to an address with a user name: not followed")
		case len(via) > maxRedirects:
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return nil
	}
	return &client
}

func (c *Client) bounds() limits {
	if c.limits == (limits{}) {
		return defaultLimits
	}
	return c.limits
}

func (c *Client) userAgent() string {
	if c.UserAgent == "" {
		return "harvest"
	}
	return c.UserAgent
}

// orZero returns the zero Client for nil.
func (c *Client) orZero() *Client {
	if c == nil {
		return new(Client)
	}
	return c
}

// nomadIndex returns the index of a blocking query; 0 for none and for nonsense.
func nomadIndex(header http.Header) uint64 {
	index, err := strconv.ParseUint(header.Get("X-Nomad-Index"), 10, 64)
	if err != nil {
		return 0
	}
	return index
}
