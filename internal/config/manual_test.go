package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/manual"
)

// TestManualDescribes: harvest.hcl(5) describes what is read, nothing less and nothing else.
func TestManualDescribes(t *testing.T) {
	described := map[string][]string{}
	for _, b := range manual.Blocks {
		described[b.Name] = nil
		for _, a := range b.Attributes {
			described[b.Name] = append(described[b.Name], a.Name)
		}
		slices.Sort(described[b.Name])
	}
	read := everyAttribute()
	for name := range read {
		slices.Sort(read[name])
	}
	assert.Equal(t, read, described)
}

// TestManualKinds: each setting refuses what isn't of the kind that the manual says, and
// each that is required is missed.
func TestManualKinds(t *testing.T) {
	wrong := map[string][2]string{ // a value of another kind, and what is said of it
		"string": {`["x"]`, "string required"}, "list of strings": {`"x"`, "list of string required"}, "list of fingerprints": {`["x"]`, "fingerprint"},
		"bool": {`"x"`, "a bool is required"}, "number": {`"x"`, "a number is required"}, "duration": {`"x"`, "want a duration"}, "map of strings": {`"x"`, "map of string required"},
	}
	for _, b := range manual.Blocks {
		for _, a := range b.Attributes {
			src := insideOf(b.Name, a.Name+" = "+wrong[a.Kind][0]+"\n")
			_, diags := readConfig("x.hcl", []byte(src))
			assert.Contains(t, configError(diags).Error(), wrong[a.Kind][1], "%s: %s", b.Name, a.Name)
			assert.Contains(t, configError(diags).Error(), a.Name, "%s: %s", b.Name, a.Name)
			if method, ok := strings.CutPrefix(b.Name, "auth "); ok {
				assert.Equal(t, slices.Contains(authMethods[method].needs, a.Name), a.Required(), "%s: %s", b.Name, a.Name)
			}
		}
	}
}

// insideOf returns a configuration with text in a block of that name.
func insideOf(name, text string) string {
	switch method, auth := strings.CutPrefix(name, "auth "); {
	case name == "":
		return text
	case auth:
		return "vault {\nauth \"" + method + "\" {\n" + text + "}\n}\n"
	case name == blockKubernetes:
		return "cluster \"x\" {\nkubernetes {\n" + text + "}\n}\n"
	case name == "role":
		return "mount \"m\" {\nrole \"r\" {\n" + text + "}\n}\n"
	}
	return name + " \"x\" {\n" + text + "}\n"
}
