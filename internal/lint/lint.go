// Package lint finds what bites on a mount although its keys are in sync.
package lint

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Severity says how much a problem weighs.
type Severity string

// Severities. The values are part of the JSON and don't change.
const (
	SeverityError   Severity = "error"   // logins fail, or will
	SeverityWarning Severity = "warning" // somebody may get what isn't theirs, or keys have stopped to follow
	SeverityNote    Severity = "note"    // worth knowing, and nothing is wrong
)

// Lint names what a problem is about.
type Lint string

// What is looked for. The values are part of the JSON and don't change.
const (
	LintAlgorithm     Lint = "algorithm"      // a trusted key's algorithm isn't on jwt_supported_algs
	LintBoundIssuer   Lint = "bound_issuer"   // a cluster's tokens don't have the iss that the mount asks for
	LintNoIssuer      Lint = "no_issuer"      // a Nomad without oidc_issuer: its tokens have no iss
	LintSameIssuer    Lint = "same_issuer"    // two clusters of the mount with one iss
	LintSameRegion    Lint = "same_region"    // two clusters of the mount with a region of one name
	LintRoleIssuer    Lint = "role_issuer"    // a role of a shared mount takes the tokens of every cluster
	LintRoleNobody    Lint = "role_nobody"    // a role asks for an iss that no cluster of the mount has
	LintRoleStrangers Lint = "role_strangers" // a role takes the tokens of anyone who gets one of an issuer
	LintRoleStar      Lint = "role_star"      // a role with a * that Vault compares as it stands, not as any text
	LintRoleAudience  Lint = "role_audience"  // a role without bound_audiences
	LintRoleAlias     Lint = "role_alias"     // workloads of several namespaces are one entity, and a policy goes by its metadata
	LintRolePolicy    Lint = "role_policy"    // a role's policy is templated on another mount
	LintRoleLeeway    Lint = "role_leeway"    // a role takes tokens for minutes after they expired
	LintRoleGroups    Lint = "role_groups"    // a role puts logins into groups by a claim
	LintRoleRoot      Lint = "role_root"      // a role gives the policy root, which Vault refuses
	LintRoles         Lint = "roles"          // the roles could not be read
	LintRotation      Lint = "rotation"       // no new key for longer than Nomad lets one be
	LintUnconfigured  Lint = "unconfigured"   // a trusted key is of a cluster that isn't configured for the mount
	LintRelayIssuer   Lint = "relay_issuer"   // a relay's issuer isn't what a cluster's tokens name
	LintDiscovery     Lint = "discovery"      // a discovery document could not be read
)

// Lints are all of them.
var Lints = []Lint{
	LintAlgorithm, LintBoundIssuer, LintNoIssuer, LintSameIssuer, LintSameRegion, LintRoleIssuer,
	LintRoleNobody, LintRoleStrangers, LintRoleStar, LintRoleAudience, LintRoleAlias, LintRolePolicy, LintRoleLeeway, LintRoleGroups, LintRoleRoot,
	LintRoles, LintRotation, LintUnconfigured, LintRelayIssuer, LintDiscovery,
}

// Problem is something about a mount that bites, or will.
type Problem struct {
	Lint     Lint     `json:"lint"`
	Severity Severity `json:"severity"`
	Cluster  string   `json:"cluster,omitempty"`
	Region   string   `json:"region,omitempty"`
	Role     string   `json:"role,omitempty"`
	Message  string   `json:"message"` // what will happen; printable
	Fix      string   `json:"fix"`     // what to do about it
}

// Bites reports whether something must be done about a problem.
func (p Problem) Bites() bool { return p.Severity != SeverityNote }

