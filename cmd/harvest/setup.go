package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

const inRole = "Role (one; several go into a file, as role blocks of a mount)"

func (a *app) setupCommand() *cli.Command {
	return &cli.Command{
		Name:  "setup",
		Usage: "make what Nomad workloads log in with: mount, first keys, role and policy",
		Description: "It does for static keys what `nomad setup vault` does for jwks_url: a JWT auth mount, the keys that its\n" +
			"clusters publish, a role, and a policy by which a job reads <kv>/data/<namespace>/<job>. The defaults are the\n" +
			"same, but that namespaces are kept apart (user_claim is sub): inside one, whoever submits jobs can read its secrets.\n" +
			"It shows what it would do and asks; what is as it should be is left alone, and so is, without -overwrite,\n" +
			"a role or policy that somebody else made. It needs a token that may do all that, such as an administrator's:\n" +
			"that of VAULT_TOKEN or `vault login`, for the Vault at VAULT_ADDR (or of -vault) and no other, although its vault\n" +
			"block has an auth block. A block that is elsewhere logs in by its auth block.\n\n" +
			"   harvest setup -cluster us-east -nomad-address https://nomad.example.com:4646 -mount jwt-nomad",
		Flags: slices.Concat(clusterFlags(), mountFlags(), roleFlags(), ruleFlags(), []cli.Flag{configFlag()}, generalFlags("text", "json"), []cli.Flag{
			vaultFlag(),
			&cli.BoolFlag{Name: "dry-run", Category: inGeneral, Usage: "show what would be done, and do nothing"},
			&cli.BoolFlag{Name: "y", Category: inGeneral, Usage: "don't ask"},
			&cli.BoolFlag{Name: "overwrite", Category: inGeneral, Usage: "change roles and policies that harvest didn't make, too"},
			&cli.StringFlag{Name: "print", Category: inGeneral, Usage: "change nothing, and print `FORM`: vault (its commands), terraform, or removal (the commands that undo it)"},
		}),
		Action: a.setup,
	}
}

// roleFlags describe a single role. -config excludes them.
func roleFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "role", Category: inRole, Usage: "its `NAME`, and the mount's default_role if it has none", DefaultText: setup.DefaultRole},
		&cli.StringFlag{Name: "policy", Category: inRole, Usage: "`NAME` of its policy", DefaultText: "ROLE.MOUNT, or the one it has"},
		&cli.StringSliceFlag{Name: "audience", Category: inRole, Usage: "`AUDIENCE` of its tokens, may be repeated", DefaultText: setup.DefaultAudience},
		&cli.StringFlag{Name: "user-claim", Category: inRole, Usage: "`CLAIM` that names the entity of a login, or its JSON pointer; who shares it shares one", DefaultText: setup.DefaultUserClaim},
		&cli.StringSliceFlag{Name: "claim", Category: inRole, Usage: "one more claim for policies, as `SOURCE=NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "bound", Category: inRole, Usage: "a claim that a token must have, as `CLAIM=VALUE`, * standing for anything; may be repeated"},
		&cli.DurationFlag{Name: "period", Category: inRole, Usage: "renew tokens within `DURATION`", DefaultText: "30m"},
		&cli.DurationFlag{Name: "max-ttl", Category: inRole, Usage: "end tokens after `DURATION`, renewed or not", DefaultText: "never"},
		&cli.StringFlag{Name: "kv", Aliases: []string{"kv-path"}, Category: inRole, Usage: "`PATH` of the KV engine (version 2) with the secrets", DefaultText: setup.DefaultKV},
		&cli.StringFlag{Name: "prefix", Category: inRole, Usage: "`PATH` before the job's namespace there, such as the cluster's name"},
		&cli.StringFlag{Name: "job-prefix", Category: inRole, Usage: "`TEXT` before the job's name there, such as job-, which keeps jobs of a namespace apart: secrets are at NAMESPACE/job-JOB/job-JOB/NAME then"},
	}
}

