//go:build linux

package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stands are the stand-ins as the test sees them.
type stands struct {
	greeting
	client *http.Client
}

// start runs the stand-ins, in a process of their own, until the test ends.
func start(t *testing.T, withTLS bool) *stands {
	t.Helper()
	text, err := json.Marshal(settings{sources, mounts(), withTLS})
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), standInOf+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close() // which ends them
		_ = cmd.Wait()
	})
	s := &stands{client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	require.NoError(t, json.NewDecoder(stdout).Decode(&s.greeting), "the stand-ins didn't start")
	return s
}

// await returns once a condition of the stand-ins holds: see farm.control.
func (s *stands) await(t *testing.T, what string, n int, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	status, body := s.get(ctx, t, fmt.Sprintf("%s/%s?n=%d", s.Control, what, n))
	require.Equal(t, http.StatusOK, status, "%s", body)
}

func (s *stands) get(ctx context.Context, t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := s.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}
