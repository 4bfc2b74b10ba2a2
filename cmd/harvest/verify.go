package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/verify"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func (a *app) verifyCommand() *cli.Command {
	mount := slices.DeleteFunc(mountFlags(), func(f cli.Flag) bool {
		return !slices.Contains([]string{"mount", "namespace", "retired"}, f.Names()[0])
	})
	deny := slices.DeleteFunc(ruleFlags(), func(f cli.Flag) bool { return f.Names()[0] != "deny" })
	return &cli.Command{
		Name:      "verify",
		Usage:     "report whether Vault would take a token, and why not",
		ArgsUsage: "[FILE]",
		Description: "FILE holds a JWT, such as a task's ${NOMAD_SECRETS_DIR}/nomad_vault_default.jwt. Without FILE, or with -, the\n" +
			"token is read from stdin. It is never an argument, never printed, and sent nowhere.\n\n" +
			"With -mount, or a file, the token is compared with what each mount trusts and asks for, and with the role. That\n" +
			"needs read on auth/<mount>/config and on auth/<mount>/role/<role>; without the latter a note says that the role\n" +
			"was not compared. With a cluster as well, a key that isn't trusted is looked up among the published ones. With\n" +
			"-jwks the token is compared with a key set alone, and Vault isn't asked.\n\n" +
			"Signs: = passes, x Vault would refuse it, ? a remark, or what was not compared. Exit codes: 0 it would log in\n" +
			"(on one of the mounts, as far as could be compared); 1 nothing could be compared; 3 it would not log in.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "role", Usage: "`NAME` of the role to log in with", DefaultText: "the mount's default_role"},
			&cli.StringFlag{Name: "jwks", TakesFile: true, Usage: "`SOURCE` of a key set to compare with instead of a mount: a file, a URL, or - (see pem)"},
		}, clusterFlags(), mount, deny, []cli.Flag{configFlag()}, generalFlags("text", "json")),
		ArgValidator: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Len() > 1 { // which may be anything, a part of a token too
				return usage(cmd, "one token at a time: %d arguments", cmd.Args().Len())
			}
			return nil
		},
		Action: a.verify,
	}
}

// selects reports whether a flag beside -config picks from the file instead of repeating it.
func selects(cmd *cli.Command, flag string) bool {
	return cmd.Name == "verify" && (flag == "mount" || flag == "namespace")
}

func (a *app) verify(ctx context.Context, cmd *cli.Command) error {
	log := a.logger(cmd, "none")
	check, err := a.verification(ctx, cmd, log)
	if err != nil {
		return err
	}
	ctx, cancel := withTimeout(ctx, cmd)
	defer cancel()
	token, err := a.readToken(ctx, cmd)
	if err != nil {
		return err
	}
	verdicts, err := check(ctx, token)
	if err != nil {
		return err
	}
	if cmd.String("format") == "json" {
		a.out.JSON(map[string]any{"accepted": verdictCode(verdicts) == exitOK, "verdicts": verdicts})
	} else {
		a.out.Verdicts(verdicts)
	}
	for _, v := range verdicts {
		if v.Err != nil {
			a.says.Fail(v.Err, "")
		}
	}
	return exit(verdictCode(verdicts))
}

// verdictCode: 0 one of the mounts would take it; 1 none could be compared; 3 none would.
func verdictCode(verdicts []*verify.Result) int {
	code := exitNothing
	for _, v := range verdicts {
		switch {
		case v.Verdict == nil:
		case v.Accepted:
			return exitOK
		default:
			code = exitRefused
		}
	}
	return code
}

// verification returns what compares a token with what the flags name. All of them are
// understood before a token is asked for.
func (a *app) verification(ctx context.Context, cmd *cli.Command, log *slog.Logger) (func(context.Context, *verify.Token) ([]*verify.Result, error), error) {
	if !cmd.IsSet("jwks") {
		if a.configFile(cmd) == "" && !cmd.IsSet("config") && cmd.String("mount") == "" {
			return nil, usage(cmd, "nothing to compare with: give -mount PATH, -config FILE, or -jwks SOURCE")
		}
		cfg, err := a.loadWithin(ctx, cmd, false)
		if err != nil {
			return nil, err
		}
		if err := cfg.DropRelays(); err != nil {
			return nil, err
		}
		if err := selectMounts(cmd, cfg); err != nil {
			return nil, err
		}
		a.warnCredentials(cfg)
		return func(ctx context.Context, t *verify.Token) ([]*verify.Result, error) {
			return a.verifyAtMounts(ctx, cmd, cfg, t, log), nil
		}, nil
	}
	for _, f := range cmd.Flags {
		switch name := f.Names()[0]; {
		case !cmd.IsSet(name), slices.Contains([]string{"jwks", "cluster", "format", "timeout", "log-format", "log-level"}, name):
		case slices.ContainsFunc(connectionFlags(), func(f cli.Flag) bool { return f.Names()[0] == name }):
		default:
			return nil, usage(cmd, "-%s doesn't go with -jwks, which compares with a key set alone", name)
		}
	}
	source, name := cmd.String("jwks"), cmd.String("cluster")
	if source == "-" && readsStdin(cmd) {
		return nil, usage(cmd, "stdin can't be both the token and the key set: put one of them into a file")
	}
	if source == "" {
		return nil, usage(cmd, "-jwks: name a file, a URL or -")
	}
	if name != "" {
		if err := rule.CheckCluster(name); err != nil {
			return nil, usage(cmd, "%w", err)
		}
	}
	c, err := a.source(cmd, source)
	if err != nil {
		return nil, err
	}
	c.Name = "source"
	return func(ctx context.Context, t *verify.Token) ([]*verify.Result, error) {
		return a.verifyOffline(ctx, cmd, c, t)
	}, nil
}

