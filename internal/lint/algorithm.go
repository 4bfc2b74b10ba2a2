package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// algorithms finds keys by which Vault takes no login, or not by each of their algorithms. What
// a stated list leaves out of a key's is meant.
func (l *linter) algorithms() {
	supported, stated := l.Config.Algorithms(), l.Settings.Algorithms != nil
	seen := map[string]bool{}
	var found []Problem
	mends := supported
	for _, t := range l.trusted {
		k := t.Key("")
		refused := slices.DeleteFunc(rule.SignsWith(t.Block.Annotation.Algorithms, k.Public), func(alg string) bool { return rule.Admits(supported, []string{alg}, k.Public) })
		p := Problem{Lint: LintAlgorithm, Severity: SeverityError, Cluster: k.Cluster, Region: k.Region}
		switch some := rule.Admits(supported, t.Block.Annotation.Algorithms, k.Public); {
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
		p.Fix = hint.StateAlgorithms(mends)
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
