package vaultapi

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxTokenFile bounds a file that holds a token or a JWT, in bytes.
const maxTokenFile = 64 << 10

// ReadTokenFile returns what a file holds, less the white space around it: a Vault token
// or a JWT of 64 KiB at most. The error names the file, never what is in it.
func ReadTokenFile(name string) (string, error) {
	f, err := os.Open(name) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
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
