package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/lab"
)

// servers are what the demonstration runs on.
type servers struct {
	what         string
	vault, token string // address and root token
	east, west   cluster
	login        func(context.Context) (string, error) // as a new task of east
	stop         func()
}

type cluster struct {
	address string
	rotate  func(context.Context) error
}

const (
	mount  = "jwt-nomad"
	role   = "nomad-workloads"
	secret = "opensesame"
)

// anyServers are real ones where there are binaries of them, and stand-ins else.
func anyServers(ctx context.Context) (*servers, error) {
	if s, err := realServers(ctx); s != nil || err != nil {
		return s, err
	}
	return standIns(ctx)
}

// standIns serve from inside this process.
func standIns(context.Context) (*servers, error) {
	vault, east, west := fakevault.Start(), fakenomad.Start("us-east"), fakenomad.Start("eu-west")
	client := vault.Client()
	if err := prepare(client); err != nil {
		return nil, err
	}
	region := east.Region("us-east")
	return &servers{
		what:  "stand-ins inside this process; `make lab` builds the real Vault and Nomad",
		vault: vault.URL, token: fakevault.RootToken,
		east: cluster{east.URL, func(context.Context) error {
			region.Rotate("RS256")
			return nil
		}},
		west: cluster{address: west.URL},
		login: func(ctx context.Context) (string, error) {
			jwt := region.Token(fakenomad.Workload{})
			_, err := client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login", map[string]any{"role": role, "jwt": jwt})
			return "logged in", err
		},
		stop: func() {
			vault.Close()
			east.Close()
			west.Close()
		},
	}, nil
}

// realServers are a Vault and two Nomads, or nil where there are no binaries of them.
func realServers(ctx context.Context) (_ *servers, err error) {
	binaries, err := lab.Find(lab.Current)
	if errors.Is(err, lab.ErrNotBuilt) {
		return nil, nil //nolint:nilnil // the stand-ins take over
	}
	if err != nil {
		return nil, err
	}
	s := &servers{what: fmt.Sprintf("real ones, %s and %s", name(binaries.Vault), name(binaries.Nomad))}
	var vault *lab.Vault
	var east, west *lab.Nomad
	s.stop = func() {
		for _, n := range []*lab.Nomad{east, west} {
			if n != nil {
				n.Stop()
			}
		}
		if vault != nil {
			vault.Stop()
		}
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if vault, err = lab.StartVault(ctx, lab.VaultOptions{Pair: lab.Current}); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	var eastErr, westErr error
	start := func(into **lab.Nomad, region string, err *error) func() {
		return func() {
			*into, *err = lab.StartNomad(ctx, lab.NomadOptions{Pair: lab.Current, Region: region, VaultAddress: vault.Address})
		}
	}
	wg.Go(start(&east, "us-east", &eastErr))
	wg.Go(start(&west, "eu-west", &westErr))
	wg.Wait()
	if err = errors.Join(eastErr, westErr); err != nil {
		return nil, err
	}
	if err = prepare(vault.Client()); err != nil {
		return nil, err
	}
	if _, err = vault.Client().Logical().Write("secret/data/default/mongo/config",
		map[string]any{"data": map[string]any{"root_password": secret}}); err != nil {
		return nil, err
	}
	s.vault, s.token = vault.Address, vault.RootToken
	s.east = cluster{east.Address, func(ctx context.Context) error {
		_, err := east.RotateKey(ctx)
		return err
	}}
	s.west = cluster{address: west.Address}
	tasks := 0
	s.login = func(ctx context.Context) (string, error) {
		tasks++
		job := fmt.Sprintf("mongo-%d", tasks)
		if _, err := east.RunJob(ctx, fmt.Sprintf(task, job)); err != nil {
			return "", err
		}
		config, err := east.TaskFile(ctx, job, "mongo", "local/config")
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("logged in, and its template read the secret: %s", strings.TrimSpace(string(config))), nil
	}
	return s, nil
}

// name returns "vault 1.21.1" of …/vault-1.21.1/vault, or the path of what is on the PATH.
func name(binary string) string {
	dir := filepath.Base(filepath.Dir(binary))
	if product, version, ok := strings.Cut(dir, "-"); ok && product == filepath.Base(binary) {
		return product + " " + version
	}
	return binary
}

// prepare makes the mount, its role and a policy for the role.
func prepare(c *api.Client) error {
	return errors.Join(
		c.Sys().EnableAuth(mount, "jwt", ""),
		c.Sys().PutPolicy(role, `path "secret/data/default/*" { capabilities = ["read"] }`),
		write(c, "auth/"+mount+"/role/"+role, map[string]any{
			"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
			"token_type": "service", "token_policies": role, "token_period": "30m",
		}),
	)
}

func write(c *api.Client, path string, data map[string]any) error {
	_, err := c.Logical().Write(path, data)
	return err
}

// task reads a secret with its workload identity.
const task = `
job %q {
  type = "service"
  group "db" {
    task "mongo" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["300"]
      }
      vault {}
      template {
        destination = "local/config"
        data        = "{{with secret \"secret/data/default/mongo/config\"}}{{.Data.data.root_password}}{{end}}"
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
`
