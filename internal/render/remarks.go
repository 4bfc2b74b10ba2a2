package render

import (
	"fmt"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/text"
)

// warnings writes a plan's warnings, so many of them: sets may be worth a thousand remarks
// each, and they come last. As JSON they are whole.
func (o *Output) warnings(all []string) {
	for _, w := range all[:min(len(all), monitor.MaxRemarks)] {
		o.Warning(text.Escape(w))
	}
	if more := len(all) - monitor.MaxRemarks; more > 0 {
		o.Warning(fmt.Sprintf("and %d more: -format json has them all", more))
	}
}
