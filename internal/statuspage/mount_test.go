package statuspage

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// What others wrote while a sync was under way is on the page and in the metrics: the sync's
// first plan knows nothing of it.
func TestBoardTakesWhatTheMountHolds(t *testing.T) {
	vault := fakevault.New(t)
	ours, theirs, fresh := keyOf("3f0f"), keyOf("fd33"), keyOf("80ef")
	vault.Enable("", "jwt-nomad", "jwt")
	mount := vaultsync.NewMount(vault.Client(), "jwt-nomad")
	b := monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" })
	id := mount.ID()
	b.Expect(map[vaultsync.MountID]monitor.Expected{id: {Clusters: []string{"us-east"}}})
	write := func(elements ...string) {
		require.NoError(t, vault.WriteConfig("", "jwt-nomad", map[string]any{"jwt_validation_pubkeys": elements}))
	}
	write(element(t, ours, "us-east", now))
	others := false
	report, err := mount.Sync(t.Context(), plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{
		Cluster: "us-east", Set: &jwks.Set{Keys: []jwks.Key{ours, fresh}},
	}}}, vaultsync.Options{
		Settle: 400 * time.Millisecond,
		OnEvent: func(e vaultsync.Event) {
			if e.Report == nil {
				b.Event(e, now)
			}
			if e.Kind == vaultsync.EventAdded && !others {
				others = true // another harvester adds its own, and leaves ours
				write(append(vault.Keys("", "jwt-nomad"), element(t, theirs, "us-west", now))...)
			}
		},
	})
	require.NoError(t, err)
	b.Report(report, now)

	var shown []string
	for _, k := range New(b.Facts(now), "", now).Mounts[0].Keys {
		shown = append(shown, string(k.State)+" "+k.Cluster+" "+k.KeyID[:4])
	}
	assert.ElementsMatch(t, []string{"trusted us-east 3f0f", "trusted us-east 80ef", "claimed us-west fd33"}, shown)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(monitor.NewRegistry(b, monitor.Build{}), promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for cluster, n := range map[string]string{"us-east": "2", "us-west": "1"} {
		assert.Regexp(t, `(?m)^harvest_keys_trusted\{cluster="`+cluster+`".* `+n+`$`, answer.Body.String())
	}
}
