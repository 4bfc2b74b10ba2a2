package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

func pemOf(k *fakenomad.Key) (string, error) {
	b, err := pem.Encode(k.Public())
	return string(b), err
}

// The check stands before all that a watch serves.
func TestListenHostOfAWatch(t *testing.T) {
	w := newWatched(t)
	w.start()
	for host, status := range map[string]int{"": http.StatusOK, "localhost": http.StatusOK, "attacker.example": http.StatusMisdirectedRequest} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.listen+"/metrics", nil)
		require.NoError(t, err)
		request.Host = host // "": as in the address
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, status, response.StatusCode, host)
	}
}
