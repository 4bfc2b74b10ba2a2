package vaultsync

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// EventKind says what happened.
type EventKind string

// Kinds of events. Those of a mount have a Mount; those of a cluster only have none.
const (
	EventAdded    EventKind = "added"    // a key came to be trusted
	EventAdopted  EventKind = "adopted"  // a trusted key was annotated again
	EventRemoved  EventKind = "removed"  // a key is no longer trusted
	EventSet      EventKind = "set"      // a setting of the mount was changed to what is stated
	EventConflict EventKind = "conflict" // another writer undid a write, which is repeated
	EventFailed   EventKind = "failed"   // the mount keeps a cluster's keys, for the reason in Err
	EventSynced   EventKind = "synced"   // a mount was synced, and is in sync if Report.InSync says so
	EventError    EventKind = "error"    // a mount could not be synced; see Report too
	// EventUnwritable: Vault says, when a Watch begins, that the token may not write a mount.
	// EventWritable: since then it may.
	EventUnwritable EventKind = "unwritable"
	EventWritable   EventKind = "writable"

	EventRead   EventKind = "read"   // a source was read: for the first time, after a change, a failure or a trigger; see Result
	EventSame   EventKind = "same"   // a source published the same again; see Result
	EventUnread EventKind = "unread" // a source could not be read; see Result

	// EventRecovered: what failed before no longer does. Without a Mount it is a source, without a
	// Cluster it is a mount, and with both a cluster's state on a mount (EventFailed).
	EventRecovered EventKind = "recovered"
)

// Event is something that happened to a cluster or to a mount.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Mount MountID // zero: of a cluster alone
	// Owner is the cluster and region: of the key, or of what was read, failed or recovered. The
	// Region of a federation's list of regions is "*".
	pem.Owner
	Key       plan.Key      // of EventAdded, EventAdopted and EventRemoved
	Set       plan.Change   // of EventSet
	Err       error         // of EventFailed and EventUnread (a *jwks.ClusterError), EventConflict, EventError and EventUnwritable
	Recovered time.Duration // of EventRecovered: how long it had failed
	Report    *MountReport  // of EventSynced and EventError
	Result    *jwks.Result  // of EventRead, EventSame and EventUnread
}

// String returns the event as a line of a log.
func (e Event) String() string {
	words := []string{string(e.Kind)}
	if e.Mount != (MountID{}) {
		words = append(words, e.Mount.title())
	}
	switch {
	case e.Key.Fingerprint != pem.Fingerprint{}:
		words = append(words, "key "+e.Key.String())
	case e.Owner != pem.Owner{}:
		words = append(words, "cluster "+e.Owner.String())
	case e.Set.Field != "":
		words = append(words, fmt.Sprintf("%s from %q to %q", e.Set.Field, e.Set.Before, e.Set.After))
	}
	switch mount, cluster := new(MountError), new(jwks.ClusterError); { // which the line has already
	case errors.As(e.Err, &mount):
		words = append(words, mount.Err.Error())
	case errors.As(e.Err, &cluster):
		words = append(words, cluster.Err.Error())
	case e.Err != nil:
		words = append(words, e.Err.Error())
	}
	return strings.Join(words, ": ")
}

// emit tells the caller of an event of a mount.
func (o Options) emit(m *Mount, e Event) {
	if o.OnEvent != nil {
		e.Mount, e.Time = m.ID(), time.Now()
		_ = m.contained(o, func() error { o.OnEvent(e); return nil }) // which tells of a panic
	}
}

// announce tells the log and the caller what a write has changed.
func (o Options) announce(m *Mount, p *plan.Plan) {
	log := o.logger().With("mount", m.String())
	for _, list := range []struct {
		kind EventKind
		keys []plan.Key
	}{{EventAdded, p.Add}, {EventAdopted, p.Adopt}, {EventRemoved, p.Remove}} {
		for _, k := range list.keys {
			log.Info("key "+string(list.kind), "cluster", k.Cluster, "region", k.Region, "kid", k.KeyID,
				"alg", k.Algorithm, "sha256", k.Fingerprint.String(), "reason", k.Reason)
			o.emit(m, Event{Kind: list.kind, Owner: k.Owner, Key: k})
		}
	}
	for _, c := range p.Settings {
		log.Info("setting changed", "field", c.Field, "before", c.Before, "after", c.After)
		o.emit(m, Event{Kind: EventSet, Set: c})
	}
}

// warnNotRead tells them what could not be read.
func (o Options) warnNotRead(m *Mount, p *plan.Plan) {
	for _, f := range p.Failed {
		err := f.AsError()
		message := "keys kept"
		if errors.Is(f.Err, plan.ErrNoRoom) {
			message = "keys wait for room"
		}
		o.logger().With(stack(err)...).Warn(message, "mount", m.String(), "cluster", f.Cluster, "region", f.Region, "kept", f.Kept, "error", err.Err)
		o.emit(m, Event{Kind: EventFailed, Owner: f.Owner, Err: err})
	}
}

// conclude tells them what became of a sync.
func (o Options) conclude(m *Mount, r *MountReport) {
	if r.Err == nil {
		o.emit(m, Event{Kind: EventSynced, Report: r})
		return
	}
	if err, ok := errors.AsType[*MountError](r.Err); ok { // the line names the mount already
		o.logger().Error("mount not synced", "mount", m.String(), "error", err.Err)
	}
	o.emit(m, Event{Kind: EventError, Err: r.Err, Report: r})
}
