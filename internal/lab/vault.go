package lab

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// VaultOptions say which Vault to start. The zero value is a Vault in dev mode of the
// pair that HARVEST_LAB names.
type VaultOptions struct {
	// Pair is the pair of versions; "" is PairFromEnv.
	Pair Pair
	// Binary is the server to run; "" is the pair's.
	Binary string
	// RootToken is the root token; "" is a random one.
	RootToken string
	// Audit logs each request, for Vault.Audit, where the server takes an audit device from its
	// API.
	Audit bool
	// Raft keeps the data in integrated storage, as production does, and not in memory.
	// Such a server has no secrets engine at secret/.
	Raft bool
	// Join is a Raft server whose cluster this one joins, as a standby with the same root
	// token and unseal key. It implies Raft.
	Join *Vault

	plugins     string // the directory of an external auth method; "" is none
	inNamespace bool   // it is a namespace of an openBao
}

// Vault is one server, initialized and unsealed.
type Vault struct {
	Address   string
	RootToken string
	UnsealKey string // the one share that unseals it after sys/seal

	process *process
	args    []string
	raft    bool
	audit   string
	front   *openBao // what stands in front of it; may be nil
}

// StartVault starts a Vault and returns when it is ready. The error carries the end of the
// server's log; without a binary it is ErrNotBuilt.
func StartVault(ctx context.Context, o VaultOptions) (*Vault, error) {
	if o.Binary == "" {
		pair := cmp.Or(o.Pair, PairFromEnv())
		path, err := find(pair, "vault")
		if err != nil {
			return nil, err
		}
		o.Binary = path
		if pair == Newest {
			path, err := find(pair, "jwt")
			if err != nil {
				return nil, err
			}
			o.plugins = filepath.Dir(path)
		}
	}
	o.RootToken = cmp.Or(o.RootToken, "root-"+rand.Text())
	if o.Join != nil {
		o.Raft, o.RootToken = true, o.Join.RootToken
	}
	return withPorts(2, func(ports []int) (*Vault, error) {
		return startVault(ctx, o, ports)
	})
}

func startVault(ctx context.Context, o VaultOptions, ports []int) (*Vault, error) {
	dir, err := os.MkdirTemp("", "harvest-vault-")
	if err != nil {
		return nil, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", ports[0])
	v := &Vault{Address: "http://" + listen, RootToken: o.RootToken, raft: o.Raft, args: devArguments(listen, o.RootToken)}
	if o.plugins != "" {
		v.args = append(v.args, "-dev-plugin-dir="+o.plugins)
	}
	if o.Raft {
		config := filepath.Join(dir, "vault.hcl")
		text := fmt.Sprintf(raftConfig, dir, ports[0], listen, ports[1])
		if o.plugins != "" {
			text += fmt.Sprintf("plugin_directory = %q\n", o.plugins)
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		v.args = []string{"server", "-config=" + config}
	}
	v.process, err = start("vault", dir, o.Binary, v.args, environ("TMPDIR="+dir))
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	switch {
	case o.Join != nil:
		err = v.join(ctx, o.Join)
	case o.Raft:
		v.RootToken = ""
		if err = v.initialize(ctx, o.RootToken); err == nil && o.plugins != "" {
			err = v.register(ctx, filepath.Join(o.plugins, "jwt"))
		}
	}
	if err == nil {
		err = v.process.await(ctx, v.ready)
	}
	if err != nil {
		v.Stop()
		return nil, err
	}
	if asOpenBao() && !o.inNamespace {
		if v.front, err = newOpenBao(v.Address, o); err != nil {
			v.Stop()
			return nil, err
		}
		v.Address = v.front.address
	}
	if o.Audit {
		if err := v.enableAudit(ctx, filepath.Join(dir, "audit.log")); err != nil {
			v.Stop()
			return nil, err
		}
	}
	return v, nil
}

// enableAudit does nothing where the server refuses audit devices by its API, as OpenBao does.
func (v *Vault) enableAudit(ctx context.Context, log string) error {
	err := v.Client().Sys().EnableAuditWithOptionsWithContext(ctx, "file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": log},
	})
	switch {
	case err == nil:
		v.audit = log
	case !strings.Contains(err.Error(), noAuditByAPI):
		return fmt.Errorf("vault: enable audit: %w", err)
	}
	return nil
}

// Audits reports whether the server logs each request: it was asked for, and the server took it.
func (v *Vault) Audits() bool { return v.audit != "" }

