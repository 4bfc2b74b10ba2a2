package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/bench/internal/compare"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

const (
	caseNoChange = "no change"
	caseRotation = "after a rotation"
)

// shellPipeline is what harvest takes the place of. $0 is pem-jwk, $1 vault, $2 the mount.
const shellPipeline = `set -e
curl -sf "$NOMAD_ADDR/.well-known/jwks.json" | jq -c '.keys[]' | while read -r key; do
  printf %s "$key" | "$0" | openssl rsa -RSAPublicKey_in -pubout 2>/dev/null
done | jq -Rs '{jwt_validation_pubkeys: [splits("(?<=-----END PUBLIC KEY-----\n)") | select(. != "")]}' | "$1" write "auth/$2/config" - >/dev/null`

// realPair is a Nomad that publishes three keys, and a Vault with a mount for each contender.
type realPair struct {
	vault  *lab.Vault
	nomad  *lab.Nomad
	client *api.Client
	keys   []string // ids, oldest first
}

// publishedKeys is how many there always are: one that signs, and two older ones, so that no
// contender finds all of its keys gone when it has its turn.
const publishedKeys = 3

// pipeline compares harvest sync with a shell pipeline on real servers.
func pipeline() *compare.Table {
	pair := new(realPair)
	var harvest, other string
	var binaries lab.Binaries
	environ := func() []string {
		return []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "NOMAD_ADDR=" + pair.nomad.Address,
			"VAULT_ADDR=" + pair.vault.Address, "VAULT_TOKEN=" + pair.vault.RootToken,
		}
	}
	run := func(mount string, command func() []string) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, _ *compare.Env, name string) (compare.Measures, error) {
			if name == caseNoChange {
				if err := pair.settleOn(ctx, mount, environ(), command()); err != nil {
					return nil, err
				}
				return compare.Process(ctx, "", environ(), command()...)
			}
			if err := pair.rotate(ctx); err != nil {
				return nil, err
			}
			begin := time.Now()
			trusted := make(chan time.Duration, 1)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() {
				took, _ := pair.awaitTrusted(ctx, mount, begin)
				trusted <- took
			}()
			measures, err := compare.Process(ctx, "", environ(), command()...)
			if err != nil {
				return nil, err
			}
			measures["trusted-ns"] = float64(<-trusted)
			return measures, pair.check(ctx, mount)
		}
	}
	return &compare.Table{
		Name:  "pipeline",
		Title: "A sync, and the shell pipeline",
		Text: "`harvest sync` and `curl | jq | pem-jwk | openssl | vault write`, on a real Nomad that publishes three keys and a real Vault. " +
			"The pipeline writes each time, whatever is there, judges nothing, loses the mount's other settings, and doesn't look whether its write stood. " +
			"harvest, after a write, stays for its settle time of a second and a quarter at the most, to see whether another writer undoes it: " +
			"the key is trusted long before it ends, which is the second figure.",
		Metrics:   append([]compare.Metric{{Unit: "ns", Name: "time"}, {Unit: "trusted-ns", Name: "until the new key is trusted"}}, processMetrics[1:]...),
		Cases:     []string{caseNoChange, caseRotation},
		MaxRounds: 5,
		Contenders: []compare.Contender{
			{Name: "harvest sync", Measure: run("jwt-harvest", func() []string {
				return []string{harvest, "sync", "-cluster", "us-east", "-nomad-address", pair.nomad.Address, "-mount", "jwt-harvest"}
			})},
			{Name: "shell pipeline", Measure: run("jwt-shell", func() []string {
				return []string{"sh", "-c", shellPipeline, other, binaries.Vault, "jwt-shell"}
			})},
		},
		Setup: func(ctx context.Context, env *compare.Env) (err error) {
			if err := need(ctx, env, "curl", "jq", "openssl"); err != nil {
				return err
			}
			if other, err = pemJWK(ctx, env); err != nil {
				return err
			}
			if harvest, err = buildHarvest(ctx, env); err != nil {
				return err
			}
			if binaries, err = lab.Find(""); err != nil {
				return errors.Join(compare.ErrNotApplicable, err)
			}
			return pair.start(ctx, env)
		},
	}
}

func (p *realPair) start(ctx context.Context, env *compare.Env) (err error) {
	if p.vault, err = startVault(ctx, env, lab.VaultOptions{}); err != nil {
		return err
	}
	p.client = p.vault.Client()
	if p.nomad, err = lab.StartNomad(ctx, lab.NomadOptions{}); err != nil {
		return err
	}
	env.Cleanup(p.nomad.Stop)
	version, err := lab.Version(lab.PairFromEnv(), "nomad")
	if err != nil {
		return err
	}
	env.Version("Nomad", version)
	keys, err := p.nomad.Keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		p.keys = append(p.keys, key.KeyID)
	}
	for len(p.keys) < publishedKeys {
		if err := p.rotate(ctx); err != nil {
			return err
		}
	}
	for _, mount := range []string{"jwt-harvest", "jwt-shell"} {
		if err := p.client.Sys().EnableAuthWithOptionsWithContext(ctx, mount, &api.EnableAuthOptions{Type: "jwt"}); err != nil {
			return err
		}
	}
	return nil
}

// rotate makes a new key, and removes what is too old.
func (p *realPair) rotate(ctx context.Context) error {
	id, err := p.nomad.RotateKey(ctx)
	if err != nil {
		return err
	}
	p.keys = append(p.keys, id)
	for len(p.keys) > publishedKeys {
		if err := p.nomad.RemoveKey(ctx, p.keys[0], true); err != nil {
			return err
		}
		p.keys = p.keys[1:]
	}
	return nil
}

// settleOn runs the command where there is something to do, so that the next run finds nothing to
// do.
func (p *realPair) settleOn(ctx context.Context, mount string, environ, command []string) error {
	if p.check(ctx, mount) == nil {
		return nil
	}
	if _, err := output(ctx, environ, command...); err != nil {
		return err
	}
	return p.check(ctx, mount)
}

// check makes sure that the mount trusts what is published, and nothing else.
func (p *realPair) check(ctx context.Context, mount string) error {
	want, err := p.published(ctx)
	if err != nil {
		return err
	}
	got, err := p.trusted(ctx, mount)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%w: %s trusts %v, and %v are published", errScene, mount, got, want)
	}
	return nil
}

// published returns the fingerprints of what Nomad publishes, sorted.
func (p *realPair) published(ctx context.Context) ([]string, error) {
	set, err := jwks.Nomad{Address: p.nomad.Address}.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, key := range set.Keys {
		all = append(all, pem.Block{Public: key.Public}.Fingerprint().String())
	}
	slices.Sort(all)
	return all, nil
}

func (p *realPair) trusted(ctx context.Context, mount string) ([]string, error) {
	config, err := vaultsync.NewMount(p.client, mount).Read(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, key := range config.Trusted() {
		all = append(all, key.Fingerprint.String())
	}
	slices.Sort(all)
	return all, nil
}

// awaitTrusted looks each two milliseconds until the mount trusts what is published.
func (p *realPair) awaitTrusted(ctx context.Context, mount string, begin time.Time) (time.Duration, error) {
	want, err := p.published(ctx)
	if err != nil {
		return 0, err
	}
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		got, err := p.trusted(ctx, mount)
		if err != nil {
			return 0, err
		}
		if slices.Equal(got, want) {
			return time.Since(begin), nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
