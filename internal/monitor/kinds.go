package monitor

import "github.com/jwksharvest/harvest/vaultsync"

// Kinds of errors that have no sentinel of their own.
const (
	KindLogin       = "login"       // Vault gave no token, or renews it no more
	KindTLS         = "tls"         // a certificate that isn't trusted, or can't be read
	KindTimeout     = "timeout"     //
	KindUnreachable = "unreachable" // no connection, or a broken one
	KindStatus      = "status"      // an answer with an error status
	KindMalformed   = "malformed"   // an answer that isn't what was asked for
	KindFiles       = "files"       // one that can't be read, or a relay's; its errors know their kind
	KindPanic       = "panic"       // a fault in harvest
	KindOther       = "other"

	kindTurnover = "turnover"
)

// KindOf returns the kind of an error: a word for metrics and alerts.
func KindOf(err error) string { return vaultsync.Kind(err) }