func (a *app) setup(ctx context.Context, cmd *cli.Command) error {
	format, err := oneOf(cmd, "format", "text", "json")
	if err != nil {
		return err
	}
	form, err := oneOf(cmd, "print", "", "vault", "terraform", "removal")
	if err != nil {
		return err
	}
	log, err := a.logger(cmd, "none")
	if err != nil {
		return err
	}
	cfg, err := a.loadWithin(ctx, cmd, true)
	if err != nil {
		return err
	}
	if err := setRoles(cmd, cfg); err != nil {
		return err
	}
	token, err := a.administer(cmd, cfg)
	if err != nil {
		return err
	}
	a.warnExposed(cfg.CredentialFiles(a.getenv), a.sayExposed)
	if err := a.confirmable(cmd, form); err != nil {
		return err
	}
	planning, cancel, err := withTimeout(ctx, cmd)
	if err != nil {
		return err
	}
	defer cancel()
	opened := a.open(planning, cfg, false, session.Options{Log: log})
	defer opened.Close()
	// Before progress is shown: of a source that it follows, nothing is discovered.
	discovered := opened.Discover(planning)
	stop := a.showProgress(cmd, opened.Clusters)
	setups := a.planSetups(planning, opened, discovered)
	stop()
	for _, s := range setups {
		s.Token = token
	}
	said := sayToken(token, a.addressOf(cfg.Vaults[cfg.Mounts[0].Vault]))
	switch {
	case form != "":
		if said != "" {
			a.out.Printf("# %s\n", said)
		}
		return a.printForms(setups, form, cfg)
	case format == "json":
		a.out.JSON(map[string]any{"mounts": setups})
	default:
		if said != "" {
			a.out.Printf("%s\n\n", said)
		}
		a.out.Setups(setups, a.now())
	}
	failed := a.complainOf(setups, cfg)
	if failed == len(setups) {
		return exit(exitNothing)
	}
	if cmd.Bool("dry-run") && format == "text" {
		a.out.Printf("\n  A dry run: nothing was changed.\n")
	}
	if cmd.Bool("dry-run") || format == "json" && !cmd.Bool("y") || !slices.ContainsFunc(setups, (*render.Setup).HasChanges) {
		return a.ended(setups, failed)
	}
	if !cmd.Bool("y") {
		if yes, err := a.ask(ctx); err != nil || !yes {
			a.says.Fail(errors.Join(err, errors.New("nothing was changed")), "")
			return exit(exitNothing)
		}
	}
	applying, cancel, err := withTimeout(ctx, cmd) // the answer may have taken long
	if err != nil {
		return err
	}
	defer cancel()
	return a.applySetups(applying, opened, setups, cfg, cmd)
}

// setRoles gives the mounts their role: that of the flags where there is no file.
func setRoles(cmd *cli.Command, cfg *config.Config) error {
	access := setup.Access{
		Role: cmd.String("role"), Policy: cmd.String("policy"), Audiences: cmd.StringSlice("audience"),
		UserClaim: cmd.String("user-claim"), Period: cmd.Duration("period"), MaxTTL: cmd.Duration("max-ttl"), KV: cmd.String("kv"), Prefix: cmd.String("prefix"),
		JobPrefix: cmd.String("job-prefix"),
	}
	for flag, into := range map[string]*map[string]string{"claim": &access.Claims, "bound": &access.Bound} {
		for _, pair := range cmd.StringSlice(flag) {
			name, value, ok := strings.Cut(pair, "=")
			if !ok {
				return usage(cmd, "-%s %q: want two names with an equals sign between them", flag, pair)
			}
			if *into == nil {
				*into = map[string]string{}
			}
			(*into)[name] = value
		}
	}
	if cfg.IsSingle() {
		cfg.Mounts[0].Setup.Access = []setup.Access{access}
	} else {
		for _, f := range roleFlags() {
			if name := f.Names()[0]; cmd.IsSet(name) {
				return usage(cmd, "-%s beside -config: set it there, in a role block of the mount", name)
			}
		}
	}
	for i := range cfg.Mounts {
		m := &cfg.Mounts[i]
		m.Setup.Overwrite = cmd.Bool("overwrite")
		if err := m.Setup.Check(); err != nil {
			return usage(cmd, "%w", err)
		}
		m.Options.DefaultRole = m.Setup.DefaultRole()
	}
	return nil
}

// confirmable refuses to ask where nobody can answer.
func (a *app) confirmable(cmd *cli.Command, form string) error {
	if form != "" || cmd.Bool("y") || cmd.Bool("dry-run") || cmd.String("format") == "json" {
		return nil
	}
	if f, ok := a.stdin.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return usage(cmd, "nobody is there to say yes: give -y to go on without asking, -dry-run to see what would be done, or -print")
	}
	return nil
}