// Version is the server's version, without a v, as it says itself.
func (v *Vault) Version(ctx context.Context) (string, error) {
	health, err := v.Client().Sys().HealthWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("vault: %w", err)
	}
	return health.Version, nil
}

func devArguments(listen, rootToken string) []string {
	args := []string{"server", "-dev", "-dev-no-store-token", "", "-dev-listen-address=" + listen}
	args[tokenArgument] = "-dev-root-token-id=" + rootToken
	return args
}

// tokenArgument is where devArguments has the root token.
const tokenArgument = 3

const raftConfig = `
disable_mlock = true
storage "raft" {
  path    = "%[1]s"
  node_id = "lab-%[2]d"
  performance_multiplier = 1
}
listener "tcp" {
  address         = "%[3]s"
  cluster_address = "127.0.0.1:%[4]d"
  tls_disable     = true
}
api_addr     = "http://%[3]s"
cluster_addr = "http://127.0.0.1:%[4]d"
`

// initialize makes a fresh server's keys, unseals it and sets the root token.
func (v *Vault) initialize(ctx context.Context, rootToken string) error {
	err := v.process.await(ctx, func(ctx context.Context) error {
		init, err := v.Client().Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
		if err != nil {
			return err
		}
		v.RootToken, v.UnsealKey = init.RootToken, init.KeysB64[0]
		return nil
	})
	if err != nil {
		return err
	}
	if err := v.unseal(ctx); err != nil {
		return err
	}
	return v.process.await(ctx, func(ctx context.Context) error { // it must lead first
		_, err := v.Client().Auth().Token().CreateOrphanWithContext(ctx, &api.TokenCreateRequest{ID: rootToken, Policies: []string{"root"}})
		if err == nil {
			v.RootToken = rootToken
		}
		return err
	})
}

// register puts an external auth method in the place of the one of its name, as dev mode does.
func (v *Vault) register(ctx context.Context, path string) error {
	binary, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(binary)
	return v.Client().Sys().RegisterPluginWithContext(ctx, &api.RegisterPluginInput{
		Name: filepath.Base(path), Type: api.PluginTypeCredential, Command: filepath.Base(path), SHA256: hex.EncodeToString(sum[:]),
	})
}

// join makes the server one of leader's cluster.
func (v *Vault) join(ctx context.Context, leader *Vault) error {
	v.UnsealKey = leader.UnsealKey
	err := v.process.await(ctx, func(ctx context.Context) error {
		_, err := v.Client().Sys().RaftJoinWithContext(ctx, &api.RaftJoinRequest{LeaderAPIAddr: leader.Address})
		return err
	})
	if err != nil {
		return err
	}
	return v.unseal(ctx)
}

// unseal gives the server its one share.
func (v *Vault) unseal(ctx context.Context) error {
	if _, err := v.Client().Sys().UnsealWithContext(ctx, v.UnsealKey); err != nil {
		return fmt.Errorf("vault: unseal: %w", err)
	}
	return nil
}

var unsealLine = regexp.MustCompile(`(?m)^Unseal Key: (\S+)$`)

// ready is nil once the server answers to its root token and has printed its unseal key.
// The token shows that it is our server on that port.
func (v *Vault) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := v.Client().Auth().Token().LookupSelfWithContext(ctx); err != nil {
		return err
	}
	if v.UnsealKey != "" {
		return nil
	}
	log, err := os.ReadFile(v.process.log)
	if err != nil {
		return err
	}
	m := unsealLine.FindSubmatch(log)
	if m == nil {
		return errors.New("no unseal key yet")
	}
	v.UnsealKey = string(m[1])
	return nil
}

// Client returns a client with the root token. It is a new one each time, takes nothing
// from the environment and doesn't retry.
func (v *Vault) Client() *api.Client {
	cfg := api.DefaultConfig()
	cfg.Address = v.Address
	cfg.MaxRetries = 0
	cfg.HttpClient.Transport.(*http.Transport).Proxy = nil
	c, err := api.NewClient(cfg)
	if err != nil {
		panic(err) // the address is ours
	}
	c.ClearNamespace()
	c.SetToken(v.RootToken)
	return c
}

// Log is the end of the server's output.
func (v *Vault) Log() string { return v.process.tail() }

// Done is closed when the server has ended.
func (v *Vault) Done() <-chan struct{} { return v.process.done }

// Stop ends the server and removes what it kept. It may be called twice.
func (v *Vault) Stop() {
	v.process.end()
	if v.front != nil {
		v.front.stop()
	}
}
