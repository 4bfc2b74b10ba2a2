package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTwin(t *testing.T) {
	agent := func(address string, regions ...string) Cluster {
		return Cluster{Address: address, Regions: regions}
	}
	for name, test := range map[string]struct {
		a, b Cluster
		same bool
	}{
		"one agent":              {agent("https://nomad:4646"), agent("https://nomad:4646"), true},
		"written otherwise":      {agent("HTTPS://Nomad:443"), agent("https://nomad/"), true},
		"another port":           {agent("https://nomad:4646"), agent("https://nomad:4647"), false},
		"another scheme":         {agent("https://nomad:4646"), agent("http://nomad:4646"), false},
		"regions that differ":    {agent("https://nomad", "a"), agent("https://nomad", "b"), false},
		"a region of both":       {agent("https://nomad", "a", "b"), agent("https://nomad", "b"), true},
		"every region":           {agent("https://nomad", "*"), agent("https://nomad", "b"), true},
		"the agent's own region": {agent("https://nomad", ""), agent("https://nomad", "b"), true},
		"a file":                 {Cluster{JWKSFile: "x"}, Cluster{JWKSFile: "x"}, true},
		"another query":          {Cluster{JWKSURL: "https://x/y?a"}, Cluster{JWKSURL: "https://x/y?b"}, false},
		"issuer and URL":         {Cluster{OIDCIssuer: "https://x"}, Cluster{JWKSURL: "https://x"}, false},
	} {
		_, same := twin([]Cluster{test.a, test.b}, 1)
		assert.Equal(t, test.same, same, name)
	}
}
