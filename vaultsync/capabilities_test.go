package vaultsync

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
)

const (
	capabilitiesPath = "sys/capabilities-self"
	readOnly         = `path "auth/jwt-nomad/config" { capabilities = ["read"] }`
)

// withPolicy returns the mount for a token with that policy and Vault's default one.
func withPolicy(t *testing.T, v *fakevault.Server, policy string) *Mount {
	t.Helper()
	require.NoError(t, v.Client().Sys().PutPolicy("own", policy))
	secret, err := v.Client().Logical().Write("auth/token/create", map[string]any{"policies": []string{"own"}})
	require.NoError(t, err)
	v.ClearRequests()
	return NewMount(v.ClientWith(secret.Auth.ClientToken), "jwt-nomad")
}

// mayDo returns what the mount's token may do with its configuration.
func mayDo(ctx context.Context, m *Mount) ([]string, error) {
	s, err := m.open()
	if err != nil {
		return nil, err
	}
	capabilities, err := s.capabilities(ctx)
	return capabilities, m.Wrap(ended(ctx, err))
}

func TestCapabilities(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, root *Mount) {
		got, err := mayDo(t.Context(), root)
		require.NoError(t, err)
		assert.Equal(t, []string{"root"}, got)

		m := withPolicy(t, v, vaultapi.Policy("jwt-nomad"))
		got, err = mayDo(t.Context(), m)
		require.NoError(t, err)
		assert.Equal(t, []string{"read", "update"}, got)
		assert.Equal(t, "PUT /v1/"+capabilitiesPath, v.Requests()[0].String())
		assert.Len(t, v.Requests(), 1)

		v.Inject(fault.On("PUT", capabilitiesPath, fault.Status(403, "permission denied")))
		_, err = mayDo(t.Context(), m)
		require.ErrorIs(t, err, ErrForbidden)
		var mount *MountError
		require.ErrorAs(t, err, &mount)

		for _, body := range []string{`{"data":{}}`, `{"data":{"auth/jwt-nomad/config":"update"}}`, `{}`, `[]`, ``} {
			v.ClearFaults()
			v.Inject(fault.On("PUT", capabilitiesPath, fault.Answer(200, "application/json", body)))
			_, err = mayDo(t.Context(), m)
			require.Error(t, err, body)
		}
		v.ClearFaults()
		v.Inject(fault.On("PUT", capabilitiesPath, fault.Delay(time.Hour)))
		began := time.Now()
		_, err = mayDo(t.Context(), m)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, askTimeout, time.Since(began))

		_, err = mayDo(t.Context(), NewMount(v.Client(), ""))
		require.Error(t, err)
	})
}

const lacks = `the token lacks "update" on auth/jwt-nomad/config: no change of the keys can be written`

// A plan says it, with changes or without; a sync only where Vault refuses its write.
func TestTokenWithoutUpdate(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, root *Mount) {
		want := desired(publish("a", "k1"))
		synced(t, root, want, Options{})
		m := withPolicy(t, v, readOnly)

		report, err := m.Plan(t.Context(), want, Options{})
		require.NoError(t, err)
		assert.Equal(t, []string{lacks}, report.Plan.Warnings)
		assert.True(t, report.InSync())

		v.ClearRequests()
		synced(t, m, want, Options{})
		assert.Len(t, v.Requests(), 1, "in sync, it costs one read as ever")

		v.ClearRequests()
		report, err = m.Sync(t.Context(), desired(publish("a", "k1", "k2")), Options{})
		require.ErrorIs(t, err, ErrForbidden)
		require.ErrorContains(t, err, lacks)
		var answer *api.ResponseError
		require.ErrorAs(t, err, &answer)
		assert.Equal(t, http.StatusForbidden, answer.StatusCode)
		assert.Zero(t, report.Written)
		assert.Empty(t, report.WriteTimes)
		assert.Equal(t, 1, v.Count("PUT", configPath))
		assert.Equal(t, 1, v.Count("PUT", capabilitiesPath))
		assert.Equal(t, []string{"a k1"}, trustedNames(v))
	})
}

