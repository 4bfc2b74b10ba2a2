package mountconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// CheckSize refuses a configuration that Vault's storage would. One that gets smaller is written
// whatever its size: it takes keys away.
func (c Config) CheckSize(p *plan.Plan) error {
	if c.Stored {
		return nil
	}
	body, err := c.withElements(p, p.Next)
	if err != nil {
		return err
	}
	if size := Size(body); size > vaultapi.MaxConfig && size > Size(c.Fields) {
		return fmt.Errorf("%w: %d keys make %d bytes of configuration, over %d; trust fewer clusters on this mount",
			vaultapi.ErrTooLarge, len(p.Next), size, vaultapi.MaxConfig)
	}
	return nil
}

// Base returns a plan's base, which is that of its list of keys, with what else of this
// configuration the plan depends on.
func (c Config) Base(base string) string {
	list, _, _ := strings.Cut(base, " ")
	all := []string{list}
	for _, field := range c.Excluded() {
		all = append(all, field+"="+SettingText(c.Fields[field]))
	}
	return strings.Join(all, " ")
}

// With returns the whole configuration as a plan for this one makes it: every field that
// harvest doesn't own as it was read. It makes the key that stands in for an empty list, where
// there is to be one.
func (c Config) With(p *plan.Plan) (map[string]any, error) {
	next := p.Next
	if p.Emptied {
		element, err := NewPlaceholder()
		if err != nil {
			return nil, err
		}
		next = []string{element}
	}
	return c.withElements(p, next)
}

func (c Config) withElements(p *plan.Plan, elements []string) (map[string]any, error) {
	settings, err := SettingValues(p.Settings)
	if err != nil {
		return nil, err
	}
	var without []string
	if c.Mode() != "" && (len(p.Next) > 0 || p.Emptied) {
		without = c.Excluded()
	}
	return c.Body(elements, without, settings), nil
}

// Size returns how many bytes of JSON a configuration takes.
func Size(body map[string]any) int {
	b, err := json.Marshal(body)
	if err != nil { // it was read from JSON
		return vaultapi.MaxConfig
	}
	return len(b)
}

// SettingValues returns settings as they are written: SettingText read back.
func SettingValues(changes []plan.Change) (map[string]any, error) {
	values := map[string]any{}
	for _, c := range changes {
		var err error
		text, list := "", []string{}
		switch {
		case c.Field == AlgorithmsField && c.After == "":
			values[c.Field] = list
		case c.Field == AlgorithmsField:
			err = json.Unmarshal([]byte(c.After), &list)
			values[c.Field] = list
		case c.Field != IssuerField && c.Field != RoleField:
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

// SettingText is vaultapi.Canonical for a setting, which is text or a list: a number or a flag in
// its place is neither, and so isn't taken for an empty one.
func SettingText(v any) string {
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

// NewPlaceholder returns a key that nobody can sign with: its private half is never kept.
func NewPlaceholder() (string, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making a placeholder key: %w", err)
	}
	text, err := pem.Block{
		Public:     private.Public(),
		Annotation: pem.Annotation{Version: pem.Version, Placeholder: true},
	}.MarshalText()
	return string(text), err
}
