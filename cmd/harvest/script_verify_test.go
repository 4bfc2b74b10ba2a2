package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// verifyCommands are the commands of the scripts about verify.
var verifyCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// identity NOMAD REGION FILE [WHAT=VALUE…] signs a workload identity; WHAT is audience,
	// issuer, ttl, or kid to lie about that. No part of the token may be printed from now on.
	"identity": command(3, func(ts *testscript.TestScript, w *world, args []string) {
		region, load := w.region(args), fakenomad.Workload{}
		for _, arg := range args[3:] {
			switch what, value, _ := strings.Cut(arg, "="); what {
			case "audience":
				load.Audience = value
			case "issuer":
				load.Issuer = value
			case "ttl":
				d, err := time.ParseDuration(value)
				ts.Check(err)
				load.TTL = d
			case "kid":
				k := *fakenomad.NewKey("RS256")
				k.ID = value
				load.Key = &k
			default:
				ts.Fatalf("unknown %q", arg)
			}
		}
		w.keepToken(ts, args[2], region.Token(load))
	}),
	// tamper FILE OTHER makes a token of FILE's header and signature with other claims.
	"tamper": command(2, func(ts *testscript.TestScript, w *world, args []string) {
		parts := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), ".")
		other := fakenomad.Sign(fakenomad.NewKey("RS256"), map[string]any{
			"aud": "vault.io", "exp": time.Now().Add(time.Hour).Unix(), "nomad_job_id": "another",
		})
		parts[1] = strings.Split(other, ".")[1]
		w.keepToken(ts, args[1], strings.Join(parts, "."))
	}),
	// role VAULT PATH NAME FILE writes a role with the file's JSON.
	"role": command(4, func(ts *testscript.TestScript, w *world, args []string) {
		var fields map[string]any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[3])), &fields))
		_, err := w.vaults[args[0]].Client().Logical().Write("auth/"+args[1]+"/role/"+args[2], fields)
		ts.Check(err)
	}),
	// login VAULT PATH ROLE FILE in|out logs in as a task would; ROLE '' names none.
	"login": command(5, func(ts *testscript.TestScript, w *world, args []string) {
		_, err := w.vaults[args[0]].ClientWith("").Logical().Write("auth/"+args[1]+"/login", map[string]any{
			"role": args[2], "jwt": strings.TrimSpace(ts.ReadFile(args[3])),
		})
		if (err == nil) != (args[4] == "in") {
			ts.Fatalf("want %s: %v", args[4], err)
		}
	}),
}

// keepToken writes a token to a file and makes each part of it a secret.
func (w *world) keepToken(ts *testscript.TestScript, file, token string) {
	w.secrets = append(w.secrets, token)
	w.secrets = append(w.secrets, strings.Split(token, ".")...)
	ts.Check(os.WriteFile(ts.MkAbs(file), []byte(token+"\n"), 0o600))
	ts.Setenv("TOKEN_"+strings.TrimSuffix(file, ".jwt"), token)
}

func TestRefuseTokens(t *testing.T) {
	token := fakenomad.New(t, "eu").Region("").Token(fakenomad.Workload{})
	for name, args := range map[string][]string{
		"an argument":      {"harvest", "verify", token},
		"a flag's value":   {"harvest", "verify", "-token=" + token},
		"behind a word":    {"harvest", "verify", "Bearer " + token},
		"another command":  {"harvest", token},
		"without the hash": {"harvest", "pem", token[:strings.LastIndex(token, ".")+1]},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(t.Context(), args, process{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now})
			assert.Equal(t, exitNothing, code)
			assert.Contains(t, stderr.String(), "treat it as exposed")
			for part := range strings.SplitSeq(token, ".") {
				if part != "" {
					assert.NotContains(t, stdout.String()+stderr.String(), part)
				}
			}
		})
	}
	require.NoError(t, refuseTokens([]string{"harvest", "verify", "eyJ.jwt", "-mount", "a.b.c", "secrets/nomad_vault_default.jwt"}))
}
