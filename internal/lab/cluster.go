package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// leadsTimeout is how long a server may take to report whether it leads: a paused one never does.
const leadsTimeout = 2 * time.Second

// StartVaults starts n Vaults as one cluster on integrated storage, and returns when each of
// them has a vote. They share a root token and an unseal key. The first leads.
func StartVaults(ctx context.Context, n int, o VaultOptions) ([]*Vault, error) {
	o.Raft = true
	leader, err := StartVault(ctx, o)
	if err != nil {
		return nil, err
	}
	all := []*Vault{leader}
	// A node has no vote until it was steady for that long, which is ten seconds if nothing is
	// said.
	_, err = leader.Client().Logical().WriteWithContext(ctx, "sys/storage/raft/autopilot/configuration",
		map[string]any{"server_stabilization_time": "1s"})
	for len(all) < n && err == nil {
		var v *Vault
		if v, err = StartVault(ctx, VaultOptions{Pair: o.Pair, Binary: o.Binary, Join: leader}); err == nil {
			all = append(all, v)
		}
	}
	if err == nil {
		err = leader.process.await(ctx, func(ctx context.Context) error { return leader.voters(ctx, n) })
	}
	if err != nil {
		for _, v := range all {
			v.Stop()
		}
		return nil, err
	}
	return all, nil
}

// voters is nil once the cluster has n voters: a node that joins gets its vote about ten
// seconds later.
func (v *Vault) voters(ctx context.Context, n int) error {
	secret, err := v.Client().Logical().ReadWithContext(ctx, "sys/storage/raft/configuration")
	if err != nil {
		return err
	}
	var have int
	config, _ := secret.Data["config"].(map[string]any)
	servers, _ := config["servers"].([]any)
	for _, s := range servers {
		if server, _ := s.(map[string]any); server["voter"] == true {
			have++
		}
	}
	if have != n {
		return fmt.Errorf("%d voters of %d", have, n)
	}
	return nil
}

// Leads reports whether the server is its cluster's active node, by what it says itself.
func (v *Vault) Leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leadsTimeout)
	defer cancel()
	health, err := v.Client().Sys().HealthWithContext(ctx)
	return err == nil && health.Initialized && !health.Sealed && !health.Standby
}

// VaultLeader returns which of a cluster's servers leads, once one does.
func VaultLeader(ctx context.Context, servers []*Vault) (*Vault, error) {
	var leader *Vault
	_, err := poll(ctx, nil, func(ctx context.Context) error {
		for _, v := range servers {
			if v.Leads(ctx) {
				leader = v
				return nil
			}
		}
		return errors.New("no server leads")
	})
	return leader, err
}

// Snapshot returns the state of the server's cluster (vault operator raft snapshot save).
func (v *Vault) Snapshot(ctx context.Context) ([]byte, error) {
	var to bytes.Buffer
	if err := v.Client().Sys().RaftSnapshotWithContext(ctx, &to); err != nil {
		return nil, fmt.Errorf("vault: snapshot: %w", err)
	}
	return to.Bytes(), nil
}

// Restore gives the server's cluster the state of a snapshot (vault operator raft snapshot
// restore).
func (v *Vault) Restore(ctx context.Context, snapshot []byte) error {
	if err := v.Client().Sys().RaftSnapshotRestoreWithContext(ctx, bytes.NewReader(snapshot), false); err != nil {
		return fmt.Errorf("vault: restore: %w", err)
	}
	return nil
}

// StartNomads starts n Nomad servers as one region, and returns when one leads and a key is
// published. They keep their state on disk and run no tasks, as a Durable agent does.
func StartNomads(ctx context.Context, n int, o NomadOptions) ([]*Nomad, error) {
	o.Durable = true
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return withPorts(3*n, func(ports []int) ([]*Nomad, error) {
		var all []*Nomad
		var err error
		for i := 0; i < n && err == nil; i++ {
			one := o
			one.servers, one.first = n, fmt.Sprintf("127.0.0.1:%d", ports[2])
			one.Name = fmt.Sprintf("%s-%d", cmp.Or(o.Name, o.Region), i+1)
			var agent *Nomad
			if agent, err = launchNomad(one, ports[3*i:3*i+3]); err == nil {
				all = append(all, agent)
			}
		}
		for i := 0; i < len(all) && err == nil; i++ {
			if err = all[i].process.await(ctx, all[i].leads); err == nil && o.ACL && i == 0 {
				err = all[0].bootstrap(ctx)
			}
			all[i].Token = all[0].Token
		}
		for i := 0; i < len(all) && err == nil; i++ {
			err = all[i].process.await(ctx, all[i].ready)
		}
		if err != nil {
			var stopping sync.WaitGroup
			for _, agent := range all {
				stopping.Go(agent.Stop)
			}
			stopping.Wait()
			return nil, err
		}
		return all, nil
	})
}

// Leads reports whether the agent is its region's leader, by what it says itself.
func (n *Nomad) Leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leadsTimeout)
	defer cancel()
	var leader string
	_, err := n.call(ctx, http.MethodGet, "/v1/status/leader", nil, &leader)
	return err == nil && leader == n.rpc
}

// NomadLeader returns which of a region's servers leads, once one does.
func NomadLeader(ctx context.Context, servers []*Nomad) (*Nomad, error) {
	var leader *Nomad
	_, err := poll(ctx, nil, func(ctx context.Context) error {
		for _, n := range servers {
			if n.Leads(ctx) {
				leader = n
				return nil
			}
		}
		return errors.New("no server leads")
	})
	return leader, err
}
