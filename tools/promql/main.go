// Command promql checks files of alert rules (.yml), with Prometheus's own rules, and that
// each query of a Grafana dashboard (.json) parses.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	model.NameValidationScheme = model.LegacyValidation // names that every Prometheus takes
	broken := len(os.Args) < 2
	for _, name := range os.Args[1:] {
		check := rules
		if filepath.Ext(name) == ".json" {
			check = dashboard
		}
		n, err := check(name)
		if err == nil && n == 0 {
			err = errors.New("no queries")
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "promql: %s: %v\n", name, err)
			broken = true
			continue
		}
		fmt.Printf("promql %s: %d queries\n", name, n)
	}
	if broken {
		os.Exit(1)
	}
}

func rules(name string) (n int, err error) {
	groups, errs := rulefmt.ParseFile(name, false)
	if len(errs) > 0 {
		return 0, errors.Join(errs...)
	}
	for _, g := range groups.Groups {
		n += len(g.Rules)
	}
	return n, nil
}

func dashboard(name string) (n int, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return 0, err
	}
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			// Grafana puts an expression where the variable stands.
			if _, err := parser.ParseExpr(strings.ReplaceAll(t.Expr, "$mount", ".*")); err != nil {
				return 0, fmt.Errorf("panel %q: %w", p.Title, err)
			}
			n++
		}
	}
	return n, nil
}
