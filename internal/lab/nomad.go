package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
)

// NomadOptions say which Nomad agent to start. The zero value is an agent in dev mode,
// server and client in one, of region global and of the pair that HARVEST_LAB names.
type NomadOptions struct {
	// Pair is the pair of versions; "" is PairFromEnv.
	Pair Pair
	// Binary is the agent to run; "" is the pair's.
	Binary string
	// Name is the agent's node name; "" is one made of the region and the port.
	Name string
	// Region is the agent's region; "" is global.
	Region string
	// Issuer is server.oidc_issuer: with one, tokens have an iss and there is a discovery
	// document. "" is none; "self" is the agent's own address.
	Issuer string
	// ACL turns Nomad's access control on, and bootstraps it.
	ACL bool
	// Durable is an agent that keeps its state on disk, so that it has it again after
	// Restart, and that can be restored from a snapshot. It is a server only: it runs no tasks.
	Durable bool
	// RotationThreshold is server.root_key_rotation_threshold, such as "720h"; "" is Nomad's.
	RotationThreshold string
	// ClientCertificates has the agent serve TLS, and want a certificate of its own CA from
	// anyone who asks (verify_https_client).
	ClientCertificates bool
	// ConsulBlock is the agent's consul block as it stands, in the place of one that joins nothing.
	ConsulBlock string
	// VaultAddress is the Vault whose secrets tasks read; "" is none.
	VaultAddress string
	// VaultBlock is the agent's vault block as it stands, in the place of one made of
	// VaultAddress, JWTMount and Role; "" is none.
	VaultBlock string
	// JWTMount is the path of the JWT auth mount that tasks log in through; "" is jwt-nomad.
	JWTMount string
	// Role is the role that tasks log in with; "" is nomad-workloads.
	Role string

	servers int    // of the region; zero is one
	first   string // the serf address that they meet at
}

// Nomad is one agent: unless it is Durable in dev mode, a server and a client, its state
// in memory.
type Nomad struct {
	Address string // of the HTTP API
	Region  string
	Name    string
	Token   string // the management token, with ACL
	// Certificates are what to ask it with, with ClientCertificates.
	Certificates Certificates

	process *process
	client  *http.Client
	args    []string
	durable bool
	rpc     string
	serf    string
	mu      sync.Mutex
	jobs    []string
}

// StartNomad starts an agent and returns when it leads its region, publishes a key and can
// run jobs. The error carries the end of the agent's log; without a binary it is
// ErrNotBuilt.
func StartNomad(ctx context.Context, o NomadOptions) (*Nomad, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return withPorts(3, func(ports []int) (*Nomad, error) {
		return startNomad(ctx, o, ports)
	})
}

// complete fills in what isn't said.
func (o NomadOptions) complete() (NomadOptions, error) {
	if o.Binary == "" {
		path, err := find(cmp.Or(o.Pair, PairFromEnv()), "nomad")
		if err != nil {
			return o, err
		}
		o.Binary = path
	}
	o.Region = cmp.Or(o.Region, "global")
	o.JWTMount = cmp.Or(o.JWTMount, "jwt-nomad")
	o.Role = cmp.Or(o.Role, "nomad-workloads")
	o.servers = 1
	return o, nil
}

func startNomad(ctx context.Context, o NomadOptions, ports []int) (*Nomad, error) {
	n, err := launchNomad(o, ports)
	if err != nil {
		return nil, err
	}
	if err := n.process.await(ctx, n.leads); err != nil {
		n.Stop()
		return nil, err
	}
	if o.ACL {
		if err := n.bootstrap(ctx); err != nil {
			n.Stop()
			return nil, err
		}
	}
	if err := n.process.await(ctx, n.ready); err != nil {
		n.Stop()
		return nil, err
	}
	return n, nil
}

