package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/vaultsync"
)

// TestWatchLeaksNothing: when a watch ends, all of it has.
func TestWatchLeaksNothing(t *testing.T) {
	fakevault.ClearEnvironment(t)
	before := goleak.IgnoreCurrent()
	s := fakevault.Start()
	s.Enable("", "jwt-nomad", "jwt")
	s.EnableAppRole("", "approle", "harvest", "s3cr3t")
	nomad := fakenomad.Start()
	name := filepath.Join(t.TempDir(), "c.hcl")
	require.NoError(t, os.WriteFile(name, []byte(`
cluster "one" { address = "`+nomad.URL+`" }
vault {
  address = "`+s.URL+`"
  auth "approle" {
    role_id        = "harvest"
    secret_id_file = "`+fixture.File(t, "s3cr3t")+`"
  }
}
mount "jwt-nomad" { clusters = ["one"] }
`), 0o600))
	require.NoError(t, s.Client().Sys().PutPolicy("default", `path "*" { capabilities = ["read", "update"] }`))
	cfg, err := config.Load(name)
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	d := New(Options{
		Log: log, Now: time.Now, Watch: vaultsync.WatchOptions{Resync: time.Minute}, Getenv: os.Getenv,
		Hint: func(error) string { return "" },
	})
	// The connections of each login are closed at the end: they outlast it.
	var clients []*api.Client
	d.newLogin = func(v config.Vault, tell func(error)) (login, error) {
		l, err := d.keeper(v, tell)
		if err == nil {
			clients = append(clients, l.Client())
		}
		return l, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, d.Use(ctx, cfg))
	hangup := make(chan os.Signal)
	ended := make(chan error)
	go func() {
		ended <- d.Run(ctx, hangup, func() (*config.Config, error) { return config.Load(name) })
	}()
	<-d.Settled()
	hangup <- os.Interrupt
	cancel()
	require.NoError(t, <-ended)
	d.Stop()
	for _, client := range clients {
		client.CloneConfig().HttpClient.CloseIdleConnections()
	}
	nomad.Close()
	s.Close()
	goleak.VerifyNone(t, before)
}
