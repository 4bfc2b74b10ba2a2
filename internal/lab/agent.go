package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Agent is a Vault Agent or a Vault Proxy: it listens, adds its own token to requests that have
// none, and passes them on to a Vault.
type Agent struct {
	Address string
	process *process
}

const vaultAgentConfig = `
vault {
  address = %q
  retry { num_retries = -1 } # none: a test doesn't wait for them
}
auto_auth {
  method "token_file" {
    config = { token_file_path = %q }
  }
}
api_proxy { use_auto_auth_token = true }
listener "tcp" {
  address                = %q
  tls_disable            = true
  require_request_header = true
}
`

// StartAgent starts "vault agent" or "vault proxy", as kind says, before the server, and returns
// when it passes requests on with that token.
func (v *Vault) StartAgent(ctx context.Context, kind, token string) (*Agent, error) {
	return withPorts(1, func(ports []int) (*Agent, error) {
		dir, err := os.MkdirTemp("", "harvest-agent-")
		if err != nil {
			return nil, err
		}
		listen := net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[0]))
		file, config := filepath.Join(dir, "token"), filepath.Join(dir, "agent.hcl")
		for name, text := range map[string]string{file: token, config: fmt.Sprintf(vaultAgentConfig, v.Address, file, listen)} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				_ = os.RemoveAll(dir)
				return nil, err
			}
		}
		a := &Agent{Address: "http://" + listen}
		a.process, err = start(kind, dir, v.process.cmd.Path, []string{kind, "-config=" + config}, environ("TMPDIR="+dir))
		if err != nil {
			_ = os.RemoveAll(dir)
			return nil, err
		}
		if err := a.process.await(ctx, a.ready); err != nil {
			a.Stop()
			return nil, err
		}
		return a, nil
	})
}

// HasProxy reports whether the server's command has "vault proxy", which came with Vault 1.14, and
// whose agent takes a token from a file.
func (v *Vault) HasProxy(ctx context.Context) bool {
	help, _ := exec.CommandContext(ctx, v.process.cmd.Path, "proxy", "-h").CombinedOutput()
	return bytes.Contains(help, []byte("proxy [options]"))
}

// ready asks for what any token may know of itself.
func (a *Agent) ready(ctx context.Context) error {
	_, err := (&Vault{Address: a.Address}).Client().Auth().Token().LookupSelfWithContext(ctx)
	return err
}

// Log returns the end of what the agent wrote.
func (a *Agent) Log() string { return a.process.tail() }

// Stop ends the agent.
func (a *Agent) Stop() { a.process.end() }
