// Package manual writes the manual pages and the help, from the command's definitions and what they
// don't say.
package manual

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// Environment are the variables that the command reads, Vault's client included; names are
// separated by commas.
var Environment = []struct{ Names, Text string }{
	{"NOMAD_ADDR", "Address of the agent of a cluster that is given by flags, without `-nomad-address`."},
	{"NOMAD_REGION", "Its region, without `-region`. Nomad sets it in every task."},
	{"NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY, NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY",
		"Its TLS settings, without the flags of like names.\nNone of Nomad's variables reach into a file, and NOMAD_TOKEN is never read: key sets are public."},
	{"NOMAD_SECRETS_DIR", "Where Nomad puts a task's secrets. harvest doesn't warn about the modes of files there."},
	{"VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CACERT_BYTES, VAULT_CAPATH, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY, VAULT_TLS_SERVER_NAME, VAULT_SKIP_VERIFY",
		"Where Vault is and how to log in, as for `vault`.\nA vault block of the file overrides them. If it has a name and an address, the variables for address, namespace and TLS are not used."},
	{"VAULT_MAX_RETRIES, VAULT_CLIENT_TIMEOUT, VAULT_RATE_LIMIT, VAULT_PROXY_ADDR, VAULT_AGENT_ADDR, VAULT_SRV_LOOKUP", "As for `vault`."},
	{"HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "Proxies, as usual."},
	{"NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID", "Set by systemd for `watch`."},
	{"NO_COLOR", "If it is not empty: no colours. There are none in a file or a pipe either."},
	{"TERM", "With the value `dumb`: no colours, and no line that says what a command is waiting for."},
	{"GOGC", "How much garbage `watch` may leave, in percent of the memory in use; 25 if it is not set."},
	{"GOTRACEBACK", "With the value `crash`, core dumps are not turned off."},
}

// Group is flags that several commands share.
type Group struct {
	Title   string // of its section
	Mention string // what a command says of it: the options …
	Flags   []cli.Flag
}

func docOf(f cli.Flag) cli.DocGenerationFlag {
	return f.(cli.DocGenerationFlag) //nolint:errcheck // all flags are
}

// FlagTag returns a flag as it is typed.
func FlagTag(f cli.Flag) string {
	name := f.Names()[0]
	tag := `\fB\-` + Escape(name) + `\fR`
	placeholder := placeholderOf(docOf(f))
	switch {
	case name == turnover:
		return tag + `[=\fI` + placeholder + `\fR]`
	case docOf(f).TakesValue():
		return tag + ` \fI` + Escape(placeholder) + `\fR`
	}
	return tag
}

// turnover is a flag whose value is optional.
const turnover = "allow-turnover"

func placeholderOf(f cli.DocGenerationFlag) string {
	if p := quoted().FindString(f.GetUsage()); p != "" && strings.ToUpper(p) == p {
		return strings.Trim(p, "`")
	}
	return "VALUE"
}

// flagText returns what a flag does, with its default.
func flagText(f cli.Flag) string {
	text := strings.ReplaceAll(docOf(f).GetUsage(), "`", "")
	text = strings.ToUpper(text[:1]) + text[1:] + "."
	if def := defaultOf(f); def != "" {
		text += "\nDefault: " + def + "."
	}
	return text
}

// defaultOf returns what holds where a flag isn't given, or "".
func defaultOf(f cli.Flag) string {
	switch flag := f.(type) {
	case *cli.BoolFlag:
		return ""
	case *cli.StringFlag:
		return cmp.Or(flag.DefaultText, flag.Value)
	case *cli.DurationFlag:
		if flag.DefaultText == "" && flag.Value == 0 {
			return ""
		}
		return cmp.Or(flag.DefaultText, strings.TrimSuffix(flag.Value.String(), "0s"))
	}
	if f.Names()[0] == turnover {
		return ""
	}
	return docOf(f).GetDefaultText()
}

func (r *roff) flags(flags []cli.Flag) {
	for _, f := range flags {
		r.item(FlagTag(f), flagText(f))
	}
}

// sameFlags reports whether flags hold all of a group's, in the same words.
func sameFlags(flags, group []cli.Flag) bool {
	for _, f := range group {
		if !slices.ContainsFunc(flags, func(g cli.Flag) bool { return g.Names()[0] == f.Names()[0] && flagText(g) == flagText(f) }) {
			return false
		}
	}
	return true
}

// Leaves returns the commands that do something, each with its name in full.
func Leaves(commands []*cli.Command, prefix string) (names []string, all []*cli.Command) {
	for _, c := range commands {
		if len(c.Commands) > 0 {
			n, a := Leaves(c.Commands, prefix+" "+c.Name)
			names, all = append(names, n...), append(all, a...)
			continue
		}
		names, all = append(names, prefix+" "+c.Name), append(all, c)
	}
	return names, all
}

// exitStatus are the exit codes.
var exitStatus = [][2]string{
	{"0", "Everything is in sync, or valid, or would log in."},
	{"1", "Nothing could be done: usage, configuration, Vault, every cluster; `config validate` found a mistake; `-metrics-textfile` couldn't be written."},
	{"2", "Changes are pending (`plan -detailed-exitcode`)."},
	{"3", "Some cluster or mount is not in sync; `status -lint` found something; `setup` left something as it is; the token of `verify` would not log in."},
}

// examples are what a command is for, and the command.
var examples = [][2]string{
	{"What would change on one mount, and the change:", "harvest plan -cluster us-east -nomad-address https://nomad.example.com:4646 -mount jwt-nomad\nharvest sync -cluster us-east -nomad-address https://nomad.example.com:4646 -mount jwt-nomad"},
	{"Every five minutes, from cron, silent unless something changed or failed:", "*/5 * * * * harvest sync -quiet -config /etc/harvest/harvest.hcl"},
	{"On every change, until stopped:", "harvest watch -config /etc/harvest/harvest.hcl -listen 127.0.0.1:8300"},
	{"A file to begin with, and its check:", "harvest config init -out harvest.hcl\nharvest config validate -config harvest.hcl"},
	{"The policy that the token needs:", "harvest policy -config harvest.hcl | vault policy write harvest -"},
	{"Why a login fails:", "harvest verify -config harvest.hcl -mount jwt-nomad token.jwt"},
}

// Command returns harvest(1). usual is where the configuration usually is.
func Command(root *cli.Command, groups []Group, usual string) string {
	r := newRoff("harvest", 1, "User Commands")
	r.section("NAME")
	r.fill("harvest \\- " + Escape(root.Usage))
	r.section("SYNOPSIS")
	names, commands := Leaves(root.Commands, "harvest")
	r.synopsis(names, commands)
	r.section("DESCRIPTION")
	r.prose("`harvest` fetches the key sets (/.well-known/jwks.json) of Nomad clusters, judges the keys, and makes them the " +
		"jwt_validation_pubkeys of Vault JWT auth mounts.\nIt changes only keys that it wrote, and a cluster that can't be read keeps its keys.")
	r.WriteString(".PP\n")
	r.paragraphs(root.Description)
	r.section("COMMANDS")
	for i, c := range commands {
		r.command(names[i], c, groups)
	}
	r.subsection("harvest completion")
	r.prose("Print a script that completes commands, flags and the words that flags take, for the shell that is named: bash, zsh, fish or pwsh.\nFor bash:")
	r.code(`source <(harvest completion bash)`)
	r.prose("For pwsh (PowerShell), write it to a file called harvest.ps1, whose name tells it the command, and run that file.")
	r.section("OPTIONS")
	for _, g := range groups {
		r.subsection(g.Title)
		r.flags(g.Flags)
	}
	r.section("EXIT STATUS")
	for _, e := range exitStatus {
		r.item(`\fB`+e[0]+`\fR`, e[1])
	}
	r.section("ENVIRONMENT")
	for _, e := range Environment {
		r.item(`\fB`+Escape(e.Names)+`\fR`, e.Text)
	}
	r.section("FILES")
	r.item(`\fI`+usual+`\fR`, "The configuration that commands read without `-config` and without an option of a cluster or a mount.\nSee harvest.hcl(5).")
	r.item(`\fI\(ti/.vault\-token\fR, \fI\(ti/.vault\fR`, "Vault's token and its token helper, read if VAULT_TOKEN is not set and there is no auth block (`setup`: even if there is one, for the Vault at VAULT_ADDR).")
	r.section("EXAMPLES")
	for i, e := range examples {
		if i > 0 {
			r.WriteString(".PP\n")
		}
		r.prose(e[0])
		r.code(e[1])
	}
	r.section("SEE ALSO")
	r.WriteString("\\fBharvest.hcl\\fR(5)\n.PP\n")
	r.prose("https://github.com/jwksharvest/harvest has the trust model and how to run it, in docs.")
	return r.String()
}

// synopsis writes a line for each command.
func (r *roff) synopsis(names []string, commands []*cli.Command) {
	for i, c := range commands {
		if i > 0 {
			r.WriteString(".br\n")
		}
		arguments := ""
		if strings.TrimSpace(c.ArgsUsage) != "" {
			arguments = ` \fI` + Escape(c.ArgsUsage) + `\fR`
		}
		options := ""
		if len(c.Flags) > 0 {
			options = ` [\fIoptions\fR]`
		}
		r.WriteString(`\fB` + Escape(names[i]) + `\fR` + options + arguments + "\n")
	}
	r.WriteString(".br\n\\fBharvest completion\\fR bash|zsh|fish|pwsh\n")
}

// command writes what a command does, and its options. Those that a group has are only mentioned.
func (r *roff) command(name string, c *cli.Command, groups []Group) {
	r.subsection(name)
	r.prose(strings.ToUpper(c.Usage[:1]) + c.Usage[1:] + ".")
	if c.Description != "" {
		r.WriteString(".PP\n")
		r.paragraphs(c.Description)
	}
	own := slices.Clone(c.Flags)
	var mentions []string
	for _, g := range groups {
		if len(own) > 0 && sameFlags(own, g.Flags) {
			mentions = append(mentions, g.Mention)
			own = slices.DeleteFunc(own, func(f cli.Flag) bool {
				return slices.ContainsFunc(g.Flags, func(s cli.Flag) bool { return s.Names()[0] == f.Names()[0] })
			})
		}
	}
	if len(mentions) > 0 {
		r.WriteString(".PP\n")
		r.prose("It takes the options " + enumerate(mentions, "those ") + ", which are below.")
	}
	if len(own) > 0 {
		r.flags(own)
	}
}

// enumerate returns words with commas and an "and" between them, and each but the first
// behind a word.
func enumerate(words []string, behind string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", "+behind) + " and " + behind + words[last]
}
