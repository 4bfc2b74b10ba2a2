package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/vaultauth"
)

const inRole = "More options of the role"

func (a *app) setupCommand() *cli.Command {
	return &cli.Command{
		Name:  "setup",
		Usage: "make what Nomad workloads log in with: mount, first keys, role and policy",
		Description: "It does for static keys what `nomad setup vault` does for jwks_url. It makes a JWT auth mount with the keys\n" +
			"that its clusters publish, a role, and a policy by which a job reads <kv>/data/<namespace>/<job>. The defaults\n" +
			"are the same, except that namespaces are kept apart (user_claim is sub). Inside a namespace, anyone who\n" +
			"submits jobs can read its secrets.\n\n" +
			"It shows what it would do and asks. It leaves alone what is as it should be and, without -overwrite, a role\n" +
			"or policy that somebody else made.\n\n" +
			"It needs a token that may do all this, such as an administrator's. It takes that of VAULT_TOKEN or\n" +
			"`vault login`, even if the vault block has an auth block, and sends it only to the Vault at VAULT_ADDR, or\n" +
			"that of -vault. A block for another Vault logs in by its auth block.\n\n" +
			"   harvest setup -cluster us-east -mount jwt-nomad \\\n      -nomad-address https://nomad.example.com:4646",
		Flags: slices.Concat(clusterFlags(), mountFlags(), roleFlags(), ruleFlags(), []cli.Flag{configFlag()}, generalFlags("text", "json"), []cli.Flag{
			&cli.StringFlag{Name: "vault", Category: inGeneral, Usage: "set up only the mounts of the file's Vault with this `NAME` or address; VAULT_TOKEN is for it", DefaultText: "that of VAULT_ADDR"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"},
			&cli.BoolFlag{Name: "y", Usage: "don't ask"},
			&cli.BoolFlag{Name: "overwrite", Category: inGeneral, Usage: "change roles and policies that harvest didn't make, too"},
			&cli.StringFlag{Name: "print", Usage: "change nothing, and print `FORM`: vault (its commands), terraform, or removal (the commands that undo it)", Validator: oneOf("vault", "terraform", "removal")},
		}),
		Action: a.setup,
	}
}

// roleFlags describe a single role. -config excludes them.
func roleFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "role", Usage: "its `NAME`, and the mount's default_role if it has none", DefaultText: setup.DefaultRole},
		&cli.StringFlag{Name: "policy", Category: inRole, Usage: "`NAME` of its policy", DefaultText: "ROLE.MOUNT, or the one it has"},
		&cli.StringSliceFlag{Name: "audience", Category: inRole, Usage: "`AUDIENCE` of its tokens, may be repeated", DefaultText: setup.DefaultAudience},
		&cli.StringFlag{Name: "user-claim", Category: inRole, Usage: "`CLAIM` that names the entity of a login, or its JSON pointer; tokens with the same value share an entity", DefaultText: setup.DefaultUserClaim},
		&cli.StringSliceFlag{Name: "claim", Category: inRole, Usage: "one more claim for policies, as `SOURCE=NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "bound", Category: inRole, Usage: "a claim that a token must have, as `CLAIM=VALUE`; * matches anything; may be repeated"},
		&cli.DurationFlag{Name: "period", Category: inRole, Usage: "renew tokens within `DURATION`", DefaultText: "30m"},
		&cli.DurationFlag{Name: "max-ttl", Category: inRole, Usage: "end tokens after `DURATION`, renewed or not", DefaultText: "never"},
		&cli.StringFlag{Name: "kv", Aliases: []string{"kv-path"}, Category: inRole, Usage: "`PATH` of the KV engine (version 2) with the secrets", DefaultText: setup.DefaultKV},
		&cli.StringFlag{Name: "prefix", Category: inRole, Usage: "`PATH` before the job's namespace there, such as the cluster's name"},
		&cli.StringFlag{Name: "job-prefix", Category: inRole, Usage: "`TEXT` before the job's name there, such as job-, which keeps the jobs of a namespace apart: secrets are then at NAMESPACE/job-JOB/job-JOB/NAME"},
	}
}

// setupRun is one call of setup.
type setupRun struct {
	*app
	cmd           *cli.Command
	cfg           *config.Config
	format, form  string // of -format and -print
	administrator vaultauth.Administrator
	session       *session.Session
	proposals     []*setup.Proposal
}

