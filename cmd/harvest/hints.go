package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// complain tells stderr of each cluster and mount that failed, and the way out.
func (a *app) complain(r *vaultsync.Report, cfg *config, timeout time.Duration) {
	err := r.Err()
	if err == nil {
		return
	}
	for _, err := range terminal.Separate(err) {
		m := mountConfig{}
		for i, report := range r.Mounts {
			if errors.Is(err, report.Err) {
				m = cfg.mounts[i]
			}
		}
		a.says.fail(err, hints{cfg, a.args, timeout, a.getenv}.of(err, m))
	}
}

// hintFor returns the way out of an error that ended a command before there was a report.
func (a *app) hintFor(err error) string {
	return hints{&config{}, a.args, 0, a.getenv}.of(err, mountConfig{})
}

// hints knows how the command was called, so that the way out can be copied.
type hints struct {
	cfg     *config
	args    []string
	timeout time.Duration
	getenv  func(string) string
}

// of returns what to do about an error of a cluster, or of the mount m; "" where the error
// says all there is to say.
func (h hints) of(err error, m mountConfig) string {
	var turnover *vaultsync.TurnoverError
	var full *vaultsync.RoomError
	var cluster *jwks.ClusterError
	errors.As(err, &cluster)
	switch {
	case errors.As(err, &turnover):
		return h.turnover(turnover)
	case errors.As(err, &full) && full.MaxKeys > 0:
		n := strconv.Itoa(full.Keys + full.Waiting)
		return "If these are the cluster's keys" + h.setting("-max-keys "+n, "max_keys = "+n, "mount")
	case errors.Is(err, vaultsync.ErrNotRead) && cluster != nil:
		name := cluster.Cluster + "/" + cluster.Region
		return "If it is gone for good, strike it off" + h.setting("-retired "+quote(name), fmt.Sprintf("retired = [%q]", name), "mount")
	case errors.Is(err, vaultsync.ErrNotStaticKeys) && !m.options.Convert && m.path != "":
		return "To make it trust static keys instead" + h.setting("-convert", "convert = true", "mount")
	case errors.Is(err, vaultsync.ErrLastKey):
		return "If nobody is to log in on this mount any more:\n  " + h.again("-allow-empty")
	case errors.Is(err, jwks.ErrPlaintext):
		return "If that path is safe all the same" + h.setting("-allow-plaintext", "allow_plaintext = true", "cluster")
	case cluster != nil && errors.As(err, new(x509.UnknownAuthorityError)):
		return "Name the CA's certificate" + h.setting("-nomad-ca-cert FILE", `ca_cert = "FILE"`, "cluster")
	case cluster != nil && strings.Contains(err.Error(), "No path to region") && h.regionFromEnvironment():
		return "The region is NOMAD_REGION's, which Nomad sets in every task; for the agent's own:\n  " + h.again("-region=")
	case h.timeout > 0 && errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("The whole run may take -timeout %v.", h.timeout)
	}
	return ""
}

// turnover shows both sides and the exact command that lets it pass.
func (h hints) turnover(e *vaultsync.TurnoverError) string {
	name := e.Cluster
	if e.Region != "" {
		name += "/" + e.Region
	}
	var b strings.Builder
	for _, side := range []struct {
		title string
		keys  []pem.Fingerprint
	}{{"trusted now:  ", e.Trusted}, {"published now:", e.Published}} {
		const most = 4
		for _, f := range side.keys[:min(len(side.keys), most)] {
			fmt.Fprintf(&b, "%s %s\n", side.title, f)
		}
		if more := len(side.keys) - most; more > 0 {
			fmt.Fprintf(&b, "%s and %d more\n", side.title, more)
		}
	}
	return b.String() + "If these are the cluster's new keys:\n  " + h.again("-allow-turnover="+quote(name))
}

// setting returns the way to set something: a flag to add, or a line for a block of the file.
func (h hints) setting(flag, line, block string) string {
	if h.cfg.single() {
		return ":\n  " + h.again(flag)
	}
	return fmt.Sprintf(", in its %s block in %s:\n  %s", block, h.cfg.file, line)
}

func (h hints) regionFromEnvironment() bool {
	return h.cfg.single() && h.getenv("NOMAD_REGION") != "" &&
		!slices.ContainsFunc(h.args, func(arg string) bool { return strings.HasPrefix(strings.TrimLeft(arg, "-"), "region") })
}

// again returns the command as it was called, with one flag more. What status has found is
// for plan to show; what watch may not do is for one sync to do, and for no watch ever after.
func (h hints) again(flag string) string {
	words := []string{"harvest"}
	watch, value := false, false
	for i, arg := range h.args[min(1, len(h.args)):] {
		name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case value:
			value = false
			continue
		case i == 0 && arg == "status":
			arg = "plan"
		case i == 0 && arg == "watch":
			arg, watch = "sync", true
		case watch && arg != name && slices.Contains([]string{"listen", "resync"}, name):
			value = !inline
			continue
		}
		words = append(words, quote(arg))
	}
	return strings.Join(append(words, flag), " ")
}
