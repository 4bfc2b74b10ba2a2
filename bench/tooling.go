package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	stdpem "encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// pemJWKVersion is that of npm's pem-jwk, the converter of the usual shell pipeline.
const pemJWKVersion = "2.0.0"

// need makes sure that programs are on the PATH: as root, what is missing is installed by
// apt. Without them the table is left out, which is said.
func need(ctx context.Context, env *compare.Env, programs ...string) error {
	packages := map[string]string{"jq": "jq", "curl": "curl", "openssl": "openssl", "npm": "npm", "node": "nodejs"}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Geteuid() != 0 {
			return fmt.Errorf("%w: %s is not installed", compare.ErrNotApplicable, program)
		}
		if out, err := exec.CommandContext(ctx, "apt-get", "install", "-y", "-q", packages[program]).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s is not installed, and apt-get fails: %w: %s", compare.ErrNotApplicable, program, err, out)
		}
	}
	for _, program := range programs {
		if version, ok := map[string]string{"jq": "--version", "node": "--version", "openssl": "version"}[program]; ok {
			out, err := exec.CommandContext(ctx, program, version).Output()
			if err != nil {
				return err
			}
			env.Version(program, strings.TrimPrefix(strings.TrimPrefix(firstWords(string(out), program), "jq-"), "v"))
		}
	}
	return nil
}

// firstWords is what a program says of its version, without its name and the date.
func firstWords(text, program string) string {
	fields := strings.Fields(text)
	if len(fields) > 1 && strings.EqualFold(fields[0], program) {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

// pemJWK returns the path of pem-jwk, which npm installs once into the user's cache.
func pemJWK(ctx context.Context, env *compare.Env) (string, error) {
	if err := need(ctx, env, "node", "npm"); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "harvest-bench", "pem-jwk-"+pemJWKVersion)
	command := filepath.Join(dir, "node_modules", ".bin", "pem-jwk")
	env.Version("pem-jwk", pemJWKVersion)
	if _, err := os.Stat(command); err == nil {
		return command, nil
	}
	out, err := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "pem-jwk@"+pemJWKVersion).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: npm install pem-jwk: %w: %s", compare.ErrNotApplicable, err, out)
	}
	return command, nil
}

// buildHarvest builds the command as make build does, into the table's directory.
func buildHarvest(ctx context.Context, env *compare.Env) (string, error) {
	return buildGo(ctx, env, env.Root, "./cmd/harvest", "harvest")
}

// buildEmpty builds the least program there is.
func buildEmpty(ctx context.Context, env *compare.Env) (string, error) {
	source := filepath.Join(env.Dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return "", err
	}
	return buildGo(ctx, env, env.Dir, source, "empty")
}

// buildJudge builds a program that reads a key set and judges its keys.
func buildJudge(ctx context.Context, env *compare.Env) (string, error) {
	const program = `package main

import (
	"os"

	"github.com/jwksharvest/harvest/jwks"
)

func main() {
	document, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	set, err := jwks.Parse(document)
	if err != nil {
		panic(err)
	}
	if _, err := set.Judge(); err != nil {
		panic(err)
	}
}
`
	source := filepath.Join(env.Dir, "judge.go")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		return "", err
	}
	return buildGo(ctx, env, env.Root, source, "judge")
}

// buildLibraries builds a program that does nothing either, and links what harvest is built on.
func buildLibraries(ctx context.Context, env *compare.Env) (string, error) {
	const module = "github.com/jwksharvest/harvest"
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-f", `{{if and .Module .Module.Main}}{{join .Imports "\n"}}{{end}}`, "./cmd/harvest")
	list.Dir = env.Root
	imports, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("listing harvest's imports: %w", err)
	}
	libraries := map[string]bool{}
	for line := range strings.Lines(string(imports)) {
		path := strings.TrimSpace(line)
		if host, _, _ := strings.Cut(path, "/"); strings.Contains(host, ".") && !strings.HasPrefix(path, module) {
			libraries[path] = true
		}
	}
	var program strings.Builder
	program.WriteString("package main\n\n")
	for _, path := range slices.Sorted(maps.Keys(libraries)) {
		fmt.Fprintf(&program, "import _ %q\n", path)
	}
	program.WriteString("\nfunc main() {}\n")
	source := filepath.Join(env.Dir, "libraries.go")
	if err := os.WriteFile(source, []byte(program.String()), 0o600); err != nil {
		return "", err
	}
	return buildGo(ctx, env, env.Root, source, "libraries")
}

func buildGo(ctx context.Context, env *compare.Env, dir, what, name string) (string, error) {
	out := filepath.Join(env.Dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, what)
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", name, err, text)
	}
	return out, nil
}

// repeated runs a command several times and returns the mean of a run, and the highest peak.
func repeated(ctx context.Context, times int, environ []string, command ...string) (compare.Measures, error) {
	total := compare.Measures{}
	for range times {
		measures, err := compare.Process(ctx, "", environ, command...)
		if err != nil {
			return nil, err
		}
		for unit, value := range measures {
			if unit == "peak-B" {
				total[unit] = max(total[unit], value)
			} else {
				total[unit] += value / float64(times)
			}
		}
	}
	return total, nil
}

// publicKeyOf returns the RSA key of the first PEM block.
func publicKeyOf(text []byte) (*rsa.PublicKey, error) {
	block, _ := stdpem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no PEM: %q", text)
	}
	if block.Type == "RSA PUBLIC KEY" {
		return x509.ParsePKCS1PublicKey(block.Bytes)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T", key)
	}
	return public, nil
}

// output runs a command and returns what it prints.
func output(ctx context.Context, environ []string, command ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = environ
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", command[0], err), errors.New(stderr.String()))
	}
	return out, nil
}