// selectMounts leaves the mounts of a file that -mount and -namespace name.
func selectMounts(cmd *cli.Command, cfg *config.Config) error {
	if cfg.IsSingle() || !cmd.IsSet("mount") && !cmd.IsSet("namespace") {
		return nil
	}
	var there []string
	path, namespace := config.MountPath(cmd.String("mount")), strings.Trim(cmd.String("namespace"), "/")
	cfg.Mounts = slices.DeleteFunc(cfg.Mounts, func(m config.Mount) bool {
		id := cfg.Target(m)
		there = append(there, vaultsync.MountID{Namespace: id.Namespace, Path: id.Path}.String())
		return cmd.IsSet("mount") && id.Path != path || cmd.IsSet("namespace") && id.Namespace != namespace
	})
	if len(cfg.Mounts) == 0 {
		return usage(cmd, "no such mount in %s; there is %s", cfg.File, text.QuoteAll(there))
	}
	return nil
}

// verifyOffline compares a token with a key set.
func (a *app) verifyOffline(ctx context.Context, cmd *cli.Command, c config.Cluster, t *verify.Token) ([]*verify.Result, error) {
	results := a.fetch(ctx, cmd, c)
	failed := a.complainOfSources(results)
	if failed && !slices.ContainsFunc(results, func(r jwks.Result) bool { return r.Set != nil }) {
		return nil, exit(exitNothing)
	}
	for i := range results {
		results[i].Cluster = cmd.String("cluster")
	}
	v, err := verify.Verify(verify.Verification{Token: t, Now: a.now(), Offline: true, Want: plan.Desired{Results: results}})
	if err != nil {
		return nil, err
	}
	return []*verify.Result{{Source: cmd.String("jwks"), Verdict: v}}, nil
}

// verifyAtMounts compares a token with each mount, all at the same time.
func (a *app) verifyAtMounts(ctx context.Context, cmd *cli.Command, cfg *config.Config, t *verify.Token, log *slog.Logger) []*verify.Result {
	s := a.open(ctx, cfg, true, session.Options{Log: log})
	defer s.Close()
	var results []jwks.Result
	if len(cfg.Clusters) > 0 {
		stop := a.showProgress(cmd, s.Clusters)
		results = jwks.FetchAll(ctx, s.Clusters, nil)
		stop()
	}
	verdicts := make([]*verify.Result, len(cfg.Mounts))
	issuers := cfg.Issuers()
	var pending sync.WaitGroup
	for i, m := range s.Mounts {
		pending.Go(func() {
			if r := m.Refused; r != nil {
				verdicts[i] = verify.Failed(r.MountID, r.Err)
				return
			}
			verdicts[i] = verify.AtMount(ctx, m.Target.Mount, verify.Verification{
				Token: t, Now: a.now(), RoleName: cmd.String("role"), Options: m.Config.Options,
				Want: plan.Desired{Clusters: m.Config.Clusters, Results: results}, Issuers: issuers,
			}, log)
			if v := verdicts[i].Verdict; v != nil {
				exactFix(cmd, cfg, v)
			}
		})
	}
	pending.Wait()
	return verdicts
}

// exactFix puts the whole command in the place of "harvest sync".
func exactFix(cmd *cli.Command, cfg *config.Config, v *verify.Verdict) {
	const short = "harvest sync"
	for i, f := range v.Findings {
		if before, after, ok := strings.Cut(f.Fix, short); ok {
			v.Findings[i].Fix = before + syncCommand(cmd, cfg) + after
		}
	}
}

// syncCommand is the sync of the same cluster and mount.
func syncCommand(cmd *cli.Command, cfg *config.Config) string {
	words := []string{"harvest", "sync"}
	for _, f := range slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}) {
		name := f.Names()[0]
		if !cmd.IsSet(name) || !cfg.IsSingle() && selects(cmd, name) {
			continue
		}
		switch value := cmd.Value(name).(type) {
		case bool:
			words = append(words, fmt.Sprintf("-%s=%t", name, value))
		case []string:
			for _, v := range value {
				words = append(words, "-"+name, text.ShellQuote(v))
			}
		case string:
			words = append(words, "-"+name, text.ShellQuote(value))
		}
	}
	if cfg.IsSingle() && cmd.String("cluster") == "" {
		return strings.Join(append(words[:2:2], "-cluster NAME"), " ") + " " + strings.Join(words[2:], " ")
	}
	return strings.Join(words, " ")
}
