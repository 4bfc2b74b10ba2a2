package setup

import (
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/internal/jwtrole"
)

// RefuseStrangers refuses to make roles that take any token of a cluster whose issuer everybody
// shares: anyone who has an account there would log in.
func (s Setup) RefuseStrangers(cluster, issuer string) error {
	shared := jwtrole.SharedIssuer(issuer)
	unbound := len(s.Access) == 0 || slices.ContainsFunc(s.Access, func(a Access) bool { return len(a.Bound) == 0 })
	if shared == nil || !unbound {
		return nil
	}
	return fmt.Errorf("%s is %s, where anyone gets an account, and the role that setup makes takes any of its tokens: "+
		"say in a role block whose tokens it takes (bound = { %s = \"…\" }), or make the mount and its role yourself and run harvest sync (docs/issuers.md)",
		cluster, shared.Name, shared.Claims[0])
}