// launchNomad starts an agent on its ports for HTTP, RPC and Serf, and waits for nothing.
func launchNomad(o NomadOptions, ports []int) (*Nomad, error) {
	dir, err := os.MkdirTemp("", "harvest-nomad-")
	if err != nil {
		return nil, err
	}
	n := &Nomad{
		Address: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		Region:  o.Region,
		Name:    cmp.Or(o.Name, fmt.Sprintf("%s-%d", o.Region, ports[0])),
		rpc:     fmt.Sprintf("127.0.0.1:%d", ports[1]),
		serf:    fmt.Sprintf("127.0.0.1:%d", ports[2]),
		durable: o.Durable,
		client:  nomadClient,
	}
	if o.ClientCertificates {
		if err := n.secure(o.Region, dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if o.Issuer == "self" {
		o.Issuer = n.Address
	}
	config := filepath.Join(dir, "agent.hcl")
	n.args = []string{"agent", "-config", config}
	if !o.Durable {
		n.args = append(n.args, "-dev")
	}
	if err = writeConfig(config, o, n.Name, dir, ports); err == nil {
		n.process, err = start("nomad", dir, o.Binary, n.args, environ("TMPDIR="+dir))
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("nomad: %w", err)
	}
	return n, nil
}

// secure makes the agent's certificates, and a client with them.
func (n *Nomad) secure(region, dir string) (err error) {
	n.Address = strings.Replace(n.Address, "http:", "https:", 1)
	if n.Certificates, err = NewCertificates(dir, "server."+region+".nomad", "client."+region+".nomad"); err == nil {
		n.client, err = n.Certificates.Client()
	}
	return err
}

// agentConfig is what -dev leaves open. The fingerprints that are off would look for a
// cloud or a network that a test machine hasn't.
var agentConfig = template.Must(template.New("agent").Parse(`
name      = "{{.Name}}"
region    = "{{.Region}}"
bind_addr = "127.0.0.1"
log_level = "INFO"

ports {
  http = {{index .Ports 0}}
  rpc  = {{index .Ports 1}}
  serf = {{index .Ports 2}}
}

disable_update_check = true
{{if .Durable}}
data_dir = "{{.Dir}}/data"

advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
{{end}}
server {
  enabled = true
  {{- if .Durable}}
  bootstrap_expect = {{.Servers}}
  {{- end}}
  {{- with .First}}
  server_join {
    retry_join     = ["{{.}}"]
    retry_interval = "1s"
  }
  {{- end}}
  {{- with .Issuer}}
  oidc_issuer = "{{.}}"
  {{- end}}
  {{- with .RotationThreshold}}
  root_key_rotation_threshold = "{{.}}"
  {{- end}}
}

client {
  enabled   = {{not .Durable}}
  state_dir = "{{.Dir}}/client"
  alloc_dir = "{{.Dir}}/alloc"
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,cni,bridge"
    "driver.allowlist"     = "raw_exec"
  }
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}

{{if .ClientCertificates}}
tls {
  http                = true
  ca_file             = "{{.Dir}}/ca.pem"
  cert_file           = "{{.Dir}}/cert.pem"
  key_file            = "{{.Dir}}/key.pem"
  verify_https_client = true
}
{{end}}
{{- if .ConsulBlock}}
{{.ConsulBlock}}
{{- else}}
consul {
  server_auto_join = false
  client_auto_join = false
  auto_advertise   = false
}
{{- end}}
{{if .ACL}}
acl {
  enabled = true
}
{{end}}
{{.VaultBlock}}
{{- with .VaultAddress}}
vault {
  enabled               = true
  address               = "{{.}}"
  jwt_auth_backend_path = "{{$.JWTMount}}"
  create_from_role      = "{{$.Role}}"

  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}
{{end}}`))

func writeConfig(path string, o NomadOptions, name, dir string, ports []int) error {
	o.Name = name
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = agentConfig.Execute(f, struct {
		NomadOptions
		Dir     string
		Ports   []int
		Servers int
		First   string
	}{o, dir, ports, o.servers, o.first})
	return errors.Join(err, f.Close())
}

// leads is nil once the agent is this one and leads its region.
func (n *Nomad) leads(ctx context.Context) error {
	var health struct {
		Server struct{ Ok bool }
	}
	if _, err := n.call(ctx, http.MethodGet, "/v1/agent/health", nil, &health); err != nil {
		return err
	}
	var leader string
	if _, err := n.call(ctx, http.MethodGet, "/v1/status/leader", nil, &leader); err != nil {
		return err
	}
	if !health.Server.Ok || leader == "" {
		return errors.New("no leader")
	}
	return nil
}

// ready is nil once there is a key and, unless it is a server only, a client that takes jobs.
func (n *Nomad) ready(ctx context.Context) error {
	var set struct{ Keys []struct{ Kid string } }
	if _, err := n.call(ctx, http.MethodGet, "/.well-known/jwks.json", nil, &set); err != nil {
		return err
	}
	if len(set.Keys) == 0 {
		return errors.New("no key yet")
	}
	if n.durable {
		return nil
	}
	var nodes []struct {
		Name, Status          string
		SchedulingEligibility string
		Drivers               map[string]struct{ Healthy bool }
	}
	if _, err := n.call(ctx, http.MethodGet, "/v1/nodes", nil, &nodes); err != nil {
		return err
	}
	for _, node := range nodes {
		if node.Name == n.Name && node.Status == "ready" && node.Drivers["raw_exec"].Healthy {
			return nil
		}
	}
	return errors.New("no node is ready to run raw_exec tasks")
}

func (n *Nomad) bootstrap(ctx context.Context) error {
	var token struct{ SecretID string }
	return n.process.await(ctx, func(ctx context.Context) error {
		_, err := n.call(ctx, http.MethodPut, "/v1/acl/bootstrap", nil, &token)
		n.Token = token.SecretID
		return err
	})
}

// Join federates this agent's region with another's, and returns when each lists both.
func (n *Nomad) Join(ctx context.Context, other *Nomad) error {
	if _, err := n.call(ctx, http.MethodPut, "/v1/agent/join?address="+other.serf, nil, nil); err != nil {
		return err
	}
	for _, agent := range []*Nomad{n, other} {
		err := agent.process.await(ctx, func(ctx context.Context) error {
			regions, err := agent.Regions(ctx)
			if err != nil {
				return err
			}
			for _, want := range []*Nomad{n, other} {
				// The region is listed before its servers can be reached.
				if _, err := agent.JWKS(ctx, want.Region); err != nil {
					return fmt.Errorf("%v: %w", regions, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Regions lists the federated regions that are alive.
func (n *Nomad) Regions(ctx context.Context) ([]string, error) {
	var regions []string
	_, err := n.call(ctx, http.MethodGet, "/v1/regions", nil, &regions)
	return regions, err
}

// Log is the end of the agent's output.
func (n *Nomad) Log() string { return n.process.tail() }

// Done is closed when the agent has ended.
func (n *Nomad) Done() <-chan struct{} { return n.process.done }

// Stop stops the jobs that RunJob started, then the agent, and removes what it kept. It
// may be called twice.
func (n *Nomad) Stop() {
	n.stopJobs()
	n.process.end()
}
