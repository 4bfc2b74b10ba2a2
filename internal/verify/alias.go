package verify

import (
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// noteAlias points out whose logins are the same entity as this token's: whatever a policy reads
// from the entity's metadata is then that of the last of them.
func (c *verifier) noteAlias() {
	if !c.ofNomad() {
		return
	}
	claim := c.Role.UserClaim()
	switch {
	case c.Role.MixesNamespaces() && c.Role.BoundNamespace() == "":
		c.note("user_claim", "workloads of every namespace with this %s are one entity, with the metadata of whichever logged in last: "+
			"where a policy is templated on nomad_namespace, they read each other's secrets (user_claim=sub keeps them apart)", vaultapi.Clean(claim))
	case claim == "sub":
		c.noteRegion()
	}
}

// noteRegion points out clusters that a sub doesn't tell apart.
func (c *verifier) noteRegion() {
	region, _, ok := strings.Cut(c.Token.Subject, ":")
	owners := map[string]bool{}
	for _, t := range c.Config.Elements() {
		if a := t.Block.Annotation; !t.Opaque && !a.Placeholder && a.Cluster != "" && (a.Region == "" || a.Region == region) {
			owners[a.Cluster] = true
		}
	}
	if ok && len(owners) > 1 {
		c.note("user_claim", "clusters %s share this mount: jobs of one namespace and name in regions called %s are one entity, whichever cluster they run in",
			vaultapi.Listed(slices.Sorted(maps.Keys(owners))), vaultapi.Quote(region))
	}
}
