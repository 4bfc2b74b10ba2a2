package main

import (
	"errors"
	"time"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/vaultsync"
)

// call is how the command was called; file is the configuration's.
func (a *app) call(file string, timeout time.Duration) hint.Call {
	return hint.Call{File: file, Args: a.args, Timeout: timeout, Getenv: a.getenv}
}

// hint returns what to do about an error that ended a command before there was a report.
func (a *app) hint(err error) string { return a.call("", 0).Of(err, false) }

// complain tells stderr of each cluster and mount that failed, and what to do about it.
func (a *app) complain(r *vaultsync.Report, cfg *config.Config, timeout time.Duration) {
	err := r.Err()
	if err == nil {
		return
	}
	for _, err := range terminal.Separate(err) {
		may := false
		for i, report := range r.Mounts {
			if errors.Is(err, report.Err) {
				may = !cfg.Mounts[i].Options.Convert
			}
		}
		a.says.Fail(err, a.call(cfg.File, timeout).Of(err, may))
	}
}
