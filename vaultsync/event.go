package vaultsync

import (
	"errors"
)

// EventKind says what happened.
type EventKind string

// Kinds of events. Key events carry a Key, failures an Err.
const (
	EventAdded    EventKind = "added"    // a key came to be trusted
	EventAdopted  EventKind = "adopted"  // a trusted key was annotated again
	EventRemoved  EventKind = "removed"  // a key is trusted no more
	EventFailed   EventKind = "failed"   // a cluster could not be read; its keys stay
	EventSet      EventKind = "set"      // a setting of the mount was changed to what is stated
	EventConflict EventKind = "conflict" // another writer undid a write; it is done again
	EventError    EventKind = "error"    // a mount could not be synced
	// EventUnwritable: Vault says, when a Watch begins, that the token may not write a mount.
	EventUnwritable EventKind = "unwritable"
)

// Event is something that happened to a mount.
type Event struct {
	Kind  EventKind
	Mount *Mount
	Key   Key    // of EventAdded, EventAdopted and EventRemoved
	Set   Change // of EventSet
	Err   error  // of EventFailed (a *jwks.ClusterError), EventConflict, EventError and EventUnwritable
}

func (o Options) emit(e Event) {
	if o.OnEvent != nil {
		_ = e.Mount.contained(o, func() error { o.OnEvent(e); return nil }) // which tells of a panic
	}
}

// announce tells the log and the caller what a write has changed.
func (o Options) announce(m *Mount, p *Plan) {
	log := o.logger().With("mount", m.String())
	for _, list := range []struct {
		kind EventKind
		keys []Key
	}{{EventAdded, p.Add}, {EventAdopted, p.Adopt}, {EventRemoved, p.Remove}} {
		for _, k := range list.keys {
			log.Info("key "+string(list.kind), "cluster", k.Cluster, "region", k.Region, "kid", k.KeyID,
				"alg", k.Algorithm, "sha256", k.Fingerprint.String(), "reason", k.Reason)
			o.emit(Event{Kind: list.kind, Mount: m, Key: k})
		}
	}
	for _, c := range p.Settings {
		log.Info("setting changed", "field", c.Field, "before", c.Before, "after", c.After)
		o.emit(Event{Kind: EventSet, Mount: m, Set: c})
	}
}

// warnNotRead tells them what could not be read.
func (o Options) warnNotRead(m *Mount, p *Plan) {
	for _, f := range p.Failed {
		err := f.AsError()
		message := "keys kept"
		if errors.Is(f.Err, ErrNoRoom) {
			message = "keys wait for room"
		}
		o.logger().With(stack(err)...).Warn(message, "mount", m.String(), "cluster", f.Cluster, "region", f.Region, "kept", f.Kept, "error", err.Err)
		o.emit(Event{Kind: EventFailed, Mount: m, Err: err})
	}
}

// logFailure tells them that a mount could not be synced, if so.
func (o Options) logFailure(m *Mount, r *MountReport) {
	if r.Err == nil {
		return
	}
	if err, ok := errors.AsType[*MountError](r.Err); ok { // the line names the mount already
		o.logger().Error("mount not synced", "mount", m.String(), "error", err.Err)
	}
	o.emit(Event{Kind: EventError, Mount: m, Err: r.Err})
}
