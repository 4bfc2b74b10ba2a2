package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// nomadClient has no proxy: agents are on loopback. One that wants a certificate has its own
// client.
var nomadClient = &http.Client{Transport: &http.Transport{}, Timeout: 2 * time.Minute}

// call sends one request to the agent's API and decodes the answer into out, unless that
// is nil. It returns the answer's index.
func (n *Nomad) call(ctx context.Context, method, path string, in, out any) (index uint64, err error) {
	raw, header, err := n.send(ctx, method, path, in)
	if err != nil {
		return 0, err
	}
	index, _ = strconv.ParseUint(header.Get("X-Nomad-Index"), 10, 64)
	if out == nil {
		return index, nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return 0, fmt.Errorf("nomad: %s %s: %w", method, path, err)
	}
	return index, nil
}

func (n *Nomad) send(ctx context.Context, method, path string, in any) ([]byte, http.Header, error) {
	var body io.Reader
	if raw, ok := in.([]byte); ok {
		body = bytes.NewReader(raw)
	} else if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.Address+path, body)
	if err != nil {
		return nil, nil, err
	}
	if n.Token != "" {
		req.Header.Set("X-Nomad-Token", n.Token)
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("nomad: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("nomad: %s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("nomad: %s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(raw)))
	}
	return raw, resp.Header, nil
}

// JWKS returns the document that a region publishes, "" being the agent's own.
func (n *Nomad) JWKS(ctx context.Context, region string) ([]byte, error) {
	path := "/.well-known/jwks.json"
	if region != "" {
		path += "?region=" + url.QueryEscape(region)
	}
	raw, _, err := n.send(ctx, http.MethodGet, path, nil)
	return raw, err
}

// Version is the agent's version, without a v, as it says itself.
func (n *Nomad) Version(ctx context.Context) (string, error) {
	var self struct {
		Config struct{ Version struct{ Version string } } `json:"config"`
	}
	_, err := n.call(ctx, http.MethodGet, "/v1/agent/self", nil, &self)
	return self.Config.Version.Version, err
}

// Snapshot returns the state of a Durable agent's region (nomad operator snapshot save).
func (n *Nomad) Snapshot(ctx context.Context) ([]byte, error) {
	raw, _, err := n.send(ctx, http.MethodGet, "/v1/operator/snapshot", nil)
	return raw, err
}

// Restore gives a Durable agent's region the state of a snapshot (nomad operator snapshot
// restore). The indexes of what it holds go back with it.
func (n *Nomad) Restore(ctx context.Context, snapshot []byte) error {
	_, _, err := n.send(ctx, http.MethodPut, "/v1/operator/snapshot", snapshot)
	return err
}

// KeyMeta is one key of the keyring, as its operator sees it.
type KeyMeta struct {
	KeyID       string
	State       string // active, inactive, prepublished, rekeying, deprecated
	PublishTime int64  // when a prepublished key becomes active, in nanoseconds
}

// Keys lists the keyring of the agent's region (nomad operator root keyring list).
func (n *Nomad) Keys(ctx context.Context) ([]KeyMeta, error) {
	var keys []KeyMeta
	_, err := n.call(ctx, http.MethodGet, "/v1/operator/keyring/keys", nil, &keys)
	return keys, err
}

// RotateKey makes a new key and signs with it from now on (nomad operator root keyring
// rotate -now). It returns the key's id.
func (n *Nomad) RotateKey(ctx context.Context) (string, error) {
	key, err := n.rotate(ctx, "")
	return key.KeyID, err
}

// PrepublishKey makes a new key that is published now and signs after that time (nomad
// operator root keyring rotate -prepublish). It returns the key's id. The error is
// errors.ErrUnsupported where the agent is too old for that: then the key signs already.
func (n *Nomad) PrepublishKey(ctx context.Context, in time.Duration) (string, error) {
	key, err := n.rotate(ctx, "?publish_time="+strconv.FormatInt(time.Now().Add(in).UnixNano(), 10))
	if err == nil && key.State != "prepublished" {
		err = fmt.Errorf("nomad: the new key is %s at once: %w", key.State, errors.ErrUnsupported)
	}
	return key.KeyID, err
}

func (n *Nomad) rotate(ctx context.Context, query string) (KeyMeta, error) {
	var out struct{ Key KeyMeta }
	_, err := n.call(ctx, http.MethodPut, "/v1/operator/keyring/rotate"+query, nil, &out)
	return out.Key, err
}

// RemoveKey removes a key (nomad operator root keyring remove). Nomad refuses the active
// one, and without force one that signed an allocation's identity.
func (n *Nomad) RemoveKey(ctx context.Context, id string, force bool) error {
	path := "/v1/operator/keyring/key/" + url.PathEscape(id)
	if force {
		path += "?force=true"
	}
	_, err := n.call(ctx, http.MethodDelete, path, nil, nil)
	return err
}
