package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Login takes in whether a Vault gave a token, or still honours it.
func (b *Board) Login(vault string, err error, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.log.With("vault", vault)
	state := b.logins[vault]
	if err != nil {
		id := errorID{kind: KindLogin, mount: vaultsync.MountID{Vault: vault}}
		b.fail(&state, id, err, at, log, slog.LevelError, "no token for Vault; trying on")
		b.logins[vault] = state
		return
	}
	if state.kind != "" {
		log.Info("logged in to Vault again", "after", at.Sub(state.since).Round(time.Second).String())
	}
	delete(b.logins, vault)
}

// fail counts an error, and logs it where it is news; b.mu must be held.
func (b *Board) fail(f *failure, id errorID, err error, at time.Time, log *slog.Logger, level slog.Level, message string) {
	if id.kind == "" {
		id.kind = KindOf(err)
	}
	b.errors[id]++
	news := f.kind != id.kind
	if f.kind == "" {
		f.since = at
	}
	f.kind = id.kind
	f.last = LastError{Shown(err), at}
	if !news {
		level = slog.LevelDebug
	}
	attributes := []any{"kind", id.kind, "error", text.Escape(MountCause(ClusterCause(err)).Error())} // the line names cluster and mount
	if hint := b.hint(err); hint != "" && news {
		var lines []string
		for line := range strings.SplitSeq(hint, "\n") {
			lines = append(lines, strings.TrimSpace(text.Escape(line)))
		}
		attributes = append(attributes, "hint", strings.Join(lines, " "))
	}
	log.Log(context.Background(), level, message, attributes...)
}

// Unready returns what stands in the way of readiness: each mount that wasn't in sync
// within the bound. It names kinds of failures and no errors: who may ask isn't known.
func (b *Board) Unready(now time.Time, bound time.Duration) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var reasons []string
	for id, m := range b.mounts {
		if age := now.Sub(m.inSync); !m.inSync.IsZero() && age <= bound {
			continue
		}
		since := "not yet in sync"
		if !m.inSync.IsZero() {
			since = "last in sync " + inPresentTime(m.inSync, now).UTC().Format(time.RFC3339)
		}
		var why []string
		if m.failure.kind != "" {
			why = append(why, m.failure.kind)
		}
		if f := b.logins[m.Login]; f.kind != "" {
			why = append(why, f.kind)
		}
		for source, f := range m.failed {
			why = append(why, fmt.Sprintf("%s: %s", pem.Owner{Cluster: source.Cluster, Region: source.Region}, f.kind))
		}
		for source, s := range b.sources {
			if s.failure.kind != "" && slices.Contains(m.Clusters, source.Cluster) {
				why = append(why, fmt.Sprintf("%s: %s", pem.Owner{Cluster: source.Cluster, Region: source.Region}, s.failure.kind))
			}
		}
		slices.Sort(why)
		reason := fmt.Sprintf("mount %s: %s", id, since)
		if len(why) > 0 {
			reason += " (" + strings.Join(why, ", ") + ")"
		}
		reasons = append(reasons, text.Escape(reason))
	}
	slices.Sort(reasons)
	return reasons
}

// ClusterCause leaves out the name of the cluster, where it stands before the error already.
func ClusterCause(err error) error {
	if wrapped, ok := errors.AsType[*jwks.ClusterError](err); ok {
		return wrapped.Err
	}
	return err
}

// MountCause leaves out the name of the mount, where it stands above the error already.
func MountCause(err error) error {
	if wrapped, ok := errors.AsType[*vaultsync.MountError](err); ok {
		return wrapped.Err
	}
	return err
}

// logSome logs a line for each text, at most MaxRemarks of them, and how many more there are: a set
// may be worth a thousand.
func logSome(log *slog.Logger, message, key string, texts []string) {
	for _, t := range texts[:min(len(texts), MaxRemarks)] {
		log.Warn(message, key, text.Escape(t))
	}
	if more := len(texts) - MaxRemarks; more > 0 {
		log.Warn(message, "more", more, "hint", "harvest plan -format json has them all")
	}
}