func (a *app) setup(ctx context.Context, cmd *cli.Command) error {
	r := &setupRun{app: a, cmd: cmd}
	log, err := r.understand(ctx)
	if err != nil {
		return err
	}
	planning, cancel := withTimeout(ctx, cmd)
	defer cancel()
	r.session = a.open(planning, r.cfg, false, session.Options{Log: log})
	defer r.session.Close()
	r.propose(planning)
	failed, err := r.show()
	switch {
	case err != nil:
		return err
	case failed == len(r.proposals):
		return exit(exitNothing)
	case !r.goesOn():
		return r.ended(failed)
	}
	if !cmd.Bool("y") {
		if yes, err := a.ask(ctx); err != nil || !yes {
			a.says.Fail(errors.Join(err, errors.New("nothing was changed")), "")
			return exit(exitNothing)
		}
	}
	applying, cancel := withTimeout(ctx, cmd) // the answer may have taken long
	defer cancel()
	return r.apply(applying)
}

// understand reads flags and configuration, and finds out whose token is used.
func (r *setupRun) understand(ctx context.Context) (log *slog.Logger, err error) {
	r.format, r.form, log = r.cmd.String("format"), r.cmd.String("print"), r.logger(r.cmd, "none")
	if r.cfg, err = r.loadWithin(ctx, r.cmd, true); err != nil {
		return nil, err
	}
	if err := r.cfg.DropRelays(); err != nil {
		return nil, err
	}
	for _, f := range roleFlags() {
		if name := f.Names()[0]; !r.cfg.IsSingle() && r.cmd.IsSet(name) {
			return nil, usage(r.cmd, "-%s beside %s: set it there, in a role block of the mount", name, r.cfg.File)
		}
	}
	if err := r.cfg.SetRoles(r.cmd); err != nil {
		return nil, usage(r.cmd, "%w", err)
	}
	if r.administrator, err = vaultauth.Administer(r.cfg, r.cmd.String("vault"), r.getenv); err != nil {
		return nil, usage(r.cmd, "%w", err)
	}
	r.warnCredentials(r.cfg)
	return log, r.confirmable(r.cmd, r.form)
}

// propose reads every mount and every cluster.
func (r *setupRun) propose(ctx context.Context) {
	stop := r.showProgress(r.cmd, r.session.Clusters)
	r.proposals = r.session.Propose(ctx)
	stop()
	for _, p := range r.proposals {
		p.Token = r.administrator.Token
	}
}

// show writes what would be done in the format or form that is asked for, and counts the mounts
// that nothing can be done to.
func (r *setupRun) show() (failed int, err error) {
	said := r.administrator.String()
	switch {
	case r.form != "":
		if said != "" {
			r.out.Printf("# %s\n", said)
		}
		failed = r.complainOf()
		return failed, r.out.Forms(r.proposals, r.form)
	case r.format == "json":
		if err := r.out.SetupJSON(r.proposals, r.hints(nil, r.cfg, r.cmd)); err != nil {
			return 0, err
		}
	default:
		if said != "" {
			r.out.Printf("%s\n\n", said)
		}
		r.out.Setups(r.proposals, r.now())
	}
	failed = r.complainOf()
	if failed < len(r.proposals) && r.cmd.Bool("dry-run") && r.format == "text" {
		r.out.Printf("\n  A dry run: nothing was changed.\n")
	}
	return failed, nil
}

// goesOn reports whether there is something to do that is asked for, or may be.
func (r *setupRun) goesOn() bool {
	if r.form != "" || r.cmd.Bool("dry-run") || r.format == "json" && !r.cmd.Bool("y") {
		return false
	}
	return slices.ContainsFunc(r.proposals, (*setup.Proposal).HasChanges)
}

// complainOf tells stderr of what can't be planned, or is refused, and counts the mounts
// that nothing can be done to.
func (r *setupRun) complainOf() (failed int) {
	for _, p := range r.proposals {
		if p.Failure != nil {
			failed++
			hint := r.call(r.cfg.File, 0).Of(p.Failure, !p.Target.Options.Convert)
			r.says.Fail(p.Failure, cmp.Or(hint, r.administrator.Hint(p.Failure, p.Vault)))
			continue
		}
		if err := p.Err(); err != nil {
			hint := ""
			if p.Overwritable() {
				hint = "If they may be changed:\n  " + r.call("", 0).Again("-overwrite")
			}
			r.says.Fail(err, hint)
		}
	}
	return failed
}

// apply does what was proposed, and tells of it.
func (r *setupRun) apply(ctx context.Context) error {
	report, made, err := r.session.Apply(ctx, r.proposals)
	if report == nil {
		return err
	}
	r.complain(report, r.hints(report.Mounts, r.cfg, r.cmd))
	code := outcome(report)
	if (made || code != exitNothing) && r.format == "text" {
		r.out.Done(r.proposals, report)
	}
	switch {
	case code == exitOK:
		return r.ended(0)
	case made:
		return exit(exitPartial) // what stands around the keys was made
	}
	return exit(code)
}

// ended returns the exit code where as many mounts failed.
func (r *setupRun) ended(failed int) error {
	if failed > 0 || slices.ContainsFunc(r.proposals, (*setup.Proposal).IsPartial) {
		return exit(exitPartial)
	}
	return nil
}
