package vaultsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Settings are what is stated of a mount's configuration besides its keys. What is stated is
// written with the keys, and again after somebody changed it; what isn't stays as it is.
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

// maxSetting is how many bytes a stated text may have.
const maxSetting = 1 << 10

// Check refuses what Vault would refuse, and text that could pass for another.
func (s Settings) Check() error {
	for i, alg := range s.Algorithms {
		switch {
		case alg == "Ed25519":
			return fmt.Errorf("%s: Vault calls Ed25519 EdDSA", algsField)
		case !slices.Contains(vaultapi.Algorithms, alg):
			return fmt.Errorf("%s: %s is none that Vault takes; want some of %s, or an empty list for all", algsField, vaultapi.Quote(alg), strings.Join(vaultapi.Algorithms, ", "))
		case slices.Contains(s.Algorithms[:i], alg):
			return fmt.Errorf("%s names %s twice", algsField, alg)
		}
	}
	for field, value := range map[string]*string{issuerField: s.BoundIssuer, roleField: s.DefaultRole} {
		if value != nil && (len(*value) > maxSetting || text.Blank(*value) != *value || strings.TrimSpace(*value) != *value) {
			return fmt.Errorf("%s: want printable text without blanks around it, %d bytes at most", field, maxSetting)
		}
	}
	return nil
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
		before, after := settingText(m.current.fields[field]), settingText(stated[field])
		if before == after {
			continue
		}
		m.plan.Settings = append(m.plan.Settings, plan.Change{Field: field, Before: before, After: after})
		m.plan.Changed = true
	}
}

// settingsIn returns those of the plan's settings that a later configuration has.
func settingsIn(p *plan.Plan, after Config) []plan.Change {
	return slices.DeleteFunc(slices.Clone(p.Settings), func(c plan.Change) bool { return settingText(after.fields[c.Field]) != c.After })
}

// settingValues returns settings as they are written: settingText read back.
func settingValues(changes []plan.Change) (map[string]any, error) {
	values := map[string]any{}
	for _, c := range changes {
		var err error
		text, list := "", []string{}
		switch {
		case c.Field == algsField && c.After == "":
			values[c.Field] = list
		case c.Field == algsField:
			err = json.Unmarshal([]byte(c.After), &list)
			values[c.Field] = list
		case c.Field != issuerField && c.Field != roleField:
			err = errors.New("no setting that harvest writes")
		case c.After == "":
			values[c.Field] = text
		default:
			err = json.Unmarshal([]byte(c.After), &text)
			values[c.Field] = text
		}
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", vaultapi.Quote(c.Field), err)
		}
	}
	return values, nil
}

// settingText is vaultapi.Canonical for a setting, which is text or a list: a number or a flag in
// its place is neither, and so isn't taken for an empty one.
func settingText(v any) string {
	switch v.(type) {
	case nil, string, []any, []string:
		return vaultapi.Canonical(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
