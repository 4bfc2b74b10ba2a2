package jwks

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

func TestNomadAddress(t *testing.T) {
	var asked atomic.Value
	document := keySet(rsaMember(0, nil))
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		serve(document)(w, r)
	})
	tests := map[string]struct{ path, region, want string }{
		"bare":                 {"", "", "/.well-known/jwks.json"},
		"slash":                {"/", "", "/.well-known/jwks.json"},
		"region":               {"", "eu-west", "/.well-known/jwks.json?region=eu-west"},
		"region to be escaped": {"", "a&index=1 b", "/.well-known/jwks.json?region=a%26index%3D1+b"},
		"prefix":               {"/nomad/us", "", "/nomad/us/.well-known/jwks.json"},
		"prefix with a slash":  {"/nomad/us/", "eu", "/nomad/us/.well-known/jwks.json?region=eu"},
		"escaped prefix":       {"/a%2Fb", "", "/a%2Fb/.well-known/jwks.json"},
		"fragment":             {"/#x", "", "/.well-known/jwks.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source := Nomad{Address: server.URL + test.path, Region: test.region}
			_, err := source.Fetch(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.want, asked.Load())
			assert.Equal(t, test.region, source.RegionName())
		})
	}
	for name, address := range map[string]string{
		"unix":  "unix:///run/nomad.sock",
		"query": "http://127.0.0.1:4646/?region=x",
		"empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Nomad{Address: address}.Fetch(t.Context())
			require.ErrorContains(t, err, "nomad: ")
			_, err = Nomad{Address: address}.Regions(t.Context())
			require.ErrorContains(t, err, "nomad: ")
		})
	}
}

func TestString(t *testing.T) {
	for want, source := range map[string]Source{
		"GET https://nomad.example.com:4646/.well-known/jwks.json region eu": Nomad{Address: "https://nomad.example.com:4646/", Region: "eu"},
		"GET https://nomad.example.com":                                      Nomad{Address: "https://me:hunter2@nomad.example.com"},
		"GET https://example.com/keys":                                       URL("https://me:hunter2@example.com/keys", nil),
		"GET https://example.com/a/.well-known/openid-configuration":         Issuer("https://example.com/a/", nil),
		"GET ":           Issuer("", nil),
		"file keys.json": File("keys.json"),
	} {
		assert.Equal(t, want, fmt.Sprint(source))
	}
}

func TestRegions(t *testing.T) {
	many := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("r%04d", n-i)
		}
		data, _ := json.Marshal(names)
		return string(data)
	}
	tests := map[string]struct {
		body    string
		want    []string
		message string
	}{
		"one":            {body: `["global"]`, want: []string{"global"}},
		"sorted, once":   {body: `["us", "eu", "us"]`, want: []string{"eu", "us"}},
		"odd characters": {body: `["eu-west.1_B"]`, want: []string{"eu-west.1_B"}},
		"longest":        {body: `["` + strings.Repeat("r", 128) + `"]`, want: []string{strings.Repeat("r", 128)}},
		"empty":          {body: `[]`, message: "empty"},
		"null":           {body: `null`, message: "empty"},
		"object":         {body: `{}`, message: "not a list of regions"},
		"number":         {body: `[1]`, message: "not a list of regions"},
		"null inside":    {body: `["eu", null]`, message: "no name of a region"},
		"trailing":       {body: `["eu"] x`, message: "not a list of regions"},
		"blank name":     {body: `[""]`, message: "no name of a region"},
		"dash first":     {body: `["-eu"]`, message: "no name of a region"},
		"slash":          {body: `["eu/west"]`, message: "no name of a region"},
		"star":           {body: `["*"]`, message: "no name of a region"},
		"line feed":      {body: `["eu\n"]`, message: "no name of a region"},
		"too long":       {body: `["` + strings.Repeat("r", 129) + `"]`, message: "no name of a region"},
		"too many":       {body: many(1001), message: "1001 regions"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/prefix/v1/regions", r.URL.String())
				assert.Equal(t, "application/json, */*;q=0.1", r.Header.Get("Accept"))
				io.WriteString(w, test.body)
			})
			got, err := Nomad{Address: server.URL + "/prefix/", Region: "ignored"}.Regions(t.Context())
			if test.message == "" {
				require.NoError(t, err)
				assert.Equal(t, test.want, got)
				return
			}
			require.ErrorContains(t, err, test.message)
			assert.ErrorContains(t, err, "/prefix/v1/regions")
			assert.True(t, text.IsPrintable(err.Error()))
		})
	}
	t.Run("most", func(t *testing.T) {
		got, err := parseRegions([]byte(many(1000)))
		require.NoError(t, err)
		assert.Len(t, got, 1000)
	})
	t.Run("too large", func(t *testing.T) {
		server := newServer(t, serve(`["eu"`+strings.Repeat(" ", MaxDocument)+"]"))
		_, err := Nomad{Address: server.URL}.Regions(t.Context())
		require.ErrorIs(t, err, ErrTooLarge)
	})
	t.Run("not found", func(t *testing.T) {
		server := newServer(t, http.NotFound)
		_, err := Nomad{Address: server.URL}.Regions(t.Context())
		require.ErrorContains(t, err, "is this a Nomad agent?")
	})
}
