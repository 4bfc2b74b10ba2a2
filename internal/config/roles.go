package config

import (
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/setup"
)

// SetRoles gives each mount what setup makes: where the flags describe the only mount, the role is
// theirs too.
func (c *Config) SetRoles(f Flags) error {
	if c.IsSingle() {
		access, err := roleOf(f)
		if err != nil {
			return err
		}
		c.Mounts[0].Setup.Access = []setup.Access{access}
	}
	for i := range c.Mounts {
		m := &c.Mounts[i]
		m.Setup.Overwrite = f.Bool("overwrite")
		if err := m.Setup.Check(); err != nil {
			return err
		}
		m.Options.DefaultRole = m.Setup.DefaultRole()
	}
	return nil
}

// roleOf returns the role of the flags.
func roleOf(f Flags) (setup.Access, error) {
	access := setup.Access{
		Role: f.String("role"), Policy: f.String("policy"), Audiences: f.StringSlice("audience"),
		UserClaim: f.String("user-claim"), Period: f.Duration("period"), MaxTTL: f.Duration("max-ttl"),
		KV: f.String("kv"), Prefix: f.String("prefix"), JobPrefix: f.String("job-prefix"),
	}
	for flag, into := range map[string]*map[string]string{"claim": &access.Claims, "bound": &access.Bound} {
		for _, pair := range f.StringSlice(flag) {
			name, value, ok := strings.Cut(pair, "=")
			if !ok {
				return access, fmt.Errorf("-%s %q: want two names with an equals sign between them", flag, pair)
			}
			if *into == nil {
				*into = map[string]string{}
			}
			(*into)[name] = value
		}
	}
	return access, nil
}
