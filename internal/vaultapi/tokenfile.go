package vaultapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/files"
)

// maxTokenFile bounds a file that holds a token or a JWT, in bytes.
const maxTokenFile = 64 << 10

// ReadTokenFile returns what a file holds, less the white space around it: a Vault token
// or a JWT of 64 KiB at most. It may be a pipe, which is waited for until ctx ends. The error names
// the file, never what is in it.
func ReadTokenFile(ctx context.Context, name string) (string, error) {
	b, _, err := files.Named(ctx, name, maxTokenFile+1)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	switch {
	case len(b) > maxTokenFile:
		return "", fmt.Errorf("token file %s: larger than %d bytes", name, maxTokenFile)
	case token == "":
		return "", fmt.Errorf("token file %s: empty", name)
	case strings.ContainsAny(token, " \t\r\n\x00"):
		return "", fmt.Errorf("token file %s: holds more than one token", name)
	}
	return token, nil
}
