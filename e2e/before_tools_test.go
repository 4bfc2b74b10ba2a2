//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	stdpem "encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// byHand are the tools of examples/lab/01-04-nomad-jwks-harvest.sh, which a machine with Go, git,
// make and gcc may lack: this test binary, called by their names. Each does what the script
// asks of it and refuses all else. HARVEST_TOOLS=real runs the same tests with the real ones.
var byHand = map[string]func(args []string) int{
	"curl": curlByHand, "jq": jqByHand, "pem-jwk": pemJWKByHand, "openssl": opensslByHand,
}

// pipeline runs the script with that environment more, as "NAME=value", and returns what it
// printed and its exit code.
func pipeline(t *testing.T, more ...string) (string, int) {
	t.Helper()
	binaries, err := lab.Find(lab.PairFromEnv())
	require.NoError(t, err)
	path := filepath.Dir(binaries.Vault) + ":" + os.Getenv("PATH")
	if os.Getenv("HARVEST_TOOLS") != "real" {
		self, err := os.Executable()
		require.NoError(t, err)
		dir := t.TempDir()
		for name := range byHand {
			require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
		}
		path = dir + ":" + path
	}
	cmd := exec.CommandContext(t.Context(), "sh", "../examples/lab/01-04-nomad-jwks-harvest.sh")
	cmd.Env = append([]string{
		"PATH=" + path, "HOME=" + t.TempDir(), "VAULT_ADDR=" + vault.Address, "VAULT_TOKEN=" + vault.RootToken,
		"GORACE=atexit_sleep_ms=0", // each tool would wait a second before it ends
	}, more...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	t.Logf("%s 01-04-nomad-jwks-harvest.sh\n%s(exit code %d)", strings.Join(more, " "), out, cmd.ProcessState.ExitCode())
	return string(out), cmd.ProcessState.ExitCode()
}

func misused(name string, args []string) int {
	fmt.Fprintf(os.Stderr, "%s %q: the stand-in doesn't do this\n", name, args)
	return 64
}

// curlByHand prints what a URL answers, whatever its status, as curl -s does.
func curlByHand(args []string) int {
	if len(args) != 2 || args[0] != "-s" {
		return misused("curl", args)
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[1], nil)
	if err != nil {
		return 3
	}
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	if err != nil {
		return 7
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return 18
	}
	return 0
}

func jqByHand(args []string) int {
	switch {
	case slices.Equal(args, []string{"-c", ".keys[]"}):
		return jqKeys()
	case len(args) == 3 && args[0] == "-Rs" && args[1] == ".":
		text, err := os.ReadFile(args[2])
		if err != nil {
			return 2
		}
		return printJSON(string(text))
	case slices.Equal(args, []string{"-s", "{jwt_validation_pubkeys: .}"}):
		keys := []any{} // of no input at all, jq makes an empty list
		decoder := json.NewDecoder(os.Stdin)
		for {
			var v any
			err := decoder.Decode(&v)
			if errors.Is(err, io.EOF) {
				return printJSON(map[string]any{"jwt_validation_pubkeys": keys})
			}
			if err != nil {
				return 2
			}
			keys = append(keys, v)
		}
	}
	return misused("jq", args)
}

// jqKeys prints the members of keys, one a line; of no input, nothing.
func jqKeys() int {
	in, err := io.ReadAll(os.Stdin)
	if err != nil || len(bytes.TrimSpace(in)) == 0 {
		return 0
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch err := json.Unmarshal(in, &document); {
	case err != nil:
		fmt.Fprintln(os.Stderr, "jq: parse error")
		return 2
	case document.Keys == nil:
		fmt.Fprintln(os.Stderr, "jq: error (at <stdin>:0): Cannot iterate over null (null)")
		return 5
	}
	for _, key := range document.Keys {
		var line bytes.Buffer
		if json.Compact(&line, key) != nil {
			return 2
		}
		line.WriteByte('\n')
		if _, err := line.WriteTo(os.Stdout); err != nil {
			return 2
		}
	}
	return 0
}

func printJSON(v any) int {
	if json.NewEncoder(os.Stdout).Encode(v) != nil {
		return 2
	}
	return 0
}

// pemJWKByHand prints what npm's pem-jwk 2.0.0 does of an RSA JWK: PKCS#1, and an empty
// line. Of other keys, and of no input, it dies with a stack trace.
func pemJWKByHand(args []string) int {
	if len(args) != 0 {
		return misused("pem-jwk", args)
	}
	var key struct{ N, E string }
	in, err := io.ReadAll(os.Stdin)
	if err != nil || json.Unmarshal(in, &key) != nil || key.N == "" || key.E == "" {
		fmt.Fprintln(os.Stderr, "TypeError [ERR_INVALID_ARG_TYPE]: The first argument must be of type string")
		return 1
	}
	n, errN := base64.RawURLEncoding.DecodeString(key.N)
	e, errE := base64.RawURLEncoding.DecodeString(key.E)
	if errN != nil || errE != nil {
		return 1
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	fmt.Printf("%s\n", stdpem.EncodeToMemory(&stdpem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(public)}))
	return 0
}

// opensslByHand makes PKIX of PKCS#1.
func opensslByHand(args []string) int {
	if !slices.Equal(args, []string{"rsa", "-RSAPublicKey_in", "-pubout"}) {
		return misused("openssl", args)
	}
	in, err := io.ReadAll(os.Stdin)
	block, _ := stdpem.Decode(in)
	if err != nil || block == nil {
		fmt.Fprintln(os.Stderr, "Could not read public key from <stdin>")
		return 1
	}
	public, err := x509.ParsePKCS1PublicKey(block.Bytes)
	if err != nil {
		return 1
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return 1
	}
	fmt.Fprintln(os.Stderr, "writing RSA key")
	fmt.Printf("%s", stdpem.EncodeToMemory(&stdpem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return 0
}
