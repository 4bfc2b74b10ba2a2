package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTwin(t *testing.T) {
	agent := func(address string, regions ...string) clusterConfig {
		return clusterConfig{address: address, regions: regions}
	}
	for name, test := range map[string]struct {
		a, b clusterConfig
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
		"a file":                 {clusterConfig{jwksFile: "x"}, clusterConfig{jwksFile: "x"}, true},
		"another query":          {clusterConfig{jwksURL: "https://x/y?a"}, clusterConfig{jwksURL: "https://x/y?b"}, false},
		"issuer and URL":         {clusterConfig{oidcIssuer: "https://x"}, clusterConfig{jwksURL: "https://x"}, false},
	} {
		_, same := twin([]clusterConfig{test.a, test.b}, 1)
		assert.Equal(t, test.same, same, name)
	}
}
