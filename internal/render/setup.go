package render

import (
	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Setup is what is to be done to one mount.
type Setup struct {
	*setup.Plan
	Report *vaultsync.MountReport `json:"keys"`            // nil where the mount could not be read
	Error  string                 `json:"error,omitempty"` // why the mount could not be read or planned
	Token  string                 `json:"token"`           // where the token comes from, as the command names it

	Mount   *vaultsync.Mount  `json:"-"` // nil where its Vault can't be used
	Config  config.Mount      `json:"-"`
	Regions map[string]string `json:"-"` // what Nomad calls the one region of a cluster, where it is known
	Failure error             `json:"-"` // Error
}

// Fail notes why nothing can be done to the mount.
func (s *Setup) Fail(err error) { s.Failure, s.Error = err, err.Error() }

// Keys returns the plan for the mount's keys; nil where there is none.
func (s *Setup) Keys() *vaultsync.Plan {
	if s.Report == nil {
		return nil
	}
	return s.Report.Plan
}

// HasChanges reports whether there is anything to do.
func (s *Setup) HasChanges() bool {
	return s.Failure == nil && (s.Changed() || s.Keys() != nil && s.Keys().Changed)
}
