package keydir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	keyFileSuffix = ".pem"
	maxFileName   = 100 // bytes of a kid before its file's name is cut
)

// fileNames returns a file's name for each key. A kid is the other side's to choose, so it
// never becomes a path: what isn't a letter, a digit, ".", "_" or "-" is written %xx, and
// so is a leading dot. A long name is cut and gets a hash of the kid. Where two names are
// equal, or would be on a file system that doesn't tell case, each gets the key's
// fingerprint. Both follow a "~", which no kid's name contains.
func fileNames(keys []Key) []string {
	names := make([]string, len(keys))
	count := map[string]int{}
	for i, k := range keys {
		names[i] = safeName(k.KeyID)
		count[strings.ToLower(names[i])]++
	}
	for i, k := range keys {
		if count[strings.ToLower(names[i])] > 1 {
			fingerprint := k.Block.Fingerprint()
			names[i] += "~" + hex.EncodeToString(fingerprint[:16])
		}
		names[i] += keyFileSuffix
	}
	return names
}

// safeName returns a kid as a name within a directory: never empty, no path, not hidden.
func safeName(kid string) string {
	var b strings.Builder
	for i, c := range []byte(kid) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	name := b.String()
	if len(name) > maxFileName || name == "" {
		sum := sha256.Sum256([]byte(kid))
		name = name[:min(len(name), maxFileName-33)] + "~" + hex.EncodeToString(sum[:16])
	}
	return name
}
