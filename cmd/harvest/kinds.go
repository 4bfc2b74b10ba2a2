package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/textproto"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Kinds of errors that have no sentinel of their own.
const (
	kindLogin       = "login"       // Vault gave no token, or renews it no more
	kindTLS         = "tls"         // a certificate that isn't trusted, or can't be read
	kindTimeout     = "timeout"     //
	kindUnreachable = "unreachable" // no connection, or a broken one
	kindStatus      = "status"      // an answer with a status that says no
	kindMalformed   = "malformed"   // an answer that isn't what was asked for
	kindOther       = "other"
)

// kindsOf are the kinds of errors with a sentinel. The words are part of the metrics and
// of the log, and don't change.
var kindsOf = []struct {
	err  error
	kind string
}{
	{vaultsync.ErrTurnover, "turnover"},
	{vaultsync.ErrNotRead, "not_read"},
	{jwks.ErrRegionGone, "region_gone"},
	{jwks.ErrPrivateKey, "private_key"},
	{jwks.ErrNoKeys, "no_keys"},
	{jwks.ErrMalformed, kindMalformed},
	{jwks.ErrTooLarge, "too_large"},
	{jwks.ErrPlaintext, "plaintext"},
	{vaultsync.ErrForbidden, "forbidden"},
	{vaultsync.ErrSealed, "sealed"},
	{vaultsync.ErrNoMount, "no_mount"},
	{vaultsync.ErrNoNamespaces, "no_namespaces"},
	{vaultsync.ErrNotStaticKeys, "not_static_keys"},
	{vaultsync.ErrUnreadableFields, "unreadable_fields"},
	{vaultsync.ErrLastKey, "last_key"},
	{vaultsync.ErrTooLarge, "too_large"},
	{vaultsync.ErrConflict, "conflict"},
	{errNoToken, kindLogin},
	{context.DeadlineExceeded, kindTimeout},
}

// kindOf returns the kind of an error: a word for metrics and alerts.
func kindOf(err error) string {
	for _, k := range kindsOf {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	var status *jwks.StatusError
	var response *api.ResponseError
	var network net.Error
	switch {
	case errors.As(err, &status), errors.As(err, &response):
		return kindStatus
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(x509.UnknownAuthorityError)),
		errors.As(err, new(x509.HostnameError)), errors.As(err, new(x509.CertificateInvalidError)):
		return kindTLS
	case errors.As(err, &network) && network.Timeout():
		return kindTimeout
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, new(textproto.ProtocolError)): // what an answer is that breaks off in its header
		return kindUnreachable
	case errors.As(err, new(*json.SyntaxError)): // Vault's answer is none of Vault's
		return kindMalformed
	}
	return kindOther
}