// Inspection is what [Inspect] looks at.
type Inspection struct {
	// Now is the time. It must be set.
	Now time.Time
	// Path is that of the mount, for the commands in a Fix.
	Path string
	// Config is the mount's configuration.
	Config mountconfig.Config
	// Settings are what is stated of the configuration, as in [vaultsync.Options].
	Settings vaultsync.Settings
	// Clusters are the names that the mount trusts, as in [plan.Desired]; none: nothing is
	// said of clusters that it shouldn't.
	Clusters []string
	// Results are what clusters publish; those of others are passed over.
	Results []jwks.Result
	// Discovered are what they say of their tokens: see [discover.All].
	Discovered []discover.Discovery
	// KeysAt are the addresses of key sets that come without anything that says the issuer, by
	// cluster.
	KeysAt map[string]string
	// Issuer is what a relay says that it publishes the keys of; "" is no relay's.
	Issuer string
	// Roles are the mount's roles, and RolesErr why some or all could not be read.
	Roles    []*jwtrole.Role
	RolesErr error
	// Accessor is the mount's, and Policies are the texts of its roles' policies by name; "" and
	// those that are missing aren't known.
	Accessor string
	Policies map[string]string
	// Ignored is what nothing is said of.
	Ignored []Lint
	// Rotation is how long Nomad signs with one key (root_key_rotation_threshold of its
	// server block); zero is DefaultRotation.
	Rotation time.Duration
}

// Inspect points out what bites on a mount although its keys are in sync, the worst first. It
// reads no clock and no network. The error wraps [vaultsync.ErrNotStaticKeys], or says what is
// missing.
func Inspect(in Inspection) ([]Problem, error) {
	if in.Now.IsZero() {
		return nil, errors.New("an inspection needs the time")
	}
	if err := in.Config.Check(false); err != nil {
		return nil, err
	}
	l := &linter{Inspection: in}
	for _, role := range in.Roles {
		if role.Text("role_type") == "jwt" {
			l.jwt = append(l.jwt, role)
		}
	}
	l.readTrusted()
	l.algorithms()
	l.boundIssuer()
	l.relayIssuer()
	l.missingIssuers()
	l.sharedNames()
	l.roles()
	l.aliases()
	l.otherMounts()
	l.rotations()
	l.unconfigured()
	weights := []Severity{SeverityError, SeverityWarning, SeverityNote}
	slices.SortStableFunc(l.found, func(a, b Problem) int {
		return cmp.Compare(slices.Index(weights, a.Severity), slices.Index(weights, b.Severity))
	})
	return l.found, nil
}

// linter is one run of Inspect.
type linter struct {
	Inspection
	found []Problem

	trusted []plan.Element  // those that can be read
	owners  []string        // the clusters that have keys here or may have: those of the mount first
	jwt     []*jwtrole.Role // those that JWTs log in with
}

func (l *linter) add(p Problem) {
	if slices.Contains(l.Ignored, p.Lint) {
		return
	}
	p.Message, p.Fix = text.Blank(p.Message), text.Blank(p.Fix)
	l.found = append(l.found, p)
}

// addRole adds a problem of a role; the message says what about it.
func (l *linter) addRole(role *jwtrole.Role, lint Lint, severity Severity, message, fix string) {
	l.add(Problem{Lint: lint, Severity: severity, Role: role.Name, Message: "role " + role.Name + " " + message, Fix: fix})
}

// readTrusted lists whose keys the mount has.
func (l *linter) readTrusted() {
	l.owners = slices.Clone(l.Clusters)
	for _, t := range l.Config.Elements() {
		if t.Opaque || t.Block.Annotation.Placeholder {
			continue
		}
		l.trusted = append(l.trusted, t)
		if name := t.Block.Annotation.Cluster; name != "" && !slices.Contains(l.owners, name) {
			l.owners = append(l.owners, name)
		}
	}
}

// shared reports whether keys of several clusters are on the mount, or are to be.
func (l *linter) shared() bool { return len(l.owners) > 1 }

func (l *linter) ours(cluster string) bool { return slices.Contains(l.Clusters, cluster) }

// discovered are the documents that could be read of this mount's clusters.
func (l *linter) discovered() []discover.Discovery {
	return slices.DeleteFunc(slices.Clone(l.Discovered), func(d discover.Discovery) bool {
		return d.Err != nil || !l.ours(d.Cluster)
	})
}
