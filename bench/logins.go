package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/bench/internal/compare"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// loginClients is how many log in at the same time.
const loginClients = 4

// logins measures what a list of trusted keys costs those who log in.
func logins() *compare.Table {
	t := &compare.Table{
		Name:  "logins",
		Title: "Logins through a mount with many keys",
		Text: fmt.Sprintf("Vault tries the keys of a mount in the order of the list, whatever the token's `kid`. %d clients log in at the same time, "+
			"on one machine with the server, through a role that gives service tokens, as Nomad's do: the time is one second's, divided by the logins in it. "+
			"The key that signed the token is the first one of the list, where harvest puts the newest, or the last. "+
			"Raft is Vault's integrated storage, of one node. All keys are RSA of 2048 bits, annotated as harvest writes them.", loginClients),
		Metrics:   []compare.Metric{{Unit: "ns/login", Name: "time of a login"}, {Unit: "logins/s", Name: "logins a second"}},
		Cases:     []string{"1 key", "10 keys", "100 keys", "1,000 keys"},
		Curve:     "trusted keys",
		MaxRounds: 5,
	}
	vaults := map[bool]*lab.Vault{}
	var token string
	at := func(raft bool, where string) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
			window := time.Second
			if env.Short {
				window /= 4
			}
			return logInFor(ctx, vaults[raft].Address+"/v1/auth/"+loginMount(name, where)+"/login", token, window)
		}
	}
	t.Contenders = []compare.Contender{
		{Name: "in memory, key first", Measure: at(false, "first")},
		{Name: "in memory, key last", Measure: at(false, "last")},
		{Name: "Raft, key first", Measure: at(true, "first")},
		{Name: "Raft, key last", Measure: at(true, "last")},
	}
	t.Setup = func(ctx context.Context, env *compare.Env) error {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		if token, err = signToken(private); err != nil {
			return err
		}
		for _, raft := range []bool{false, true} {
			v, err := startVault(ctx, env, lab.VaultOptions{Raft: raft})
			if err != nil {
				return err
			}
			vaults[raft] = v
			for _, name := range t.Cases {
				elements, err := trustedElements(firstNumber(name), &private.PublicKey)
				if err != nil {
					return err
				}
				for _, where := range []string{"first", "last"} {
					if err := loginConfig(ctx, v, loginMount(name, where), elements); err != nil {
						return err
					}
					elements = append(elements[1:], elements[0])
				}
			}
		}
		return nil
	}
	return t
}

// startVault starts a server of the lab until the table is measured.
func startVault(ctx context.Context, env *compare.Env, o lab.VaultOptions) (*lab.Vault, error) {
	v, err := lab.StartVault(ctx, o)
	if errors.Is(err, lab.ErrNotBuilt) {
		return nil, fmt.Errorf("%w: %w", compare.ErrNotApplicable, err)
	}
	if err != nil {
		return nil, err
	}
	env.Cleanup(v.Stop)
	version, err := lab.Version(lab.PairFromEnv(), "vault")
	env.Version("Vault", version)
	return v, err
}

func loginMount(name, where string) string {
	return fmt.Sprintf("jwt-%d-%s", firstNumber(name), where)
}

// trustedElements returns a list of so many elements, the key in use first.
func trustedElements(count int, inUse *rsa.PublicKey) ([]string, error) {
	keys := []crypto.PublicKey{inUse}
	if count > 1 {
		document, err := keySet(kindRSA, count-1)
		if err != nil {
			return nil, err
		}
		set, err := jwks.Parse(document)
		if err != nil {
			return nil, err
		}
		for _, key := range set.Keys {
			keys = append(keys, key.Public)
		}
	}
	if len(keys) != count {
		return nil, fmt.Errorf("%d keys instead of %d", len(keys), count)
	}
	var elements []string
	for i, key := range keys {
		annotation := pem.Annotation{Version: pem.Version, Cluster: fmt.Sprintf("cluster-%04d", i), KeyID: fmt.Sprintf("3f0fccd0-1a2b-4c5d-8e6f-%012d", i), Algorithms: []string{"RS256"}, Added: time.Now()}
		text, err := pem.Block{Public: key, Annotation: annotation}.MarshalText()
		if err != nil {
			return nil, err
		}
		elements = append(elements, string(text))
	}
	return elements, nil
}

// loginConfig makes a mount with these keys, and a role.
func loginConfig(ctx context.Context, v *lab.Vault, mount string, elements []string) error {
	c := v.Client()
	if err := c.Sys().EnableAuthWithOptionsWithContext(ctx, mount, &api.EnableAuthOptions{Type: "jwt"}); err != nil {
		return err
	}
	if _, err := c.Logical().WriteWithContext(ctx, "auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": elements}); err != nil {
		return err
	}
	_, err := c.Logical().WriteWithContext(ctx, "auth/"+mount+"/role/nomad-workloads", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
		"token_type": "service", "token_policies": "default", "token_period": "30m",
	})
	return err
}

// signToken returns a workload identity.
func signToken(key *rsa.PrivateKey) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"aud": "vault.io", "sub": "global:default:mongo:db:mongo:vault_default", "nomad_job_id": "mongo", "nomad_namespace": "default",
		"iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(3 * time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64url([]byte(`{"alg":"RS256","typ":"JWT","kid":"in-use"}`)) + "." + base64url(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	return signed + "." + base64url(signature), err
}

// logInFor logs in again and again, once before it counts.
func logInFor(ctx context.Context, url, token string, window time.Duration) (compare.Measures, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: loginClients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	if err := logIn(ctx, client, url, token); err != nil {
		return nil, err
	}
	var done atomic.Int64
	failed := make([]error, loginClients)
	begin := time.Now()
	var running sync.WaitGroup
	for i := range failed {
		running.Go(func() {
			for failed[i] == nil && time.Since(begin) < window {
				failed[i] = logIn(ctx, client, url, token)
				done.Add(1)
			}
		})
	}
	running.Wait()
	took, count := time.Since(begin), float64(done.Load())
	return compare.Measures{"ns/login": float64(took) / count, "logins/s": count / took.Seconds()}, errors.Join(failed...)
}

func logIn(ctx context.Context, client *http.Client, url, token string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"role":"nomad-workloads","jwt":"`+token+`"}`))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("a login fails: %s: %s", response.Status, answer)
	}
	return err
}
