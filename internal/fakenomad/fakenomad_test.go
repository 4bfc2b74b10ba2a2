package fakenomad_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakenomad/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for name, issuer := range map[string]string{"without issuer": "", "with issuer": "https://nomad.example.com"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fakenomad.New(t, "us-east", "eu-west")
			s.SetIssuer(issuer)
			own := s.Region("us-east")
			conformance.Run(t, conformance.Agent{
				Address:    s.URL,
				Region:     "us-east",
				Other:      "eu-west",
				Issuer:     issuer,
				Rotate:     func(context.Context) (string, error) { return own.Rotate("RS256").ID, nil },
				Prepublish: func(context.Context) (string, error) { return own.Prepublish("RS256").ID, nil },
				Remove:     func(_ context.Context, id string) error { own.Remove(id); return nil },
			})
		})
	}
}

// get returns the status and the body.
func get(t *testing.T, s *fakenomad.Server, path string) (int, string) {
	t.Helper()
	resp, err := s.Client().Get(s.URL + path)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

const path = "/.well-known/jwks.json"

func TestRegionsComeAndGo(t *testing.T) {
	s := fakenomad.New(t, "us-east")
	west := s.Join("eu-west")
	_, body := get(t, s, "/v1/regions")
	require.JSONEq(t, `["eu-west","us-east"]`, body)
	west.Down(true)
	_, body = get(t, s, "/v1/regions")
	require.JSONEq(t, `["us-east"]`, body)
	status, body := get(t, s, path+"?region=eu-west")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Contains(t, body, "No path to region")
	west.Down(false)
	status, _ = get(t, s, path+"?region=eu-west")
	require.Equal(t, http.StatusOK, status)
}

func TestPublish(t *testing.T) {
	s := fakenomad.New(t)
	r := s.Region("")
	r.Clear()
	_, body := get(t, s, path)
	require.JSONEq(t, `{"keys":[]}`, body)
	r.Publish([]byte("<html>"))
	_, body = get(t, s, path)
	require.Equal(t, "<html>", body)
	r.Publish(nil)
	ed := r.Rotate("EdDSA")
	_, body = get(t, s, path)
	require.Contains(t, body, `"crv":"Ed25519"`)
	require.Equal(t, ed, r.Active())
	before := r.Index()
	r.Rebuild()
	require.Less(t, r.Index(), before)
	require.Len(t, r.Keys(), 1)
}

// In a bubble an hour takes no time, so a key of Ed25519 is made in place of a slow one.
func TestBlockingInProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakenomad.NewInProcess()
		defer s.Close()
		r := s.Region("")
		blocked := func(wait string) <-chan time.Duration {
			done := make(chan time.Duration, 1)
			start := time.Now()
			at := path + "?wait=" + wait + "&index=" + strconv.FormatUint(r.Index(), 10)
			go func() {
				resp, err := s.Client().Get(s.URL + at)
				if err == nil {
					_ = resp.Body.Close()
				}
				done <- time.Since(start)
			}()
			return done
		}
		require.Equal(t, 9*time.Minute, <-blocked("9m"))
		done := blocked("9m")
		time.Sleep(time.Minute)
		r.Rotate("EdDSA")
		require.Equal(t, time.Minute, <-done)
		require.Equal(t, 2, s.Count("GET", path))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?wait=1h&index="+strconv.FormatUint(r.Index(), 10), nil)
		require.NoError(t, err)
		_, err = s.Client().Do(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestClosingEndsBlockedQueries(t *testing.T) {
	s := fakenomad.Start()
	done := make(chan error, 1)
	go func() {
		_, err := s.Client().Get(s.URL + path + "?wait=5m&index=" + strconv.FormatUint(s.Region("").Index(), 10))
		done <- err
	}()
	require.NoError(t, s.Await(t.Context(), 1, func(fakehttp.Request) bool { return true }))
	s.Close()
	require.Error(t, <-done)
}
