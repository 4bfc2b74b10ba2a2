package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/vaultsync"
)

// call is how the command was called; file is the configuration's.
func (a *app) call(file string, timeout time.Duration) hint.Call {
	return hint.Call{File: file, Args: a.args, Timeout: timeout, Getenv: a.getenv}
}

// hint returns what to do about an error that ended a command before there was a report.
func (a *app) hint(err error) string { return a.call("", 0).Of(err, false) }

// hints returns what to do about the errors of these mounts.
func (a *app) hints(mounts []*vaultsync.MountReport, cfg *config.Config, cmd *cli.Command) render.Hint {
	call := a.call(cfg.File, cmd.Duration("timeout"))
	return func(m *vaultsync.MountReport, err error) string {
		i := slices.Index(mounts, m)
		return call.Of(err, i >= 0 && i < len(cfg.Mounts) && !cfg.Mounts[i].Options.Convert)
	}
}

// complain tells stderr of each cluster and mount that failed, and what to do about it: once, where
// several mounts of a Vault failed for one reason.
func (a *app) complain(r *vaultsync.Report, hints render.Hint) {
	err := r.Err()
	if err == nil {
		return
	}
	told := map[string]bool{}
	for _, err := range terminal.Separate(err) {
		var of *vaultsync.MountReport
		for _, report := range r.Mounts {
			if report.Err != nil && errors.Is(err, report.Err) {
				of = report
			}
		}
		hint := hints(of, err)
		if mount, ok := err.(*vaultsync.MountError); ok { //nolint:errorlint // as it is joined
			key := mount.Vault + "\x00" + mount.Err.Error() + "\x00" + hint
			if told[key] {
				continue
			}
			told[key] = true
			err = together(mount, r.Mounts)
		}
		a.says.Fail(err, hint)
	}
}

// together returns the error of a mount as that of all mounts of its Vault that failed so.
func together(e *vaultsync.MountError, mounts []*vaultsync.MountReport) error {
	const most = 5
	var names []string
	for _, m := range mounts {
		if other, ok := m.Err.(*vaultsync.MountError); ok && other.Vault == e.Vault && other.Err.Error() == e.Err.Error() { //nolint:errorlint // likewise
			id := m.MountID
			id.Vault = ""
			names = append(names, id.String())
		}
	}
	if len(names) < 2 || e.Vault == "" {
		return e
	}
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", more))
	}
	last := len(names) - 1
	return fmt.Errorf("mounts %s and %s at %s: %w", strings.Join(names[:last], ", "), names[last], e.Vault, e.Err)
}