// Without an answer a plan says nothing, and a sync that is refused says what Vault did.
func TestCapabilitiesUnknown(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"may not ask": fault.Status(403, "permission denied"),
		"no such":     fault.Status(404),
		"failed":      fault.Status(500, "internal error"),
		"limited":     fault.Status(429, "rate limit quota exceeded"),
		"HTML":        fault.Answer(200, "text/html", "<html>"),
		"empty":       fault.Answer(200, "application/json", `{"data":{"capabilities":[]}}`),
		"broken":      fault.Drop(),
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			m.Client.SetMaxRetries(2)
			v.Inject(fault.On("PUT", capabilitiesPath, f))
			report, err := m.Plan(t.Context(), desired(publish("a", "k1")), Options{})
			require.NoError(t, err)
			assert.Empty(t, report.Plan.Warnings)
			assert.Equal(t, 1, v.Count("PUT", capabilitiesPath), "it is asked once")
			report = synced(t, m, desired(publish("a", "k1")), Options{})
			assert.Equal(t, 1, report.Written)
			assert.Equal(t, 1, v.Count("PUT", capabilitiesPath), "a sync that isn't refused doesn't ask")

			v.Inject(fault.On("PUT", configPath, fault.Status(403, "permission denied")))
			_, err = m.Sync(t.Context(), desired(publish("a", "k1", "k2")), Options{})
			require.ErrorIs(t, err, ErrForbidden)
			require.ErrorContains(t, err, `the token lacks "update" on auth/jwt-nomad/config`)
			assert.Equal(t, 2, v.Count("PUT", capabilitiesPath), "it is asked once")
		})
	}
}

// readOnlyWatch has a watch of a mount that its token may only read, and hears what it tells
// besides its syncs.
func readOnlyWatch(t *testing.T, test func(t *testing.T, v *fakevault.Server, h *Harvester, told *[]Event)) {
	t.Helper()
	inBubble(t, func(t *testing.T, v *fakevault.Server, _ *Mount) {
		configured(t, v, trust("a", "k1"))
		told := new([]Event)
		test(t, v, &Harvester{
			Clusters: []jwks.Cluster{{Name: "a", Sources: []jwks.Source{&countingSource{result: publish("a", "k1")}}}},
			Targets: []Target{{Mount: withPolicy(t, v, readOnly), Clusters: []string{"a"}, Options: Options{OnEvent: func(e Event) {
				if e.Kind != EventSynced {
					*told = append(*told, e)
				}
			}}}},
		}, told)
	})
}

// A watch says it when it begins, and once; it watches all the same, asks every minute, and says
// when the token may.
func TestWatchWithoutUpdate(t *testing.T) {
	readOnlyWatch(t, func(t *testing.T, v *fakevault.Server, h *Harvester, told *[]Event) {
		v.Inject(fault.On("GET", configPath, fault.Delay(time.Second))) // so that the question is answered before the first sync ends
		var log bytes.Buffer
		h.Targets[0].Options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		time.AfterFunc(30*time.Minute, func() { assert.NoError(t, v.Client().Sys().PutPolicy("own", vaultapi.Policy("jwt-nomad"))) })
		require.NoError(t, h.Watch(ctx, WatchOptions{}))
		require.Len(t, *told, 2)
		assert.Equal(t, EventUnwritable, (*told)[0].Kind)
		require.ErrorIs(t, (*told)[0].Err, ErrForbidden)
		require.ErrorContains(t, (*told)[0].Err, lacks)
		assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=WARN")), log.String())
		assert.Contains(t, log.String(), `msg="mount can't be written"`)
		assert.Equal(t, EventWritable, (*told)[1].Kind)
		assert.Equal(t, 32, v.Count("PUT", capabilitiesPath), "when it begins, after the first sync, and every minute")
		assert.Greater(t, v.Count("GET", configPath), 1)
	})
}

// Where Vault doesn't answer when a watch begins, it is asked again once the mount could be
// read; a token that may not ask then is let alone.
func TestWatchAsksAgain(t *testing.T) {
	for name, test := range map[string]struct {
		fault fault.Fault // of every request, for a minute
		ask   fault.Fault // of the question, for ever
		told  int
		asked int // at least
	}{
		"sealed":           {fault.Status(503, "Vault is sealed"), nil, 1, 2},
		"no valid token":   {fault.Status(403, "permission denied"), nil, 1, 2},
		"may never ask":    {nil, fault.Status(403, "permission denied"), 0, 2},
		"answered at once": {nil, nil, 1, 1},
	} {
		readOnlyWatch(t, func(t *testing.T, v *fakevault.Server, h *Harvester, told *[]Event) {
			if test.fault != nil {
				v.Inject(test.fault)
				time.AfterFunc(time.Minute, v.ClearFaults)
			}
			if test.ask != nil {
				v.Inject(fault.On("PUT", capabilitiesPath, test.ask))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			require.NoError(t, h.Watch(ctx, WatchOptions{}))
			unwritable := slices.DeleteFunc(*told, func(e Event) bool { return e.Kind != EventUnwritable })
			assert.Len(t, unwritable, test.told, name)
			if asked := v.Count("PUT", capabilitiesPath); test.told == 0 {
				assert.Equal(t, test.asked, asked, name)
			} else {
				assert.Greater(t, asked, test.asked, "%s: until it may", name)
			}
		})
	}
}
