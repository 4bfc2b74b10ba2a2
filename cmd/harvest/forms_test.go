package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// issueForm is what GitHub takes as a form for an issue, as far as the forms here use it.
type issueForm struct {
	Name        string   `yaml:"name"`
	Description string   `yaml:"description"`
	Labels      []string `yaml:"labels"`
	Body        []struct {
		Type       string `yaml:"type"`
		ID         string `yaml:"id"`
		Attributes struct {
			Label       string `yaml:"label"`
			Description string `yaml:"description"`
			Placeholder string `yaml:"placeholder"`
			Render      string `yaml:"render"`
			Value       string `yaml:"value"`
		} `yaml:"attributes"`
		Validations struct {
			Required bool `yaml:"required"`
		} `yaml:"validations"`
	} `yaml:"body"`
}

// issueConfig is what GitHub takes as the configuration of the page where one chooses a form.
type issueConfig struct {
	BlankIssuesEnabled *bool `yaml:"blank_issues_enabled"`
	ContactLinks       []struct {
		Name  string `yaml:"name"`
		URL   string `yaml:"url"`
		About string `yaml:"about"`
	} `yaml:"contact_links"`
}

// TestIssueForms: GitHub silently leaves out a form that breaks its rules; those here keep them,
// and what they link to in this repository is there.
func TestIssueForms(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../.github/ISSUE_TEMPLATE/*")
	require.NoError(t, err)
	require.Len(t, names, 4)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		in := yaml.NewDecoder(bytes.NewReader(text))
		in.KnownFields(true)
		var links strings.Builder
		if filepath.Base(name) == "config.yml" {
			var c issueConfig
			require.NoError(t, in.Decode(&c), name)
			require.NotEmpty(t, c.ContactLinks)
			for _, link := range c.ContactLinks {
				assert.NotEmpty(t, link.Name)
				assert.NotEmpty(t, link.About)
				links.WriteString("](" + link.URL + ")")
			}
		} else {
			var form issueForm
			require.NoError(t, in.Decode(&form), name)
			assert.NotEmpty(t, form.Name, name)
			assert.NotEmpty(t, form.Description, name)
			ids, asks := map[string]bool{}, 0
			for _, field := range form.Body {
				a := field.Attributes
				if field.Type == "markdown" {
					assert.NotEmpty(t, a.Value, name)
					links.WriteString(a.Value)
					continue
				}
				asks++
				assert.Contains(t, []string{"input", "textarea"}, field.Type, name)
				assert.NotEmpty(t, a.Label, name)
				assert.Regexp(t, `^[A-Za-z0-9_-]+$`, field.ID, name)
				assert.False(t, ids[field.ID] || ids[a.Label], "%s: two of %s", name, field.ID)
				ids[field.ID], ids[a.Label] = true, true
				assert.False(t, a.Render != "" && field.Type != "textarea", "%s: only a textarea is rendered", name)
			}
			assert.Positive(t, asks, "%s has nothing but markdown", name)
		}
		for _, link := range aLink.FindAllStringSubmatch(links.String(), -1) {
			path, ours := strings.CutPrefix(link[1], "https://github.com/jwksharvest/harvest/blob/main/")
			if ours {
				assert.FileExists(t, "../../"+path, name)
			} else {
				assert.Equal(t, "https://github.com/jwksharvest/harvest/security/advisories/new", link[1], name)
			}
		}
	}
}
