package plan

import (
	"errors"
	"fmt"

	"github.com/jwksharvest/harvest/internal/text"
)

// ErrNoRoom: keys that a cluster publishes wait, since the mount has no room for them. Wrapped by
// a *RoomError.
var ErrNoRoom = errors.New("not all of its keys fit on the mount")

// RoomError is ErrNoRoom with what takes the room. Sizes are in bytes of the configuration's JSON.
type RoomError struct {
	Cluster string
	Waiting int // keys that wait

	// Unjudged are those of the waiting keys that there was no time to judge, because the cluster
	// publishes many at once, or new ones all the time. The next sync goes on with them.
	Unjudged int

	Keys    int // keys of the cluster that are, or will be, trusted
	MaxKeys int // Rules.MaxKeys if that is the limit; 0: MaxSize is
	MaxSize int // Rules.MaxSize
	Bytes   int // that the cluster's keys take
	Foreign int // that foreign keys take
	Claimed int // that keys of other harvesters take
}

// Error names what fills the mount, and what to do about it.
func (e *RoomError) Error() string {
	said := fmt.Sprintf("%v: %d %s", ErrNoRoom, e.Waiting, text.Form(e.Waiting, "waits", "wait"))
	if e.Unjudged > 0 {
		said += fmt.Sprintf(", %d of them to be judged, for which there was no time: the cluster publishes too many new keys at once", e.Unjudged)
		if e.Unjudged == e.Waiting {
			return said + "; the next sync goes on"
		}
	}
	if e.MaxKeys > 0 {
		return fmt.Sprintf("%s, since the mount takes %d %s of a cluster; have it take more, or let the cluster publish fewer", said, e.MaxKeys,
			text.Form(e.MaxKeys, "key", "keys"))
	}
	said += fmt.Sprintf(", since the configuration may have %d bytes", e.MaxSize)
	switch {
	case e.Foreign > max(e.Bytes, e.Claimed):
		return fmt.Sprintf("%s, and foreign keys take %d of them: remove those", said, e.Foreign)
	case e.Claimed > e.Bytes:
		return fmt.Sprintf("%s, and keys of other harvesters take %d of them: give these a mount of their own, or retire names that are no longer in use",
			said, e.Claimed)
	default:
		return fmt.Sprintf("%s, of which its keys take %d: give the cluster a mount of its own", said, e.Bytes)
	}
}

// Is reports true for ErrNoRoom.
func (e *RoomError) Is(target error) bool { return target == ErrNoRoom }
