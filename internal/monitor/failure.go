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
	"github.com/jwksharvest/harvest/vaultsync"
)

// Login takes in whether a Vault gave a token, or still honours it.
func (b *Board) Login(vault string, err error, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.log.With("vault", vault)
	state := b.logins[vault]
	if err != nil {
		id := errorID{kind: "login", mount: vaultsync.MountID{Vault: vault}}
		b.fail(&state, id, err, at, log, slog.LevelError, "no token for Vault; retrying")
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
		id.kind = vaultsync.Kind(err)
	}
	b.errors[id]++
	news := f.kind != id.kind
	if f.kind == "" {
		f.since = at
	}
	f.kind = id.kind
	hint := b.hint(err)
	f.last = LastError{Shown(err), at, strings.Clone(text.Cut(hint, maxHint))}
	if !news {
		level = slog.LevelDebug
	}
	attributes := []any{"kind", id.kind, "error", text.Escape(MountCause(ClusterCause(err)).Error())} // the line names cluster and mount
	if hint != "" && news {
		var lines []string
		for line := range strings.SplitSeq(hint, "\n") {
			lines = append(lines, strings.TrimSpace(text.Escape(line)))
		}
		attributes = append(attributes, "hint", strings.Join(lines, " "))
	}
	log.Log(context.Background(), level, message, attributes...)
}

// Untried returns what this instance has yet to do for the first time: mounts to sync, and clusters
// to ask. Whether that went well is for OutOfSync.
func (b *Board) Untried() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	clusters := map[string]bool{}
	for id, m := range b.mounts {
		if !m.attempted {
			all = append(all, text.Escape(Title(id)+": not tried yet"))
		}
		for _, name := range m.Clusters {
			if !b.asked[name] && !clusters[name] {
				clusters[name] = true
				all = append(all, text.Escape(fmt.Sprintf("cluster %s: not heard of yet", name)))
			}
		}
	}
	slices.Sort(all)
	return all
}

// OutOfSync returns what keeps any mount from being in sync right now: each Vault, cluster and
// mount that is at fault, and the kind. It tells no errors: who may ask isn't known.
func (b *Board) OutOfSync() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	tell := func(what, kind string) { all = append(all, text.Escape(what+": "+kind)) }
	for vault, f := range b.logins {
		tell("Vault "+vault, f.kind)
	}
	for source, s := range b.sources {
		if s.failure.kind != "" {
			tell("cluster "+source.String(), s.failure.kind)
		}
	}
	for id, m := range b.mounts {
		for source, f := range m.failed {
			tell(Title(id)+": cluster "+source.String(), f.kind)
		}
		switch {
		case m.failure.kind != "":
			tell(Title(id), m.failure.kind)
		case !m.attempted:
			tell(Title(id), "not tried yet")
		case !m.synced && len(m.failed) == 0:
			tell(Title(id), "changes pending")
		}
	}
	slices.Sort(all)
	return all
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

// Title returns "mount" and the mount; for a store that isn't a Vault only its name, which says
// what it is.
func Title(id vaultsync.MountID) string {
	if id.Vault == "" {
		return id.String()
	}
	return "mount " + id.String()
}
