package vaultsync

import "github.com/jwksharvest/harvest/internal/fakekeys"

// Keys by name.
var (
	now         = fakekeys.Now
	publicKey   = fakekeys.Public
	fingerprint = fakekeys.Fingerprint
	trust       = fakekeys.Trust
	added       = fakekeys.Added
	missing     = fakekeys.Missing
	adopted     = fakekeys.Adopted
	paste       = fakekeys.Paste
	publish     = fakekeys.Publish
	down        = fakekeys.Down
	errDown     = fakekeys.ErrDown
	publishAs   = fakekeys.PublishAs
	signs       = fakekeys.Signs
)
