package vaultsync

import (
	"errors"
	"fmt"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/redact"
)

// contained calls do for a mount, and returns its error. A panic, on an odd element, say, or in
// a callback, is told of and returned as one: the other mounts go on.
func (m *Mount) contained(o Options, do func() error) error {
	err := contain.Panics(do)
	if fault, ok := err.(*contain.Error); ok { //nolint:errorlint // a source's is told of with the source
		var secrets []string
		if m.Store == nil {
			secrets = append(secrets, m.Client.Token())
		}
		fault.Value = redact.Text(fmt.Sprint(fault.Value), secrets...)
		o.logger().Error("panic", "mount", m.String(), "error", fault, "stack", string(fault.Stack))
	}
	return err
}

// contained is Mount.contained.
func (m *subscriber) contained(do func() error) error {
	return m.target.Mount.contained(m.target.Options, do)
}

// call calls the caller back. A panic there is told of to one of the cluster's mounts.
func (b *inbox) call(back func()) {
	err := contain.Panics(func() error { back(); return nil })
	if err != nil {
		b.mounts[0].target.Options.logger().With(stack(err)...).Error("panic", "cluster", b.cluster.Name, "error", err)
	}
}

// stack returns the stack of a fault that an error wraps, as an attribute of a log line.
func stack(err error) []any {
	if fault, ok := errors.AsType[*contain.Error](err); ok {
		return []any{"stack", string(fault.Stack)}
	}
	return nil
}
