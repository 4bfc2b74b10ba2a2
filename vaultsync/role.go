package vaultsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/jwks"
)

// ErrNoRole: the mount has no role of this name.
var ErrNoRole = errors.New("no such role")

// Role is what auth/<mount>/role/<name> holds, every field as it was read.
type Role struct {
	Name   string
	fields map[string]any
}

// NewRole returns a Role of fields as vault/api decodes them, numbers as json.Number. It
// keeps fields, which must not be changed.
func NewRole(name string, fields map[string]any) *Role { return &Role{name, fields} }

// ReadRole returns a role of the mount. It needs the capability "read" on
// auth/<path>/role/<name>. The error is a *MountError and wraps [ErrNoRole], [ErrForbidden],
// [ErrSealed] or [ErrNoMount] where it is one of these.
func (m *Mount) ReadRole(ctx context.Context, name string) (*Role, error) {
	s, err := m.open()
	if err != nil {
		return nil, m.Wrap(err)
	}
	role, err := s.readRole(ctx, strings.ToLower(name)) // Vault keeps names in lower case
	return role, m.Wrap(err)
}

func (s *session) readRole(ctx context.Context, name string) (*Role, error) {
	if !roleName().MatchString(name) { // which would end up in another path of Vault's
		return nil, fmt.Errorf("%w: %s is no name of a role", ErrNoRole, shown(name))
	}
	path := s.mount.rolePath(name)
	fields, err := s.Lookup(ctx, path)
	if err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoRole, name)
	}
	return NewRole(name, fields), nil
}

// roleName is what Vault takes for the name of a role in a path (framework.GenericNameRegex):
// no role has any other name.
var roleName = onFirstUse(`^[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_])?$`)

// Clock returns how far Vault's clock is ahead of this machine's, to about a second: Vault's
// is what tokens expire by. It needs no capability.
func (m *Mount) Clock(ctx context.Context) (time.Duration, error) {
	s, err := m.open()
	if err != nil {
		return 0, m.Wrap(err)
	}
	skew, err := s.Clock(ctx)
	return skew, m.Wrap(err)
}

func (r *Role) text(field string) string {
	s, _ := r.fields[field].(string)
	return s
}

func (r *Role) flag(field string) bool {
	b, _ := r.fields[field].(bool)
	return b
}

func (r *Role) list(field string) []string { return Config{r.fields}.strings(field) }

// seconds returns a field that holds whole seconds.
func (r *Role) seconds(field string) time.Duration {
	n, err := strconv.ParseInt(fmt.Sprint(r.fields[field]), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// findClaim returns a claim by its name or, where the name starts with a slash, by its JSON
// pointer (RFC 6901); nil where there is none. Numbers become a json.Number, cut to a whole
// number, as Vault's getClaim has them.
func findClaim(t *jwks.Token, name string) any {
	value := t.Claims[name]
	if strings.HasPrefix(name, "/") {
		value = t.Claims
		for part := range strings.SplitSeq(name[1:], "/") {
			part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
			switch at := value.(type) {
			case map[string]any:
				value = at[part]
			case []any:
				i, ok := index(part, len(at))
				if !ok {
					return nil
				}
				value = at[i]
			default:
				return nil
			}
		}
	}
	if f, ok := value.(float64); ok {
		return json.Number(strconv.Itoa(int(f)))
	}
	return value
}

// index returns the element that a part of a JSON pointer names. Vault reads it by Go's
// rules for literals: 0x1 and 0b1 are 1, 010 is 8, and nothing is 0.
func index(part string, length int) (int, bool) {
	if part == "" {
		part = "0"
	}
	i, err := strconv.ParseInt(part, 0, strconv.IntSize)
	return int(i), err == nil && i >= 0 && i < int64(length)
}
