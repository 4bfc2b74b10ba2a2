// Package hint tells what to do about an error, where it can as a command to copy.
package hint

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Call is how the command was called.
type Call struct {
	File    string   // the configuration; "": flags describe the only cluster and mount
	Args    []string // with the program's name
	Timeout time.Duration
	Getenv  func(string) string
}

// Of returns what to do about an error of a cluster or of a mount; "" where the error says all
// there is to say. convertible is whether the mount could be made to trust static keys.
func (c Call) Of(err error, convertible bool) string {
	var turnover *plan.TurnoverError
	var full *plan.RoomError
	var cluster *jwks.ClusterError
	var status *jwks.StatusError
	var algorithm *vaultsync.AlgorithmError
	errors.As(err, &cluster)
	if mount, ok := errors.AsType[*vaultsync.MountError](err); ok {
		if way := c.vault(mount); way != "" {
			return way
		}
	}
	switch {
	case errors.As(err, &turnover) && turnover.SameKeyID != "":
		return "" // the error says what to mend; to allow it would come back each second time
	case errors.As(err, &turnover):
		return c.turnover(turnover)
	case errors.As(err, &full) && full.MaxKeys == 0 && full.Foreign > max(full.Bytes, full.Claimed):
		return "To have foreign keys removed" + c.setting("-foreign remove", `foreign = "remove"`, "mount")
	case errors.As(err, &full) && full.MaxKeys > 0:
		n := strconv.Itoa(full.Keys + full.Waiting)
		return "If these are the cluster's keys" + c.setting("-max-keys "+n, "max_keys = "+n, "mount")
	case errors.As(err, &algorithm):
		return "To let it log in" + c.setting("-jwt-supported-algs "+strings.Join(algorithm.Mends, ","), "jwt_supported_algs = "+quoteAlgorithms(algorithm.Mends), "mount")
	case errors.Is(err, plan.ErrNotRead) && cluster != nil:
		name := cluster.Cluster + "/" + cluster.Region
		return "If it is gone for good, strike it off" + c.setting("-retired "+text.ShellQuote(name), fmt.Sprintf("retired = [%q]", name), "mount")
	case errors.Is(err, vaultsync.ErrUnreadableFields):
		return "`harvest setup` makes a mount of its own."
	case errors.Is(err, vaultsync.ErrNotStaticKeys) && convertible:
		way := "To make it trust static keys instead" + c.setting("-convert", "convert = true", "mount")
		if c.File != "" {
			way += "\nTake it out again after that sync."
		}
		return way
	case errors.Is(err, plan.ErrLastKey):
		return "If nobody is to log in on this mount any more:\n  " + c.Again("-allow-empty")
	case errors.Is(err, jwks.ErrPlaintext):
		return "If that path is safe all the same" + c.setting("-allow-plaintext", "allow_plaintext = true", "cluster")
	case cluster != nil && errors.As(err, new(x509.UnknownAuthorityError)) && !givenCA(err):
		return "Name the CA's certificate" + c.setting("-nomad-ca-cert FILE", `ca_cert = "FILE"`, "cluster")
	case errors.As(err, &status) && strings.Contains(status.Body, "No path to region") && c.regionFromEnvironment():
		return "The region is NOMAD_REGION's, which Nomad sets in every task; for the agent's own:\n  " + c.Again("-region=")
	case c.Timeout > 0 && errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("The whole run may take -timeout %v.", c.Timeout)
	}
	return ""
}

// defaultVault is what Vault's clients ask where nothing names an address.
const defaultVault = "https://127.0.0.1:8200"

// Policy is what to do about a token that may not read or write a mount's configuration.
const Policy = "`harvest policy` prints the policy that the token needs."

