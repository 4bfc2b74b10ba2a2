package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/terminal"
)

// rows are what a user does, and the tests that show it. Each test against real servers stands in
// one of them.
var rows = []struct{ what, tests string }{
	{"make a mount, its role and its policy (`setup`)", `TestSetup TestSetupShared TestSetupAdministrator TestSetupBlocks TestSetupEd25519
		TestFromNothingTwice TestDocumentedCommands TestConfigureAll`},
	{"a task reads its secret with its identity", "TestNomadToVault TestWorkloads TestWorkloadWithoutKey TestFirstLogins TestTokens"},
	{"bring a mount up to date (`plan`, `sync`, `apply`)", `TestPEM TestEd25519 TestSettingsStay TestStaticKeysOnly TestTwoVaults TestHandPasted
		TestRenamedAndRetired TestNoMount TestPolicySuffices TestStoredPlan TestStatedSettings TestAdoptedKey TestBudget TestSignInIsLeftAlone`},
	{"keep it so through rotations (`watch`)", "TestTrustGap TestWatch TestTwoWatchers TestWatchFaults TestInsideNomad"},
	{"decide: deny, pin, turnovers, the last key", `TestDeny TestDenyEverywhere TestDenyWatching TestPin TestLastKey TestTurnover TestTurnoverCommand
		TestUnauthenticated TestNoKeyUnjudged`},
	{"log in to Vault: identities, AppRole, Agent and Proxy", "TestLogins TestThroughAgent TestAgentWithoutVault TestWrappedAnswer"},
	{"`verify` agrees with logins", "TestVerdictsAgreeWithLogins TestVerdictsAgreeOnRandomPairs TestVerdictAfterRotation TestLoginsByEveryAlgorithm"},
	{"`status -lint` finds what refuses logins", "TestLint TestLintNamesRegions"},
	{"move from a script, `jwks_url` or `jwks_pairs`, and back", `TestMigratePipeline TestMigrateURL TestMigratePairs TestBeforePKCS1 TestBeforeSettings
		TestBeforeUnreachable TestBeforeShared TestBeforeRotation TestBeforeOneString TestBeforeEdDSA TestBeforeUnfit`},
	{"namespaces and jobs of Nomad kept apart", "TestNamespacesApart TestJobNames"},
	{"namespaces of Vault", "TestNamespaces"},
	{"a relay, for Consul and Vault", "TestRelayForConsul TestRelayGap"},
	{"federated regions", "TestRegionPartitioned TestServersGone"},
	{"three Vaults on integrated storage", "TestVaultCluster TestHistory TestStandby TestRaft TestRaftEntryLimit"},
	{"three Nomad servers", "TestNomadCluster TestNomadServers"},
	{"ten harvesters on one mount", "TestConvergence"},
	{"two versions of harvest", "TestTwoVersions"},
	{"networks and servers that fail", `TestNetworkToNomad TestNetworkSilentCluster TestNetworkToVault TestNetworkInWrite TestNetworkUnderWatch TestVaultRefuses
		TestWatchNomadFaults TestWatchVaultFaults TestKill`},
	{"the stand-ins of the tests refuse what it refuses", "TestVaultConformance TestNomadConformance TestACL TestAudit TestKilledParent"},
}

// serversTable is a row a thing that users do, a column a pair of servers. The error names the
// tests that weren't run.
func serversTable(columns []*column) (string, error) {
	var out strings.Builder
	var missing []error
	out.WriteString("| |")
	for _, c := range columns {
		fmt.Fprintf(&out, " %s: %s |", c.name, cmp.Or(c.servers, "unknown servers"))
	}
	out.WriteString("\n| --- |" + strings.Repeat(" --- |", len(columns)) + "\n")
	var reasons []string
	of := map[string][]string{} // the tests with that reason
	for _, row := range rows {
		fmt.Fprintf(&out, "| %s |", row.what)
		for _, c := range columns {
			text, skipped, err := c.cell(strings.Fields(row.tests))
			missing = append(missing, err)
			for _, name := range skipped {
				why := c.tests[name].why
				if of[why] == nil {
					reasons = append(reasons, why)
				}
				if name = "`" + name + "`"; !slices.Contains(of[why], name) {
					of[why] = append(of[why], name)
				}
				if number := fmt.Sprintf(" [%d]", slices.Index(reasons, why)+1); !strings.Contains(text, number) {
					text += number
				}
			}
			fmt.Fprintf(&out, " %s |", text)
		}
		out.WriteString("\n")
	}
	if len(reasons) > 0 {
		out.WriteString("\nSkipped, as the tests said:\n\n")
	}
	for i, why := range reasons {
		note := fmt.Sprintf("%d. %s: %s", i+1, why, strings.Join(of[why], ", "))
		out.WriteString(strings.Join(terminal.Wrap(note, 97), "\n   ") + "\n")
	}
	return out.String(), errors.Join(missing...)
}

// cell is what became of these tests, and what was skipped of them.
func (c *column) cell(tests []string) (text string, skipped []string, err error) {
	var passed int
	var failed, missing []string
	for _, name := range slices.Sorted(maps.Keys(c.tests)) {
		top, _, _ := strings.Cut(name, "/")
		if o := c.tests[name]; o.action == "skip" && slices.Contains(tests, top) {
			skipped = append(skipped, name)
		}
	}
	for _, name := range tests {
		switch o := c.tests[name]; {
		case o == nil || o.action == "":
			missing = append(missing, name)
		case o.action == "pass":
			passed++
		case o.action == "fail":
			failed = append(failed, "`"+name+"`")
		}
	}
	if len(missing) > 0 {
		err = fmt.Errorf("%s: not run: %s", c.name, strings.Join(missing, ", "))
	}
	switch {
	case len(failed) > 0:
		return "**failed**: " + strings.Join(failed, ", "), skipped, err
	case passed == 0 && len(missing) > 0:
		return "not run", skipped, err
	case passed == 0:
		return "skipped", skipped, err
	}
	text = fmt.Sprintf("%d passed", passed)
	if len(missing) > 0 {
		text += fmt.Sprintf(", %d not run", len(missing))
	}
	return text, skipped, err
}
