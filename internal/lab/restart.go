package lab

import (
	"context"
	"crypto/rand"
)

// Kill ends the server as a crash would, for Restart.
func (v *Vault) Kill() { v.process.kill() }

// Restart starts the server again at its address, after Kill, and returns when it is ready:
// unsealed and, where it is one of several, with a leader. A server in dev mode is empty then:
// without mounts, and with another root token.
func (v *Vault) Restart(ctx context.Context) error {
	if v.raft {
		if err := v.process.restart(v.args); err != nil {
			return err
		}
		if err := v.process.await(ctx, v.unseal); err != nil {
			return err
		}
		return v.process.await(ctx, v.ready)
	}
	v.RootToken, v.UnsealKey, v.audit = "root-"+rand.Text(), "", ""
	v.args[tokenArgument] = "-dev-root-token-id=" + v.RootToken
	if err := v.process.restart(v.args); err != nil {
		return err
	}
	return v.process.await(ctx, v.ready)
}

// Pause stops the server where it stands (SIGSTOP), connections open, until Resume. Linux only.
func (v *Vault) Pause() error { return pause(v.process.cmd.Process) }

// Resume lets a server go on after Pause.
func (v *Vault) Resume() error { return resume(v.process.cmd.Process) }

// Pause stops the agent where it stands (SIGSTOP), connections open, until Resume. Linux only.
func (n *Nomad) Pause() error { return pause(n.process.cmd.Process) }

// Resume lets an agent go on after Pause.
func (n *Nomad) Resume() error { return resume(n.process.cmd.Process) }

// Kill ends the agent as a crash would, for Restart.
func (n *Nomad) Kill() { n.process.kill() }

// Restart starts the agent again at its addresses, after Kill, and returns when it leads its
// region and publishes a key. Unless it is Durable it is another cluster then: with another
// key, and an index that starts over.
func (n *Nomad) Restart(ctx context.Context) error {
	if err := n.process.restart(n.args); err != nil {
		return err
	}
	if err := n.process.await(ctx, n.leads); err != nil {
		return err
	}
	return n.process.await(ctx, n.ready)
}

// kill ends the process as a crash would: what it kept stays, for restart.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// restart runs the command again, after kill, in the same directory and with these
// arguments.
func (p *process) restart(args []string) error {
	return p.launch(p.cmd.Path, args, p.cmd.Env)
}