// vault returns what to do where a mount's Vault can't be reached, where its address and its CA's
// certificate are named, or refuses the token.
func (c Call) vault(mount *vaultsync.MountError) string {
	unreachable, away := errors.AsType[*vaultapi.UnreachableError](mount.Err)
	forbidden, lacks := errors.AsType[*vaultapi.ForbiddenError](mount.Err)
	unset := c.Getenv("VAULT_ADDR") == "" && c.Getenv("VAULT_AGENT_ADDR") == "" && mount.Vault == defaultVault
	rest, secure := strings.CutPrefix(mount.Vault, "https://")
	switch {
	case errors.As(mount.Err, new(x509.UnknownAuthorityError)) && !givenCA(mount.Err):
		return "Name the CA's certificate" + c.vaultSetting("VAULT_CACERT=FILE", `ca_cert = "FILE"`)
	case lacks && forbidden.Path == "auth/"+mount.Path+"/config":
		return Policy
	case !away:
		return ""
	case unset:
		return "VAULT_ADDR isn't set, and this is what Vault's clients ask then. Name Vault's address" +
			c.vaultSetting("VAULT_ADDR=https://vault.example.com:8200", `address = "https://vault.example.com:8200"`)
	case unreachable.Cause == nethint.NotPlain:
		address := "https://" + strings.TrimPrefix(mount.Vault, "http://")
		return "Change Vault's address" + c.vaultSetting("VAULT_ADDR="+text.ShellQuote(address), fmt.Sprintf("address = %q", address))
	case secure && unreachable.Cause == nethint.NotTLS && !nethint.IsPlaintext("http://"+rest):
		return "If it is a Vault of this machine without TLS, such as one in -dev mode, change its address" +
			c.vaultSetting("VAULT_ADDR="+text.ShellQuote("http://"+rest), fmt.Sprintf("address = %q", "http://"+rest))
	}
	return ""
}

// vaultSetting returns the way to set something of a Vault: a variable, or a line of its block.
func (c Call) vaultSetting(variable, line string) string {
	if c.File == "" {
		return ":\n  export " + variable
	}
	return fmt.Sprintf(", in its vault block in %s:\n  %s", c.File, line)
}

// givenCA reports whether a CA's certificate was given already: then another one is wanted, which
// the error says.
func givenCA(err error) bool {
	given, ok := errors.AsType[interface {
		error
		GivenCA() bool
	}](err)
	return ok && given.GivenCA()
}

// turnover shows both sides and the exact command that lets it pass.
func (c Call) turnover(e *plan.TurnoverError) string {
	name := e.Cluster
	if e.Region != "" {
		name += "/" + e.Region
	}
	var b strings.Builder
	for _, side := range []struct {
		title string
		keys  []pem.Fingerprint
	}{{"Trusted now:", e.Trusted}, {"Published now:", e.Published}} {
		const most = 8
		fmt.Fprintln(&b, side.title)
		for _, f := range side.keys[:min(len(side.keys), most)] {
			fmt.Fprintf(&b, "  %s\n", f)
		}
		if more := len(side.keys) - most; more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
	}
	return b.String() + "If these are the cluster's new keys:\n  " + c.Again("-allow-turnover="+text.ShellQuote(name))
}

// setting returns the way to set something: a flag to add, or a line for a block of the file.
func (c Call) setting(flag, line, block string) string {
	if c.File == "" {
		return ":\n  " + c.Again(flag)
	}
	return fmt.Sprintf(", in its %s block in %s:\n  %s", block, c.File, line)
}

func (c Call) regionFromEnvironment() bool {
	return c.File == "" && c.Getenv("NOMAD_REGION") != "" &&
		!slices.ContainsFunc(c.Args, func(arg string) bool { return strings.HasPrefix(strings.TrimLeft(arg, "-"), "region") })
}

// Again returns the command as it was called, with one flag more. What status has found is
// for plan to show; what watch may not do is for one sync to do, and for no watch ever after.
func (c Call) Again(flag string) string {
	return c.command(map[string]string{"status": "plan", "watch": "sync"}, flag)
}

// Sync returns one sync of what the command looked at, with one flag more.
func (c Call) Sync(flag string) string {
	return c.command(map[string]string{"status": "sync", "watch": "sync", "plan": "sync", "sync": "sync"}, flag)
}

// notOfSync are flags of other commands, or that keep a sync from writing: a sync that stands for
// another command goes without. True: with a value.
var notOfSync = map[string]bool{
	"listen": true, "resync": true, "format": true, "ignore": true, "rotation": true,
	"dry-run": false, "detailed-exitcode": false, "lint": false,
}

// command returns the command as it was called, with another name for some and one flag more.
func (c Call) command(names map[string]string, flag string) string {
	words := []string{"harvest"}
	value, sync := false, false
	for i, arg := range c.Args[min(1, len(c.Args)):] {
		if i == 0 {
			if name := names[arg]; name != "" {
				arg, sync = name, name == "sync"
			}
			words = append(words, text.ShellQuote(arg))
			continue
		}
		name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		valued, drop := notOfSync[name]
		switch {
		case value:
			value = false
		case sync && drop && arg != name:
			value = valued && !inline
		default:
			words = append(words, text.ShellQuote(arg))
		}
	}
	return strings.Join(append(words, flag), " ")
}
