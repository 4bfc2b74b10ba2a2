// Package fakeclock makes times as they are when the machine's clock was set between two
// readings, which a test can't do.
package fakeclock

import (
	"time"
	"unsafe"
)

// Stepped returns what time.Now would have returned in the place of t, had the clock been
// set forward by d (or back) before: another time of day, the same monotonic reading. t must
// have one; d counts in whole seconds.
func Stepped(t time.Time, d time.Duration) time.Time {
	// A time.Time begins with the seconds since 1885 in bits 30 to 62, where bit 63 says
	// that a monotonic reading follows.
	wall := (*uint64)(unsafe.Pointer(&t))
	if *wall>>63 == 0 {
		panic("fakeclock: a time without a monotonic reading")
	}
	*wall += uint64(int64(d/time.Second)) << 30
	return t
}
