package faultproxy

import "time"

// Effect is what happens to the bytes of one way. The zero Effect is nothing.
type Effect struct {
	delay time.Duration
	rate  int
	cut   bool
	after int
	reset bool
	hole  bool
}

// Delay passes each read on that much later.
func Delay(d time.Duration) Effect { return Effect{delay: d} }

// Throttle passes that many bytes on in a second.
func Throttle(bytes int) Effect { return Effect{rate: max(bytes, 1)} }

// CutAfter passes n bytes on and ends the connection, both ways and as if it were
// complete (FIN).
func CutAfter(n int) Effect { return Effect{cut: true, after: n} }

// ResetAfter passes n bytes on and breaks the connection, both ways, with a reset (RST).
func ResetAfter(n int) Effect { return Effect{cut: true, after: n, reset: true} }

// Blackhole takes bytes and passes none on. The connection stays open until its client
// ends it.
func Blackhole() Effect { return Effect{hole: true} }

// immediate reports whether there is nothing to wait for.
func (e Effect) immediate() bool { return e.cut && e.after <= 0 }
