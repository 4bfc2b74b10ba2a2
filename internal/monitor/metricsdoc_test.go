package monitor

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// documented is a line of docs/metrics.md.
type documented struct {
	kind   string
	labels []string // sorted
}

// documentation returns what docs/metrics.md says of each metric.
func documentation(t *testing.T) map[string]documented {
	t.Helper()
	doc, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	all := map[string]documented{}
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| `harvest_") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		require.Len(t, cells, 4, line)
		name := strings.Trim(cells[0], "`")
		assert.NotContains(t, all, name)
		assert.NotEmpty(t, cells[3], line)
		labels := strings.Split(cells[2], ", ")
		slices.Sort(labels)
		all[name] = documented{cells[1], labels}
	}
	return all
}

// assertDocumented wants docs/metrics.md to have each metric of the registry, all of which
// have values, and no other.
func assertDocumented(t *testing.T, r *prometheus.Registry) {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	got := map[string]documented{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		got[f.GetName()] = documented{strings.ToLower(f.GetType().String()), labels}
	}
	assert.Equal(t, got, documentation(t))

	described := make(chan *prometheus.Desc, 100)
	r.Describe(described)
	close(described)
	name := regexp.MustCompile(`fqName: "([^"]*)"`)
	for desc := range described {
		assert.Contains(t, got, name.FindStringSubmatch(desc.String())[1], "the test has no value of it")
	}
}

var (
	metricName = regexp.MustCompile(`\bharvest_[a-z_]+`)
	ofSeries   = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// assertMetricsExist wants every metric that a text names to be documented.
func assertMetricsExist(t *testing.T, text string) {
	t.Helper()
	known := documentation(t)
	for _, name := range metricName.FindAllString(text, -1) {
		if base := ofSeries.ReplaceAllString(name, ""); known[base].kind == "histogram" {
			assert.NotEqual(t, base, name, "a histogram has no series of its own name")
			name = base
		}
		assert.Contains(t, slices.Collect(maps.Keys(known)), name)
	}
}

// TestAlertRules: the example is a file of alert rules, on metrics that there are.
func TestAlertRules(t *testing.T) {
	f, err := os.Open("../../examples/prometheus/harvest.rules.yml")
	require.NoError(t, err)
	defer f.Close()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	require.NotEmpty(t, file.Groups)
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	var headings []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(page), -1) {
		headings = append(headings, strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-"))
	}
	alerts := map[string]bool{}
	for _, group := range file.Groups {
		assert.NotEmpty(t, group.Name)
		assert.NotEmpty(t, group.Rules)
		for _, rule := range group.Rules {
			assert.Regexp(t, `^Harvest[A-Za-z]+$`, rule.Alert)
			assert.NotContains(t, alerts, rule.Alert)
			alerts[rule.Alert] = true
			assert.Regexp(t, metricName, rule.Expr, rule.Alert)
			assertMetricsExist(t, rule.Expr)
			assert.Regexp(t, `^([1-9][0-9]*[smhd])?$`, rule.For, rule.Alert)
			assert.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
			for _, annotation := range []string{"summary", "description"} {
				assert.NotEmpty(t, rule.Annotations[annotation], rule.Alert)
			}
			anchor, ok := strings.CutPrefix(rule.Annotations["runbook_url"], "https://github.com/jwksharvest/harvest/blob/main/docs/operations.md#")
			assert.True(t, ok, rule.Alert)
			assert.Contains(t, headings, anchor, rule.Alert)
		}
	}
}

// TestDashboard: the example is a dashboard whose panels ask for metrics that there are, by
// labels that they have, one beside the other.
func TestDashboard(t *testing.T) {
	f, err := os.Open("../../examples/grafana/harvest.json")
	require.NoError(t, err)
	defer f.Close()
	var dashboard struct {
		Title, UID    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			ID                       int
			Type, Title, Description string
			GridPos                  struct{ H, W, X, Y int }
			Targets                  []struct{ RefID, Expr, LegendFormat string }
		}
	}
	require.NoError(t, json.NewDecoder(f).Decode(&dashboard))
	assert.NotEmpty(t, dashboard.Title)
	assert.NotEmpty(t, dashboard.UID)
	assert.Positive(t, dashboard.SchemaVersion)
	variables := map[string]bool{}
	for _, v := range dashboard.Templating.List {
		variables[v.Name] = true
	}
	known, shown, taken := documentation(t), map[string]bool{}, map[[2]int]string{}
	for i, panel := range dashboard.Panels {
		assert.Equal(t, i+1, panel.ID, panel.Title)
		assert.Contains(t, []string{"stat", "timeseries"}, panel.Type, panel.Title)
		assert.NotEmpty(t, panel.Description, panel.Title)
		assert.NotEmpty(t, panel.Targets, panel.Title)
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			assert.Less(t, x, 24, panel.Title)
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "under %s", panel.Title)
				taken[[2]int{x, y}] = panel.Title
			}
		}
		for _, target := range panel.Targets {
			assertMetricsExist(t, target.Expr)
			names := metricName.FindAllString(target.Expr, -1)
			require.Len(t, names, 1, target.Expr)
			name := names[0]
			if base := ofSeries.ReplaceAllString(name, ""); known[base].kind == "histogram" {
				name = base
			}
			shown[name] = true
			for _, variable := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				assert.True(t, variables[variable[1]], target.Expr)
			}
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				assert.Contains(t, known[name].labels, label[1], target.LegendFormat)
			}
			for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(target.Expr, -1) {
				for label := range strings.SplitSeq(by[1], ", ") {
					assert.Contains(t, append([]string{"le"}, known[name].labels...), label, target.Expr)
				}
			}
			if strings.Contains(target.Expr, "mount=~") {
				assert.Contains(t, known[name].labels, "mount", target.Expr)
			}
		}
	}
	assert.GreaterOrEqual(t, len(shown), 9, "it shows most of what there is")
}

func TestOperationsNamesMetrics(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	assertMetricsExist(t, string(doc))
}

// TestOperationsNamesKinds: the table of faults has kinds that there are.
func TestOperationsNamesKinds(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(doc), "| fault | line | kind | what to do |\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	kinds := []string{"login", "tls", "timeout", "unreachable", "status", "malformed"}
	list, err := os.ReadFile("../../vaultsync/kind.go")
	require.NoError(t, err)
	for _, of := range regexp.MustCompile(`(?m)^\t\{[\w.]+, "(\w+)"\},$`).FindAllStringSubmatch(string(list), -1) {
		kinds = append(kinds, of[1])
	}
	named := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(row, "|\n"), "|")
		require.Len(t, cells, 4, row)
		words := regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[2], -1)
		for _, word := range words {
			assert.Contains(t, kinds, word[1], row)
		}
		named += len(words)
	}
	assert.GreaterOrEqual(t, named, 15)
}
