package verify

import (
	"context"
	"log/slog"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Result is what came of a token at one mount, or with a key set alone.
type Result struct {
	vaultsync.MountID
	Source string `json:"source,omitempty"` // of the key set, where there is no mount
	Error  string `json:"error,omitempty"`
	*Verdict

	Err error `json:"-"` // why there is no Verdict
}

// Failed returns the result of a mount that could not be compared with.
func Failed(mount vaultsync.MountID, err error) *Result {
	return &Result{MountID: mount, Error: err.Error(), Err: err}
}

// AtMount compares a token with what a mount holds: it fills in v's Config, Path, Role, Skew and
// Plan, and calls [Verify]. It needs read on the mount's configuration. A role that can't be read
// is a finding; a clock that can't be is logged, and taken for this machine's.
func AtMount(ctx context.Context, mount *vaultsync.Mount, v Verification, log *slog.Logger) *Result {
	verdict, err := atMount(ctx, mount, v, log)
	if err != nil {
		return Failed(mount.ID(), err)
	}
	return &Result{MountID: mount.ID(), Verdict: verdict}
}

func atMount(ctx context.Context, mount *vaultsync.Mount, v Verification, log *slog.Logger) (*Verdict, error) {
	v.Path = mount.Path
	if err := v.readMount(ctx, mount); err != nil {
		return nil, err
	}
	session, err := mount.Session()
	if err != nil {
		return nil, mount.Wrap(err)
	}
	if role := effectiveRole(v.Config, v.RoleName); role != "" && !v.Config.IsZero() {
		v.Role, v.RoleErr = jwtrole.Read(ctx, session, role)
		v.RoleErr = mount.Wrap(v.RoleErr)
	}
	if v.Skew, err = session.Clock(ctx); err != nil {
		log.DebugContext(ctx, "Vault's clock could not be read", "error", text.Escape(err.Error()))
	}
	verdict, err := Verify(v)
	return verdict, mount.Wrap(err)
}

// readMount reads the configuration, and plans a sync where it is known what the mount should
// trust: within its time, however long the published keys take to judge.
func (v *Verification) readMount(ctx context.Context, mount *vaultsync.Mount) (err error) {
	if len(v.Want.Clusters) == 0 {
		v.Config, err = mount.Read(ctx)
		return err
	}
	o := v.Options
	o.Now = v.Now
	report, _ := mount.Plan(ctx, v.Want, o)
	if v.Config, v.Plan = report.Config, report.Plan; v.Config.IsZero() {
		return report.Err
	}
	return nil // a mount for which there is no plan is compared all the same
}
