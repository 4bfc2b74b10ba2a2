// Package lint finds what bites on a mount although its keys are in sync.
package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
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
	// Settings are what is stated of the configuration, as in [Options].
	Settings vaultsync.Settings
	// Clusters are the names that the mount trusts, as in [plan.Desired]; none: nothing is
	// said of clusters that it shouldn't.
	Clusters []string
	// Results are what clusters publish; those of others are passed over.
	Results []jwks.Result
	// Discovered are what they say of their tokens: see [discover.All].
	Discovered []discover.Discovery
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

	trusted []plan.Element // those that can be read
	owners  []string       // the clusters that have keys here or may have: those of the mount first
}

func (l *linter) add(p Problem) {
	if slices.Contains(l.Ignored, p.Lint) {
		return
	}
	p.Message, p.Fix = text.Blank(p.Message), text.Blank(p.Fix)
	l.found = append(l.found, p)
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

// algorithms finds keys by which Vault takes no login, or not by each of their algorithms. What
// a stated list leaves out of a key's is meant.
func (l *linter) algorithms() {
	supported, stated := l.Config.Algorithms(), l.Settings.Algorithms != nil
	seen := map[string]bool{}
	var found []Problem
	mends := supported
	for _, t := range l.trusted {
		k := t.Key("")
		refused := slices.DeleteFunc(k.SignsWith(), func(alg string) bool { return plan.Admitted(supported, []string{alg}, k.Public) })
		p := Problem{Lint: LintAlgorithm, Severity: SeverityError, Cluster: k.Cluster, Region: k.Region}
		switch some := plan.Admitted(supported, t.Block.Annotation.Algorithms, k.Public); {
		case some && (stated || len(t.Block.Annotation.Algorithms) < 2 || len(refused) == 0):
			continue
		case some:
			p.Severity = SeverityWarning
		case stated:
			p.Severity = SeverityNote
		}
		mends = append(mends, refused...)
		what := k.Owner.String() + " " + strings.Join(refused, " ")
		if seen[what] {
			continue
		}
		seen[what] = true
		p.Message = refusedAlgorithms(k, refused, supported)
		found = append(found, p)
	}
	for _, p := range found {
		p.Fix = vaultapi.StateAlgorithms(mends)
		if stated {
			p.Fix = "nothing, if that list is meant; else " + p.Fix
		}
		l.add(p)
	}
}

// refusedAlgorithms says what becomes of logins with a key.
func refusedAlgorithms(k plan.Key, refused, supported []string) string {
	owner := "a foreign key"
	if k.Cluster != "" {
		owner = k.Owner.String()
	}
	return fmt.Sprintf("%s signs with %s (kid %s), and jwt_supported_algs is %s: these logins are refused",
		owner, strings.Join(refused, ", "), k.KeyID, vaultapi.Bracket(supported))
}

func (l *linter) boundIssuer() {
	bound := l.Config.BoundIssuer()
	if bound == "" {
		return
	}
	known := map[string]bool{}
	for _, d := range l.discovered() {
		known[d.Cluster] = true
		if slices.Contains(issuersOf(d), bound) {
			continue
		}
		p := Problem{Lint: LintBoundIssuer, Severity: SeverityError, Cluster: d.Cluster, Region: d.Region}
		owner := pem.Owner{Cluster: d.Cluster, Region: d.Region}.String()
		switch {
		case !d.Nomad:
			p.Severity = SeverityWarning
			p.Message = "bound_issuer is " + vaultapi.Quote(bound) + ", and " + owner + " names " + vaultapi.QuoteList(issuersOf(d)) +
				" in its discovery document: its logins are refused unless tokens of another kind have that iss"
			p.Fix = "compare it with the iss of a token (harvest verify), and -ignore bound_issuer if they are the same; else give the cluster a mount of its own, or " + vaultapi.ClearBoundIssuer
		case d.Metadata.Issuer == "":
			p.Message = "bound_issuer is " + vaultapi.Quote(bound) + ", and " + owner + " has no oidc_issuer: its tokens have no iss, and their logins are refused"
			p.Fix = "set oidc_issuer in the server block of every server of the cluster, or " + vaultapi.ClearBoundIssuer
		default:
			p.Message = "bound_issuer is " + vaultapi.Quote(bound) + ", and the tokens of " + owner + " are issued by " + vaultapi.Quote(d.Metadata.Issuer) + ": their logins are refused"
			p.Fix = "a mount with bound_issuer takes one issuer: give the cluster a mount of its own, or bind iss in roles and " + vaultapi.ClearBoundIssuer
		}
		l.add(p)
	}
	for _, name := range l.owners {
		if known[name] || len(l.owners) == 1 {
			continue
		}
		l.add(Problem{
			Lint: LintBoundIssuer, Severity: SeverityWarning, Cluster: name,
			Message: "bound_issuer is " + vaultapi.Quote(bound) + ", and which issuer the tokens of " + name + " name isn't known: with another, their logins are refused",
			Fix:     "compare it with the iss of a token (harvest verify), or give the cluster a mount of its own",
		})
	}
}

// relayIssuer finds clusters whose tokens aren't of the issuer that a relay says it is.
func (l *linter) relayIssuer() {
	if l.Issuer == "" {
		return
	}
	for _, d := range l.discovered() {
		if slices.Contains(issuersOf(d), l.Issuer) {
			continue
		}
		owner := pem.Owner{Cluster: d.Cluster, Region: d.Region}.String()
		p := Problem{
			Lint: LintRelayIssuer, Severity: SeverityError, Cluster: d.Cluster, Region: d.Region,
			Message: "the relay's issuer is " + vaultapi.Quote(l.Issuer) + ", and the tokens of " + owner + " name " + vaultapi.QuoteList(issuersOf(d)) +
				": who finds the key set by its issuer refuses them",
			Fix: "give the cluster a relay of its own with that issuer, or leave issuer out of the relay",
		}
		if d.Metadata.Issuer == "" {
			p.Message = "the relay's issuer is " + vaultapi.Quote(l.Issuer) + ", and " + owner + " has no oidc_issuer: its tokens name none, and who finds the key set by its issuer refuses them"
			p.Fix = "set oidc_issuer to it in the server block of every server of the cluster, or leave issuer out of the relay"
		}
		l.add(p)
	}
}

// missingIssuers finds Nomads whose tokens can't be bound on iss, and documents that could
// not be read.
func (l *linter) missingIssuers() {
	for _, d := range l.Discovered {
		if !l.ours(d.Cluster) {
			continue
		}
		owner := pem.Owner{Cluster: d.Cluster, Region: d.Region}.String()
		switch {
		case d.Err != nil:
			l.add(Problem{
				Lint: LintDiscovery, Severity: SeverityWarning, Cluster: d.Cluster, Region: d.Region,
				Message: "what " + owner + " says of its tokens could not be read: " + d.Err.Error(),
				Fix:     "issuer and region of it were not looked at: run this again when it answers",
			})
		case d.Nomad && d.Metadata.Issuer == "" && l.Config.BoundIssuer() == "":
			p := Problem{
				Lint: LintNoIssuer, Severity: SeverityNote, Cluster: d.Cluster, Region: d.Region,
				Message: owner + " has no oidc_issuer: its tokens have no iss, and no role can be bound on it",
				Fix:     "set oidc_issuer in the server block of every server of the cluster, to a name of its own",
			}
			if l.shared() {
				p.Severity = SeverityWarning
				p.Message += ", so that a role can't tell its jobs from those of another cluster"
			}
			if l.allBindIssuer() {
				p.Severity = SeverityError
				p.Message += "; every role of the mount asks for one: its logins are refused"
			}
			l.add(p)
		}
	}
}

// sharedNames finds clusters that tokens can't tell apart.
func (l *linter) sharedNames() {
	type use struct {
		lint  Lint
		value string
	}
	first := map[use]discover.Discovery{}
	seen := map[string]bool{}
	for _, d := range l.discovered() {
		uses := []use{{LintSameRegion, d.RegionName}}
		for _, issuer := range issuersOf(d) {
			uses = append(uses, use{LintSameIssuer, issuer})
		}
		for _, u := range uses {
			other, known := first[u]
			if u.value == "" || u.lint == LintSameRegion && !d.Nomad {
				continue
			}
			if !known {
				first[u] = d
				continue
			}
			pair := string(u.lint) + " " + other.Cluster + " " + d.Cluster + " " + u.value
			if other.Cluster == d.Cluster || seen[pair] {
				continue
			}
			seen[pair] = true
			p := Problem{Lint: u.lint, Severity: SeverityWarning, Cluster: d.Cluster, Region: d.Region}
			if u.lint == LintSameIssuer {
				p.Message = "the tokens of " + other.Cluster + " and " + d.Cluster + " have one iss, " + vaultapi.Quote(u.value) + ": a role bound on it takes both"
				p.Fix = "give each cluster an oidc_issuer of its own, or a mount of its own"
			} else {
				p.Message = other.Cluster + " and " + d.Cluster + " both have a region " + vaultapi.Quote(u.value) + ": the sub of their tokens, region:namespace:job:…, can't tell them apart, and with a user_claim of sub, jobs of one namespace and name are one Vault entity"
				p.Fix = "name regions apart (region of the agents' configuration), bind roles on iss, or give each cluster a mount of its own"
			}
			l.add(p)
		}
	}
}

func (l *linter) unconfigured() {
	if len(l.Clusters) == 0 {
		return
	}
	counts := map[string]int{}
	for _, t := range l.trusted {
		if name := t.Block.Annotation.Cluster; name != "" && !l.ours(name) {
			counts[name]++
		}
	}
	for _, name := range l.owners {
		if counts[name] == 0 {
			continue
		}
		keys := "1 key"
		if counts[name] > 1 {
			keys = strconv.Itoa(counts[name]) + " keys"
		}
		l.add(Problem{
			Lint: LintUnconfigured, Severity: SeverityWarning, Cluster: name,
			Message: keys + " of cluster " + name + ", which isn't configured for this mount, may log in",
			Fix:     "if the cluster is gone or was renamed, strike it off with retired = [" + vaultapi.Quote(name) + "]; if another harvester keeps its keys, -ignore unconfigured",
		})
	}
}
