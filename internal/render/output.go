// Package render writes for people what harvest knows and does: plans, statuses, verdicts, setups
// and what is wrong with a configuration, as text, as Vault's commands and as Terraform.
package render

import "github.com/jwksharvest/harvest/internal/terminal"

// Output is where results go. What comes from outside is made printable first.
type Output struct {
	terminal.Output

	sections int // that were begun
}
