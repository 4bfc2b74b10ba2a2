package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultauth"
	"github.com/jwksharvest/harvest/vaultsync"
)

// vaultEnvironment is the Vault of a block without an address where VAULT_ADDR isn't set.
const vaultEnvironment = "https://127.0.0.1:8200"

// Where a setup's token comes from, in the JSON too.
const (
	tokenVariable = "VAULT_TOKEN"
	tokenHelper   = "token_helper"
	tokenLogin    = "auth"
)

func vaultFlag() cli.Flag {
	return &cli.StringFlag{Name: "vault", Category: inGeneral, Usage: "set up the mounts of one Vault of the file, by its `NAME` or address; VAULT_TOKEN is for it", DefaultText: "that of VAULT_ADDR"}
}

// administer leaves in a configuration the mounts of the one Vault that a setup is for, and
// gives its block the administrator's token in the place of its auth block. An
// administrator's token is for one Vault, the one at VAULT_ADDR or of -vault, and must reach
// no other. It returns where the token comes from, "" where there is none.
func (a *app) administer(cmd *cli.Command, cfg *config.Config) (token string, err error) {
	named := cmd.String("vault")
	if cfg.IsSingle() && named != "" {
		return "", usage(cmd, "-vault goes with -config FILE: without one it is the Vault of VAULT_ADDR")
	}
	used := map[int]bool{}
	addresses := map[string]bool{}
	var there []string
	for i, v := range cfg.Vaults {
		if !slices.ContainsFunc(cfg.Mounts, func(m config.Mount) bool { return m.Vault == i }) {
			continue
		}
		at := a.addressOf(v)
		there = append(there, text.Escape(strings.TrimSpace(v.Name+" "+shownAddress(at))))
		addresses[sameAddress(at)] = true
		used[i] = a.isFor(v, named)
	}
	chosen := func(m config.Mount) bool { return used[m.Vault] }
	elsewhere := a.getenv("VAULT_ADDR")
	switch {
	case slices.ContainsFunc(cfg.Mounts, chosen):
	case named != "":
		return "", usage(cmd, "-vault %q: no such Vault in %s; there is %s", named, cfg.File, text.QuoteAll(there))
	case len(addresses) > 1:
		return "", usage(cmd, "%s has several Vaults (%s), and an administrator's token is for one: set VAULT_ADDR to its address, or give -vault NAME",
			cfg.File, strings.Join(there, ", "))
	case elsewhere != "" && cfg.Vaults[cfg.Mounts[0].Vault].Auth == nil:
		return "", usage(cmd, "VAULT_ADDR is %s, and the Vault of %s is %s: the token isn't sent there; set VAULT_ADDR to its address, or give -vault",
			shownAddress(elsewhere), cfg.File, strings.Join(there, ", "))
	default:
		return a.tokenOf(cfg.Vaults[cfg.Mounts[0].Vault]), nil
	}
	cfg.Mounts = slices.DeleteFunc(cfg.Mounts, func(m config.Mount) bool { return !chosen(m) })
	cfg.Clusters = slices.DeleteFunc(cfg.Clusters, func(c config.Cluster) bool { return !cfg.Uses(c.Name) })
	own := a.tokenOf(config.Vault{})
	for i := range cfg.Vaults {
		if used[i] && own != "" {
			cfg.Vaults[i].Auth = nil
		}
	}
	return a.tokenOf(cfg.Vaults[cfg.Mounts[0].Vault]), nil
}

// isFor reports whether an administrator's token is for a block's Vault: the one that a flag
// names, or else the one at VAULT_ADDR.
func (a *app) isFor(v config.Vault, named string) bool {
	if named != "" {
		return v.Name == named || sameAddress(a.addressOf(v)) == sameAddress(named)
	}
	return v.Address == "" || sameAddress(v.Address) == sameAddress(a.getenv("VAULT_ADDR"))
}

func (a *app) addressOf(v config.Vault) string {
	return cmp.Or(v.Address, a.getenv("VAULT_ADDR"), vaultEnvironment)
}

// tokenOf says where the token for a block comes from; "" is nowhere.
func (a *app) tokenOf(v config.Vault) string {
	if v.Auth != nil {
		return tokenLogin
	}
	if a.getenv("VAULT_TOKEN") != "" {
		return tokenVariable
	}
	if token, err := vaultauth.HelperToken(); err == nil && token != "" {
		return tokenHelper
	}
	return ""
}

// sameAddress returns what two spellings of one address share.
func sameAddress(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return address
	}
	host := strings.ToLower(u.Host)
	for scheme, port := range map[string]string{"https": ":443", "http": ":80"} {
		if strings.EqualFold(u.Scheme, scheme) {
			host = strings.TrimSuffix(host, port)
		}
	}
	return strings.ToLower(u.Scheme) + "://" + host + strings.TrimRight(u.Path, "/")
}

// shownAddress returns an address without the user and password that may stand in it.
func shownAddress(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		u.User = nil
		return text.Escape(u.String())
	}
	return "(an address that can't be read)"
}

// sayToken says which token a setup shows, and to which Vault; "" where there is none.
func sayToken(token, address string) string {
	switch address = shownAddress(address); token {
	case tokenVariable:
		return fmt.Sprintf("The token of VAULT_TOKEN is used, for %s alone.", address)
	case tokenHelper:
		return fmt.Sprintf("The token that `vault login` left is used, for %s alone.", address)
	case tokenLogin:
		return fmt.Sprintf("The login of the file's auth block is used, for %s.", address)
	}
	return ""
}

// administratorHint says how an administrator's token comes to be used, where the auth block's
// login was refused.
func administratorHint(s *render.Setup) string {
	if s.Token != tokenLogin || !errors.Is(s.Failure, vaultsync.ErrForbidden) {
		return ""
	}
	return "That was the login of the auth block. An administrator's token (VAULT_TOKEN, or `vault login`) is used where VAULT_ADDR is this Vault's address:\n  export VAULT_ADDR=" +
		text.ShellQuote(s.Vault)
}