// ask wants a yes, and takes anything else for a no.
func (a *app) ask(ctx context.Context) (bool, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, errors.New("give -y to go on")
	}
	_, _ = fmt.Fprint(a.stderr, "\nDo this? Only \"yes\" will do: ")
	answer := make(chan string, 1)
	go func() { // a read from a terminal can't be ended; the process can
		line, _ := bufio.NewReader(io.LimitReader(a.stdin, 1<<10)).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		return strings.TrimSpace(line) == "yes", nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// planSetups reads every mount and every cluster.
func (a *app) planSetups(ctx context.Context, opened *session.Session, discovered []jwks.Discovery) []*render.Setup {
	results := jwks.FetchAll(ctx, opened.Clusters)
	regions := onlyRegions(discovered)
	setups := make([]*render.Setup, len(opened.Mounts))
	var pending sync.WaitGroup
	for i, m := range opened.Mounts {
		s := &render.Setup{Mount: m.Target.Mount, Config: m.Config, Regions: regions}
		setups[i] = s
		if m.Refused != nil {
			s.Fail(m.Refused.Err)
			s.Plan = &setup.Plan{MountID: m.ID()}
			continue
		}
		pending.Go(func() { planSetup(ctx, s, results, a.now()) })
	}
	pending.Wait()
	return setups
}

// planSetup reads a mount, and plans what is to be done to it.
func planSetup(ctx context.Context, s *render.Setup, results []jwks.Result, now time.Time) {
	var err error
	s.Plan, err = setup.NewPlan(ctx, s.Mount, s.Config.Setup)
	if err != nil {
		s.Plan = &setup.Plan{MountID: s.Mount.ID()}
		s.Fail(err)
		return
	}
	var current vaultsync.Config
	if s.Accessor != "" {
		if current, err = s.Mount.Read(ctx); err != nil {
			s.Fail(err)
			return
		}
	}
	options := s.Config.Options
	options.Now = now
	plan, err := vaultsync.NewPlan(current, vaultsync.Desired{Clusters: s.Config.Clusters, Results: results}, options)
	s.Report = &vaultsync.MountReport{MountID: s.MountID, Plan: plan}
	if err != nil {
		s.Fail(&vaultsync.MountError{MountID: s.MountID, Err: err})
		s.Report.Err = s.Failure
	}
}

// complainOf tells stderr of what can't be planned, or is refused, and counts the mounts
// that nothing can be done to.
func (a *app) complainOf(setups []*render.Setup, cfg *config.Config) (failed int) {
	for _, s := range setups {
		if s.Failure != nil {
			failed++
			a.says.Fail(s.Failure, cmp.Or(a.call(cfg.File, 0).Of(s.Failure, convertible(s.Config)), administratorHint(s)))
			continue
		}
		if err := s.Err(); err != nil {
			hint := ""
			if s.Overwritable() {
				hint = "If they may be changed:\n  " + a.call("", 0).Again("-overwrite")
			}
			a.says.Fail(err, hint)
		}
	}
	return failed
}

// applySetups makes mounts, policies and roles, and then syncs the keys of those mounts.
func (a *app) applySetups(ctx context.Context, opened *session.Session, setups []*render.Setup, cfg *config.Config, cmd *cli.Command) error {
	failed := 0
	for i, s := range setups {
		if s.Failure == nil {
			s.Plan, s.Failure = setup.Apply(ctx, s.Mount, s.Plan)
			if s.Failure != nil {
				a.says.Fail(s.Failure, "")
			}
		}
		if s.Failure != nil {
			failed++
			opened.Mounts[i].Refuse(s.Failure)
		}
	}
	report, err := opened.Sync(ctx)
	if report == nil {
		return err
	}
	a.complain(report, cfg, cmd.Duration("timeout"))
	code := outcome(report)
	made := slices.ContainsFunc(setups, func(s *render.Setup) bool { return s.Failure == nil && s.Changed() })
	if (made || code != exitNothing) && cmd.String("format") == "text" {
		a.out.Done(setups, report)
	}
	if code != exitOK {
		if made {
			code = exitPartial // what stands around the keys was made
		}
		return exit(code)
	}
	return a.ended(setups, failed)
}

// ended tells what there is now.
func (a *app) ended(setups []*render.Setup, failed int) error {
	refused := slices.ContainsFunc(setups, func(s *render.Setup) bool {
		return s.Err() != nil || s.Keys() != nil && len(s.Keys().Failed) > 0
	})
	if failed > 0 || refused {
		return exit(exitPartial)
	}
	return nil
}

// printForms writes the same as commands or as Terraform, and returns the exit code.
func (a *app) printForms(setups []*render.Setup, form string, cfg *config.Config) error {
	failed := a.complainOf(setups, cfg)
	if err := a.out.Forms(setups, form); err != nil {
		return err
	}
	if failed == len(setups) {
		return exit(exitNothing)
	}
	return a.ended(setups, failed)
}
