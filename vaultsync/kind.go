package vaultsync

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// kindsOf are the kinds of errors with a sentinel. The words are part of the metrics and
// of the log, and don't change.
var kindsOf = []struct {
	err  error
	kind string
}{
	{plan.ErrTurnover, "turnover"},
	{plan.ErrNotRead, "not_read"},
	{ErrAlgorithm, "algorithm"},
	{jwks.ErrRegionGone, "region_gone"},
	{jwks.ErrPrivateKey, "private_key"},
	{jwks.ErrNoKeys, "no_keys"},
	{jwks.ErrMalformed, "malformed"},
	{jwks.ErrTooLarge, "too_large"},
	{jwks.ErrPlaintext, "plaintext"},
	{jwks.ErrTokenNotSent, "token_not_sent"},
	{ErrForbidden, "forbidden"},
	{ErrSealed, "sealed"},
	{ErrNoMount, "no_mount"},
	{ErrNoNamespaces, "no_namespaces"},
	{ErrNotStaticKeys, "not_static_keys"},
	{ErrUnreadableFields, "unreadable_fields"},
	{plan.ErrLastKey, "last_key"},
	{ErrTooLarge, "too_large"},
	{plan.ErrNoRoom, "no_room"},
	{ErrConflict, "conflict"},
	{plan.ErrStale, "stale"},
	{plan.ErrRefused, "refused"},
	{ErrReview, "review"},
	{plan.ErrInvalid, "invalid"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
}

// Kind returns the kind of an error of jwks, of this package or of the network: a word for metrics
// and alerts, such as "turnover" or "forbidden", as docs/errors.md lists them. If the error has a
// method Kind, that decides. "other" stands for the rest, and "" for nil.
func Kind(err error) string {
	if err == nil {
		return ""
	}
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
		return "panic"
	case errors.As(err, &status), errors.As(err, &response):
		return "status"
	case nethint.IsTLS(err):
		return "tls"
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, new(*fs.PathError)):
		return "files"
	case nethint.IsUnreachable(err):
		return "unreachable"
	case errors.As(err, new(*json.SyntaxError)): // Vault's answer is none of Vault's
		return "malformed"
	}
	return "other"
}
