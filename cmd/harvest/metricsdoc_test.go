package main

import (
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
		}
	}
}

func TestOperationsNamesMetrics(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	assertMetricsExist(t, string(doc))
}
