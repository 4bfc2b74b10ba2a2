package vaultapi

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
)

func TestErrorText(t *testing.T) {
	err := explain(&api.ResponseError{StatusCode: 500, Errors: []string{strings.Repeat("x", 9999)}}, "m", "auth/m/config", "read", "")
	assert.Less(t, len(err.Error()), 400)
	assert.True(t, Transient(errors.New("connection reset")))
}
