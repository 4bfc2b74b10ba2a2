package vaultsync

import (
	"maps"
	"slices"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Settings state settings of a mount besides its keys. What is stated is written with the keys, and
// put back if somebody changes it. What isn't stated stays as it is.
type Settings struct {
	// Algorithms is jwt_supported_algs: the algorithms that Vault takes of every cluster of
	// the mount. Empty: all that it knows. Nil: not stated.
	Algorithms []string
	// BoundIssuer is bound_issuer: the only iss that Vault takes. "": any. Nil: not stated.
	BoundIssuer *string
	// DefaultRole is default_role, for logins that name no role. "": they are refused. Nil: not
	// stated.
	DefaultRole *string
}

const (
	keysField   = mountconfig.KeysField
	algsField   = mountconfig.AlgorithmsField
	issuerField = mountconfig.IssuerField
	roleField   = mountconfig.RoleField
)

func (s Settings) check() error {
	return mountconfig.CheckSettings(s.Algorithms, s.BoundIssuer, s.DefaultRole)
}

// fields returns what is stated as it is written.
func (s Settings) fields() map[string]any {
	fields := map[string]any{}
	if s.Algorithms != nil {
		algs := append([]string{}, s.Algorithms...) // never null, which would state nothing
		slices.Sort(algs)
		fields[algsField] = algs
	}
	if s.BoundIssuer != nil {
		fields[issuerField] = *s.BoundIssuer
	}
	if s.DefaultRole != nil {
		fields[roleField] = *s.DefaultRole
	}
	return fields
}

// stated returns the fields that are to be what is stated, and a default_role where there is none.
func (m *mountPlanner) stated() map[string]any {
	if m.given.leaveSettings {
		return nil
	}
	fields := m.o.Settings.fields()
	if fields[roleField] == nil && m.o.DefaultRole != "" && m.current.DefaultRole() == "" {
		fields[roleField] = m.o.DefaultRole
	}
	return fields
}

// setStated plans what is stated and the mount has otherwise. Without a key there is nothing that
// Vault would take it with.
func (m *mountPlanner) setStated() {
	stated := m.stated()
	if !m.hasKeys() {
		return
	}
	if has := m.current.DefaultRole(); !m.given.leaveSettings && stated[roleField] == nil && m.o.DefaultRole != "" && has != m.o.DefaultRole {
		m.warn("default_role is %q and stays: logins that name no role get that, not %q", has, m.o.DefaultRole)
	}
	for _, field := range slices.Sorted(maps.Keys(stated)) {
		before, after := mountconfig.SettingText(m.current.Fields[field]), mountconfig.SettingText(stated[field])
		if before == after {
			continue
		}
		m.plan.Settings = append(m.plan.Settings, plan.Change{Field: field, Before: before, After: after})
		m.plan.Changed = true
	}
}

// settingsIn returns those of the plan's settings that a later configuration has.
func settingsIn(p *plan.Plan, after mountconfig.Config) []plan.Change {
	return slices.DeleteFunc(slices.Clone(p.Settings), func(c plan.Change) bool { return mountconfig.SettingText(after.Fields[c.Field]) != c.After })
}
