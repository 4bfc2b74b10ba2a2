package lab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// ConsulOptions say which Consul to start. The zero value is the one that the current pair pins:
// the older pair has none.
type ConsulOptions struct {
	// Binary is the agent to run; "" is the lab's.
	Binary string
}

// Consul is one agent in dev mode, a server with ACLs on that deny what isn't allowed.
type Consul struct {
	Address string // of the HTTP API
	Token   string // that may do everything

	process *process
}

// StartConsul starts an agent and returns when it leads. The error carries the end of its log;
// without a binary it is ErrNotBuilt.
func StartConsul(ctx context.Context, o ConsulOptions) (*Consul, error) {
	if o.Binary == "" {
		path, err := find(Current, "consul")
		if err != nil {
			return nil, err
		}
		o.Binary = path
	}
	return withPorts(3, func(ports []int) (*Consul, error) {
		return startConsul(ctx, o, ports)
	})
}

// consulConfig is what -dev leaves open. The ports are those of HTTP, RPC and Serf.
const consulConfig = `{
  "bind_addr": "127.0.0.1",
  "ports": {"http": %d, "server": %d, "serf_lan": %d, "serf_wan": -1, "dns": -1, "grpc": -1, "grpc_tls": -1},
  "disable_update_check": true,
  "acl": {"enabled": true, "default_policy": "deny", "tokens": {"initial_management": %q}}
}`

func startConsul(ctx context.Context, o ConsulOptions, ports []int) (*Consul, error) {
	dir, err := os.MkdirTemp("", "harvest-consul-")
	if err != nil {
		return nil, err
	}
	c := &Consul{Address: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), Token: newUUID()}
	config := filepath.Join(dir, "agent.json")
	err = os.WriteFile(config, fmt.Appendf(nil, consulConfig, ports[0], ports[1], ports[2], c.Token), 0o600)
	if err == nil {
		c.process, err = start("consul", dir, o.Binary, []string{"agent", "-dev", "-config-file", config}, environ("TMPDIR="+dir))
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("consul: %w", err)
	}
	if err := c.process.await(ctx, c.ready); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// ready is nil once the agent leads and takes its token.
func (c *Consul) ready(ctx context.Context) error {
	var leader string
	if err := c.Call(ctx, http.MethodGet, "/v1/status/leader", nil, &leader); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("no leader")
	}
	return c.Call(ctx, http.MethodGet, "/v1/acl/token/self", nil, nil)
}

// Call sends one request with the token and decodes the answer into out, unless that is nil.
func (c *Consul) Call(ctx context.Context, method, path string, in, out any) error {
	raw, err := c.call(ctx, c.Token, method, path, in)
	if err == nil && out != nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		return fmt.Errorf("consul: %s %s: %w", method, path, err)
	}
	return nil
}

// Login gives a token for a JWT.
func (c *Consul) Login(ctx context.Context, method, jwt string) (token string, err error) {
	raw, err := c.call(ctx, "", http.MethodPost, "/v1/acl/login", map[string]any{"AuthMethod": method, "BearerToken": jwt})
	if err != nil {
		return "", err
	}
	var out struct{ SecretID string }
	if err := json.Unmarshal(raw, &out); err != nil {
		return "", err
	}
	return cmp.Or(out.SecretID, "(no token)"), nil
}

func (c *Consul) call(ctx context.Context, token, method, path string, in any) ([]byte, error) {
	var body []byte
	if text, ok := in.(string); ok {
		body = []byte(text)
	} else if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.Address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("X-Consul-Token", token)
	}
	response, err := nomadClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(raw)))
	}
	return raw, err
}

// Log returns the end of the agent's log.
func (c *Consul) Log() string { return c.process.tail() }

// Stop ends the agent.
func (c *Consul) Stop() { c.process.end() }

// newUUID returns a token as Consul wants one.
func newUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // which never fails
	text := hex.EncodeToString(b)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
