package lint

import (
	"slices"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/pem"
)

// issuersOf returns what the tokens of a cluster may have as their iss: what its discovery document
// says, another name of its access tokens included.
func issuersOf(d discover.Discovery) []string {
	var issuers []string
	for _, issuer := range append([]string{d.Metadata.Issuer, d.Metadata.AccessTokenIssuer}, jwtrole.Alternatives(d.Metadata.Issuer)...) {
		if issuer != "" && !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	return issuers
}

// nameOf returns what a source is called.
func nameOf(d discover.Discovery) string {
	return pem.Owner{Cluster: d.Cluster, Region: d.Region}.String()
}

// nomads reports whether each cluster with keys here is a Nomad; others, whether one isn't. Of a
// URL or a file neither is known.
func (l *linter) nomads() (all, others bool) {
	nomad := map[string]bool{}
	for _, d := range l.Discovered {
		if l.ours(d.Cluster) {
			nomad[d.Cluster] = d.Nomad
			others = others || !d.Nomad
		}
	}
	known := !slices.ContainsFunc(l.owners, func(name string) bool { return !nomad[name] })
	return known && len(l.owners) > 0, others
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
		owner := nameOf(d)
		switch {
		case !d.Nomad:
			p.Severity = SeverityWarning
			p.Message = "bound_issuer is " + vaultapi.Quote(bound) + ", and " + owner + " names " + vaultapi.QuoteList(issuersOf(d)) +
				" in its discovery document: its logins are refused unless tokens of another kind have that iss"
			p.Fix = "compare it with the iss of a token (harvest verify), and -ignore bound_issuer if they are the same; else give the cluster a mount of its own, or " + hint.ClearBoundIssuer
		case d.Metadata.Issuer == "":
			p.Message = "bound_issuer is " + vaultapi.Quote(bound) + ", and " + owner + " has no oidc_issuer: its tokens have no iss, and their logins are refused"
			p.Fix = "set oidc_issuer in the server block of every server of the cluster, or " + hint.ClearBoundIssuer
		default:
			p.Message = "bound_issuer is " + vaultapi.Quote(bound) + ", and the tokens of " + owner + " are issued by " + vaultapi.Quote(d.Metadata.Issuer) + ": their logins are refused"
			p.Fix = "a mount with bound_issuer takes one issuer: give the cluster a mount of its own, or bind iss in roles and " + hint.ClearBoundIssuer
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
		owner := nameOf(d)
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
		owner := nameOf(d)
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
