package jwtrole

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPolicyForRoles(t *testing.T) {
	assert.Equal(t, `path "auth/a/role" {
  capabilities = ["list"]
}

path "auth/a/role/*" {
  capabilities = ["read"]
}

path "sys/policies/acl/*" {
  capabilities = ["read"]
}
`, Policy("a", "/a/"))
}
