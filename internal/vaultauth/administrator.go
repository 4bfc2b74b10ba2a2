package vaultauth

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Where an administrator's token comes from, in the JSON of setup too.
const (
	tokenVariable = "VAULT_TOKEN"
	tokenHelper   = "token_helper"
	tokenLogin    = "auth"
	tokenNone     = "none"
)

// Administrator is whose token a setup uses, at one Vault.
type Administrator struct {
	Token   string // where it comes from: VAULT_TOKEN, token_helper or auth; none: an agent adds it; "" is nowhere
	address string // printable
}

// Administer leaves in a configuration the mounts of the one Vault that a setup is for, and
// gives its block the administrator's token in the place of its auth block. An
// administrator's token is for one Vault, the one that is named or else the one at VAULT_ADDR, and
// must reach no other.
func Administer(cfg *config.Config, named string, getenv func(string) string) (Administrator, error) {
	env := environment{getenv}
	if cfg.IsSingle() && named != "" {
		return Administrator{}, errors.New("-vault goes with -config FILE: without one it is the Vault of VAULT_ADDR")
	}
	chosen, err := env.choose(cfg, named)
	if err != nil {
		return Administrator{}, err
	}
	if len(chosen) > 0 {
		cfg.Mounts = slices.DeleteFunc(cfg.Mounts, func(m config.Mount) bool { return !chosen[m.Vault] })
		cfg.Clusters = slices.DeleteFunc(cfg.Clusters, func(c config.Cluster) bool { return !cfg.Uses(c.Name) })
		own := env.tokenOf(config.Vault{})
		for i := range cfg.Vaults {
			if chosen[i] && own != "" {
				cfg.Vaults[i].Auth = nil
			}
		}
	}
	v := cfg.Vaults[cfg.Mounts[0].Vault]
	return Administrator{env.tokenOf(v), shownAddress(env.addressOf(v))}, nil
}

// environment is where an administrator's token comes from.
type environment struct{ getenv func(string) string }

// choose returns the places of the blocks that are for one Vault and have mounts: none where it is
// the only one of the file, and logs in by itself.
func (e environment) choose(cfg *config.Config, named string) (map[int]bool, error) {
	chosen, addresses := map[int]bool{}, map[string]bool{}
	var there []string
	for i, v := range cfg.Vaults {
		if !slices.ContainsFunc(cfg.Mounts, func(m config.Mount) bool { return m.Vault == i }) {
			continue
		}
		at := e.addressOf(v)
		there = append(there, text.Escape(strings.TrimSpace(v.Name+" "+shownAddress(at))))
		addresses[config.NormalAddress(at)] = true
		if e.isFor(v, named) {
			chosen[i] = true
		}
	}
	elsewhere := e.getenv("VAULT_ADDR")
	switch {
	case len(chosen) > 0:
	case named != "":
		return nil, fmt.Errorf("-vault %q: no such Vault in %s; there is %s", named, cfg.File, text.QuoteAll(there))
	case len(addresses) > 1:
		return nil, fmt.Errorf("%s has several Vaults (%s), and an administrator's token is for one: set VAULT_ADDR to its address, or give -vault NAME",
			cfg.File, strings.Join(there, ", "))
	case elsewhere != "" && cfg.Vaults[cfg.Mounts[0].Vault].Auth == nil:
		return nil, fmt.Errorf("VAULT_ADDR is %s, and the Vault of %s is %s: the token isn't sent there; set VAULT_ADDR to its address, or give -vault",
			shownAddress(elsewhere), cfg.File, strings.Join(there, ", "))
	}
	return chosen, nil
}

// isFor reports whether an administrator's token is for a block's Vault: the one that is named,
// or else the one at VAULT_ADDR.
func (e environment) isFor(v config.Vault, named string) bool {
	if named != "" {
		return v.Name == named || config.NormalAddress(e.addressOf(v)) == config.NormalAddress(named)
	}
	return v.Address == "" || config.NormalAddress(v.Address) == config.NormalAddress(e.getenv("VAULT_ADDR"))
}

// addressOf returns where a block's client sends its token (see NewClient): where the block has no
// address, VAULT_AGENT_ADDR comes before VAULT_ADDR, as for the vault command.
func (e environment) addressOf(v config.Vault) string {
	return cmp.Or(v.Address, e.getenv("VAULT_AGENT_ADDR"), e.getenv("VAULT_ADDR"), api.DefaultAddress)
}

// tokenOf returns where the token for a block comes from; "" is nowhere.
func (e environment) tokenOf(v config.Vault) string {
	switch {
	case v.Auth.IsNone():
		return tokenNone
	case v.Auth != nil:
		return tokenLogin
	}
	if e.getenv("VAULT_TOKEN") != "" {
		return tokenVariable
	}
	if token, err := helperToken(); err == nil && token != "" {
		return tokenHelper
	}
	return ""
}

// shownAddress returns an address without the user and password that may stand in it.
func shownAddress(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		u.User = nil
		return text.Escape(u.String())
	}
	return "(an address that can't be read)"
}

// String tells which token is shown, and to which Vault; "" where there is none.
func (a Administrator) String() string {
	switch a.Token {
	case tokenVariable:
		return fmt.Sprintf("The token of VAULT_TOKEN is used, for %s alone.", a.address)
	case tokenHelper:
		return fmt.Sprintf("The token that `vault login` left is used, for %s alone.", a.address)
	case tokenLogin:
		return fmt.Sprintf("The login of the file's auth block is used, for %s.", a.address)
	case tokenNone:
		return fmt.Sprintf("No token is sent to %s: the agent or proxy there adds its own.", a.address)
	}
	return ""
}

// Hint tells how to use an administrator's token at the Vault at an address where what the auth
// block stands for was refused; "" for any other error.
func (a Administrator) Hint(err error, address string) string {
	whose := map[string]string{tokenLogin: "the login of the auth block", tokenNone: "the token of the agent or proxy"}[a.Token]
	if whose == "" || !errors.Is(err, vaultsync.ErrForbidden) {
		return ""
	}
	return "That was " + whose + ". An administrator's token (VAULT_TOKEN, or `vault login`) is used where VAULT_ADDR is this Vault's address:\n  export VAULT_ADDR=" +
		text.ShellQuote(address)
}
