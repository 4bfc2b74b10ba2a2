package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestValidateAll: a file with more mistakes than other commands show.
func TestValidateAll(t *testing.T) {
	src := "no = 1\nyes {}\n" + strings.Repeat("cluster {}\n", 2*maxConfigErrors)
	assert.Len(t, Check(t.Context(), "c.hcl", []byte(src), Checking{}).Errors, 2*maxConfigErrors+2)
}

// uncomment makes settings of those that the sample has commented out.
var uncomment = regexp.MustCompile(`(?m)^( *)#(\S)`)

// TestSample: the file to start from is valid as it is and with everything in it, and has
// every attribute and block there is.
func TestSample(t *testing.T) {
	everything := uncomment.ReplaceAllString(Sample, "$1$2")
	for name, text := range map[string]string{"as it is": Sample, "everything": everything} {
		assert.Empty(t, Check(t.Context(), "c.hcl", []byte(text), Checking{SkipFiles: true}).Errors, name)
	}
	for where, attributes := range everyAttribute() {
		for _, attribute := range attributes {
			assert.Regexp(t, `(?m)^ *`+attribute+` +=`, everything, where)
		}
	}
	for method := range authMethods {
		assert.Contains(t, everything, `auth "`+method+`" {`)
	}
}

// everyAttribute returns the attributes of each block, as it is read.
func everyAttribute() map[string][]string {
	all := map[string][]string{"": {"deny"}, "cluster": clusterAttributes, "vault": vaultAttributes, "mount": mountAttributes, "relay": relayAttributes, "role": roleAttributes, blockKubernetes: kubernetesAttributes}
	for method, m := range authMethods {
		all["auth "+method] = m.takes
	}
	return all
}
