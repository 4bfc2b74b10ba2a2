package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A set that is worth a thousand remarks doesn't flood a terminal; JSON has all.
func TestRemarksAreBounded(t *testing.T) {
	var all []string
	for i := range monitor.MaxRemarks + 7 {
		all = append(all, fmt.Sprintf("remark %d\x1b", i))
	}
	plan := &plan.Plan{Warnings: all}
	report := &vaultsync.MountReport{MountID: vaultsync.MountID{Vault: "v", Path: "p"}, Plan: plan}
	const last = "remark 49\\x1b"
	for name, write := range map[string]func(*Output){
		"plan":   func(o *Output) { o.Mount(report, true, time.Now()) },
		"status": func(o *Output) { o.Status(&status.Mount{Warnings: all, Plan: plan, Read: true}, time.Now()) },
	} {
		var b bytes.Buffer
		write(&Output{Output: terminal.Output{W: &b}})
		assert.Equal(t, monitor.MaxRemarks+1, strings.Count(b.String(), "warning: "), name)
		assert.Contains(t, b.String(), last, name)
		assert.Contains(t, b.String(), "and 7 more: -format json has them all", name)
	}
	body, err := json.Marshal(report)
	require.NoError(t, err)
	assert.Equal(t, len(all), strings.Count(string(body), "remark "))
}
