package monitor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Kinds of errors that have no sentinel of their own.
const (
	KindLogin       = "login"       // Vault gave no token, or renews it no more
	KindTLS         = "tls"         // a certificate that isn't trusted, or can't be read
	KindTimeout     = "timeout"     //
	KindUnreachable = "unreachable" // no connection, or a broken one
	KindStatus      = "status"      // an answer with an error status
	KindMalformed   = "malformed"   // an answer that isn't what was asked for
	KindFiles       = "files"       // of a relay; its errors know their kind
	KindPanic       = "panic"       // a fault in harvest
	KindOther       = "other"

	kindTurnover = "turnover"
)

// kindsOf are the kinds of errors with a sentinel. The words are part of the metrics and
// of the log, and don't change.
var kindsOf = []struct {
	err  error
	kind string
}{
	{vaultsync.ErrTurnover, kindTurnover},
	{vaultsync.ErrNotRead, "not_read"},
	{vaultsync.ErrAlgorithm, "algorithm"},
	{jwks.ErrRegionGone, "region_gone"},
	{jwks.ErrPrivateKey, "private_key"},
	{jwks.ErrNoKeys, "no_keys"},
	{jwks.ErrMalformed, KindMalformed},
	{jwks.ErrTooLarge, "too_large"},
	{jwks.ErrPlaintext, "plaintext"},
	{jwks.ErrTokenNotSent, "token_not_sent"},
	{vaultsync.ErrForbidden, "forbidden"},
	{vaultsync.ErrSealed, "sealed"},
	{vaultsync.ErrNoMount, "no_mount"},
	{vaultsync.ErrNoNamespaces, "no_namespaces"},
	{vaultsync.ErrNotStaticKeys, "not_static_keys"},
	{vaultsync.ErrUnreadableFields, "unreadable_fields"},
	{vaultsync.ErrLastKey, "last_key"},
	{vaultsync.ErrTooLarge, "too_large"},
	{vaultsync.ErrNoRoom, "no_room"},
	{vaultsync.ErrConflict, "conflict"},
	{vaultsync.ErrStale, "stale"},
	{vaultsync.ErrRefused, "refused"},
	{vaultsync.ErrReview, "review"},
	{context.DeadlineExceeded, KindTimeout},
}

// Kinds returns the kinds that errors with a sentinel have, and of how many sentinels.
func Kinds() map[string]int {
	kinds := map[string]int{}
	for _, k := range kindsOf {
		kinds[k.kind]++
	}
	return kinds
}

// KindOf returns the kind of an error: a word for metrics and alerts. An error that knows its kind
// has a method Kind.
func KindOf(err error) string {
	if known, ok := errors.AsType[interface {
		error
		Kind() string
	}](err); ok {
		return known.Kind()
	}
	for _, k := range kindsOf {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	var status *jwks.StatusError
	var response *api.ResponseError
	var network net.Error
	switch {
	case errors.As(err, new(*contain.Error)):
		return KindPanic
	case errors.As(err, &status), errors.As(err, &response):
		return KindStatus
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(x509.UnknownAuthorityError)),
		errors.As(err, new(x509.HostnameError)), errors.As(err, new(x509.CertificateInvalidError)),
		strings.Contains(err.Error(), "failed to parse certificate from server"): // crypto/tls, which has no type for it
		return KindTLS
	case errors.As(err, &network) && network.Timeout():
		return KindTimeout
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, new(textproto.ProtocolError)): // what an answer is that breaks off in its header
		return KindUnreachable
	case errors.As(err, new(*json.SyntaxError)): // Vault's answer is none of Vault's
		return KindMalformed
	}
	return KindOther
}
