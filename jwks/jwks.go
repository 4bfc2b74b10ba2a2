// Package jwks reads what clusters publish: the JSON Web Key Sets by which Nomad, or any other
// issuer, lets others verify its tokens.
//
// [Parse] judges one document and returns its usable public keys. A [Source] is a place that
// publishes one: a region of a Nomad cluster ([Nomad]), any [URL], an OpenID Connect [Issuer], a
// [Kubernetes], a [File], or the caller's own ([Static], [SourceFunc]). [FetchAll] asks the sources
// of many clusters in parallel. [Watch] reports changes; of a Nomad as soon as they happen.
//
//	set, err := jwks.Nomad{Address: "https://nomad.example.com:4646"}.Fetch(ctx)
//
// Anyone who holds a private key of this set can log in wherever the set is trusted, so this
// package never guesses. It refuses a document whole, or leaves a member of it out with the reason.
// An empty answer is an error ([ErrNoKeys]), never a set.
package jwks

import (
	"crypto"
	"errors"
	"fmt"
	"strings"
)

// Bounds on what a document may hold. A document past one of them is refused whole.
const (
	// MaxDocument is the size of a document in bytes, after decompression.
	MaxDocument = 1 << 20
	// MaxMembers is the number of members of the "keys" array.
	MaxMembers = 1000
	// MaxKeyID is the length of a "kid" in bytes.
	MaxKeyID = 256
)

// Key is one public key that may verify signatures.
type Key struct {
	// KeyID is the "kid" member or, where there is none, the RFC 7638 thumbprint
	// (SHA-256, base64url without padding). At most MaxKeyID bytes, all printable.
	KeyID string
	// Algorithms are the "alg" members under which the document publishes the key, each once and in
	// its order. Empty if the first of these members has none: then the key isn't limited to some
	// algorithms.
	Algorithms []string
	// Use is the "use" member: "", "sig" or "jwt-svid".
	Use string
	// Public is a *rsa.PublicKey, an *ecdsa.PublicKey or an ed25519.PublicKey.
	Public crypto.PublicKey
}

// Set is what one document publishes.
type Set struct {
	// Keys are the usable keys in the order of the document, each once. Never empty in a Set that
	// is returned without an error.
	Keys []Key
	// Skipped are the members that aren't among Keys, with the reason of each.
	Skipped []*KeyError
	// Warnings are remarks about the document that exclude no key, such as a "kid" used twice.
	// Every value quoted in them is printable.
	Warnings []string
	// Index is the X-Nomad-Index of the reply; 0 where there was none.
	Index uint64
	// Unindexed reports whether the set came from a URL or an issuer without an index. Such an
	// answer may be older than the one before it, or another server's, so a key that is missing
	// from one may still be published.
	Unindexed bool
}

// Refusals of a whole document. Each is wrapped with the detail; compare with errors.Is.
var (
	// ErrTooLarge: more than MaxDocument bytes or MaxMembers members.
	ErrTooLarge = errors.New("key set too large")
	// ErrMalformed: not one JSON object with one "keys" array and nothing after it.
	ErrMalformed = errors.New("not a JSON Web Key Set")
	// ErrPrivateKey: private or symmetric key material. Anyone who publishes it has lost it, so
	// nothing else in the document is trusted either.
	ErrPrivateKey = errors.New("key set publishes private key material")
	// ErrNoKeys: a well-formed set without a usable key. It is never a reason to
	// remove a trusted key. The error is a *NoKeysError.
	ErrNoKeys = errors.New("no usable keys")
	// ErrPlaintext: plain HTTP to another machine, or certificate verification
	// switched off, without AllowPlaintext.
	ErrPlaintext = errors.New("connection is not authenticated")
)

// KeyError says why a member of a set isn't among its keys, or why [Judge] refuses a key.
type KeyError struct {
	Position int    // in the "keys" array, from 0; -1: the key was judged by itself
	KeyID    string // cleaned for printing; "" where there is none
	Reason   Reason
	Detail   string // for people; holds no remote bytes that aren't printable
}

// Error implements error.
func (e *KeyError) Error() string {
	if e.Position < 0 {
		return fmt.Sprintf("key with kid %q: %s: %s", e.KeyID, e.Reason, e.Detail)
	}
	return fmt.Sprintf("key %d (kid %q): %s: %s", e.Position, e.KeyID, e.Reason, e.Detail)
}

// NoKeysError is the error of a well-formed set without a usable key. It wraps ErrNoKeys.
type NoKeysError struct {
	// Skipped are the members, with the reason of each; empty for an empty set.
	Skipped []*KeyError
	// Index is the X-Nomad-Index of the reply; 0 where there was none.
	Index uint64
}

// maxListed is how many of the skipped members an error message names.
const maxListed = 3

// Error implements error. It names the first three members and counts the others.
func (e *NoKeysError) Error() string {
	if len(e.Skipped) == 0 {
		said := ErrNoKeys.Error() + ": the set is empty"
		if e.Index > 0 {
			said += ", as it is for a moment after a first Nomad server starts"
		}
		return said
	}
	var list strings.Builder
	for i, skipped := range e.Skipped {
		if i == maxListed {
			fmt.Fprintf(&list, "; and %d more", len(e.Skipped)-maxListed)
			break
		}
		if i > 0 {
			list.WriteString("; ")
		}
		list.WriteString(skipped.Error())
	}
	return fmt.Sprintf("%v: %d published: %s", ErrNoKeys, len(e.Skipped), list.String())
}

// Unwrap returns ErrNoKeys.
func (e *NoKeysError) Unwrap() error { return ErrNoKeys }
