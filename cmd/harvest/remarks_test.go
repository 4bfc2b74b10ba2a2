package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// A set that is worth a thousand remarks floods neither a terminal nor a log; JSON has all.
func TestRemarksAreBounded(t *testing.T) {
	var all []string
	var skipped []*jwks.KeyError
	for i := range maxShownRemarks + 7 {
		all = append(all, fmt.Sprintf("remark %d\x1b", i))
		skipped = append(skipped, &jwks.KeyError{Position: i, Reason: jwks.ReasonSize})
	}
	plan := &vaultsync.Plan{Warnings: all}
	report := &vaultsync.MountReport{Vault: "v", Path: "p", Plan: plan}
	const last = "remark 49\\x1b"
	for name, write := range map[string]func(*output){
		"plan":   func(o *output) { o.printMount(report, true, now) },
		"status": func(o *output) { o.printStatus(&mountStatus{Warnings: all, plan: plan}, now) },
	} {
		var b bytes.Buffer
		write(&output{terminal.Output{W: &b}})
		assert.Equal(t, maxShownRemarks+1, strings.Count(b.String(), "warning: "), name)
		assert.Contains(t, b.String(), last, name)
		assert.Contains(t, b.String(), "and 7 more: -format json has them all", name)
	}
	body, err := json.Marshal(report)
	require.NoError(t, err)
	assert.Equal(t, len(all), strings.Count(string(body), "remark "))

	var log strings.Builder
	b := newBoard(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "" })
	b.expect(map[mountID]expected{{"v", "", "p"}: {[]string{"us-east"}, "v"}})
	b.report(report, now)
	b.report(report, now)
	b.result(jwks.Result{Cluster: "us-east", Set: &jwks.Set{
		Keys: []jwks.Key{keysOf(t, "testdata/us-east.json")["80ef"]}, Warnings: all, Skipped: skipped,
	}}, now)
	for _, message := range []string{"remark on the mount", "remark on the key set", "key not taken"} {
		assert.Equal(t, maxShownRemarks+1, strings.Count(log.String(), fmt.Sprintf("msg=%q", message)), message)
		assert.Regexp(t, fmt.Sprintf("msg=%q.* more=7 ", message), log.String())
	}
}
