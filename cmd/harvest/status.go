package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/statuspage"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show what each mount trusts, whose it is, since when, and what is pending",
		Description: "It needs the capability read on auth/<mount>/config, and no cluster: with -mount alone it shows what is\n" +
			"trusted. With a cluster, or a file, it shows what a sync would change as well (the signs are plan's).\n\n" +
			"-lint looks at roles and clusters too, and says what will bite although the keys are in sync. It needs the\n" +
			"policy that `harvest policy -roles` prints, and exits with 3 where it finds an error or a warning.\n\n" +
			"-format html writes it as a page for a browser, with nothing in it that is fetched from elsewhere.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, lintFlags(), generalFlags("text", "json", "html")),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			format, err := oneOf(cmd, "format", "text", "json", "html")
			if err != nil {
				return err
			}
			log, err := a.logger(cmd, "none")
			if err != nil {
				return err
			}
			cfg, err := a.loadWithin(ctx, cmd, false)
			if err != nil {
				return err
			}
			lint, err := newLinting(cmd)
			if err != nil {
				return err
			}
			ctx, cancel, err := withTimeout(ctx, cmd)
			if err != nil {
				return err
			}
			defer cancel()
			report, statuses, err := a.status(ctx, cmd, cfg, lint, log)
			if err != nil {
				return err
			}
			switch format {
			case "json":
				a.out.JSON(map[string]any{"mounts": statuses})
			case "html":
				f := factsOf(report, statuses, cfg, a.now())
				f.Rotation = cmd.Duration("rotation")
				body, err := statuspage.New(f, buildInfo().Version, a.now()).HTML()
				if err != nil {
					return err
				}
				_, _ = a.out.Write(body)
			default:
				for i, s := range statuses {
					if i > 0 {
						a.out.Printf("\n")
					}
					a.out.printStatus(s, a.now())
					a.printRemovals(s.plan)
				}
			}
			a.complain(report, cfg, cmd.Duration("timeout"))
			return exit(statusCode(statuses))
		},
	}
}

// mountStatus is what one mount trusts and what is pending there.
type mountStatus struct {
	Vault     string          `json:"vault"`
	Namespace string          `json:"namespace"`
	Path      string          `json:"path"`
	Trusted   []vaultsync.Key `json:"trusted"`
	Add       []vaultsync.Key `json:"add"`    // published, not trusted
	Adopt     []vaultsync.Key `json:"adopt"`  // to be annotated anew
	Remove    []vaultsync.Key `json:"remove"` // trusted, no longer published
	Failed    []failedStatus  `json:"failed"`
	Warnings  []string        `json:"warnings"`
	// Settings are what is stated of the mount and is otherwise.
	Settings []vaultsync.Change `json:"settings"`
	// Lint is what -lint found; without it there is none.
	Lint  []vaultsync.Problem `json:"lint,omitzero"`
	Error string              `json:"error,omitempty"`

	plan   *vaultsync.Plan  // nil without clusters, or where there could be none
	config vaultsync.Config // as it was read
	read   bool             // the mount could be read
	err    error
}

type failedStatus struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	Kept    int    `json:"kept"`
	Error   string `json:"error"`
}

// status reads every mount. Where clusters are configured, a plan says what is pending.
func (a *app) status(ctx context.Context, cmd *cli.Command, cfg *config.Config, lint *linting, log *slog.Logger) (*vaultsync.Report, []*mountStatus, error) {
	a.warnExposed(cfg.CredentialFiles(a.getenv), a.sayExposed)
	j := a.prepare(ctx, cfg, true, log)
	defer j.close()
	report := &vaultsync.Report{Mounts: make([]*vaultsync.MountReport, len(cfg.Mounts))}
	if lint != nil { // before progress is shown: of a source that it follows, nothing is discovered
		lint.discovered = j.harvester.Discover(ctx)
		lint.now = a.now()
	}
	if len(cfg.Clusters) > 0 {
		defer a.showProgress(cmd, j.harvester.Clusters)()
		var err error
		if report, err = j.do(ctx, (*vaultsync.Harvester).Plan); err != nil {
			return nil, nil, err
		}
	}
	statuses := make([]*mountStatus, len(cfg.Mounts))
	var pending sync.WaitGroup
	for i := range cfg.Mounts {
		pending.Go(func() {
			if report.Mounts[i] == nil {
				report.Mounts[i] = j.refused[i]
			}
			report.Mounts[i], statuses[i] = statusOf(ctx, j.mounts[i], report.Mounts[i])
			if lint != nil && j.mounts[i] != nil {
				lint.inspect(ctx, statuses[i], j.mounts[i], cfg.Mounts[i], report.Clusters)
			}
		})
	}
	pending.Wait()
	return report, statuses, nil
}

// statusOf completes the status of a mount: what the plan has read or, where there is no
// plan, a read of its own.
func statusOf(ctx context.Context, mount *vaultsync.Mount, m *vaultsync.MountReport) (*vaultsync.MountReport, *mountStatus) {
	s := &mountStatus{
		Trusted: []vaultsync.Key{}, Add: []vaultsync.Key{}, Adopt: []vaultsync.Key{}, Remove: []vaultsync.Key{},
		Failed: []failedStatus{}, Warnings: []string{}, Settings: []vaultsync.Change{},
	}
	if m == nil {
		m = &vaultsync.MountReport{Vault: mount.Vault(), Namespace: mountNamespace(mount), Path: mount.Path}
	}
	s.Vault, s.Namespace, s.Path = m.Vault, m.Namespace, m.Path
	switch {
	case m.Plan != nil:
		s.plan, s.config, s.read = m.Plan, m.Plan.Current(), true
		s.Trusted = append(s.Trusted, m.Plan.Current().Trusted()...)
		s.Add, s.Adopt, s.Remove = append(s.Add, m.Plan.Add...), append(s.Adopt, m.Plan.Adopt...), append(s.Remove, m.Plan.Remove...)
		s.Warnings, s.Settings = append(s.Warnings, m.Plan.Warnings...), append(s.Settings, m.Plan.Settings...)
		for _, f := range m.Plan.Failed {
			s.Failed = append(s.Failed, failedStatus{f.Cluster, f.Region, f.Kept, f.Err.Error()})
		}
	case mount != nil:
		config, err := mount.Read(ctx)
		if err == nil {
			s.config, s.read = config, true
			s.Trusted = append(s.Trusted, config.Trusted()...)
		} else if m.Err == nil {
			m.Err = err
		}
	}
	s.err = m.Err
	if m.Err != nil {
		s.Error = m.Err.Error()
	}
	sortKeys(s.Trusted)
	return m, s
}

func mountNamespace(m *vaultsync.Mount) string {
	if m.Namespace != "" {
		return m.Namespace
	}
	return strings.Trim(m.Client.Namespace(), "/")
}

// sortKeys sorts by owner, foreign keys last, and then by age, the newest first.
func sortKeys(keys []vaultsync.Key) {
	slices.SortStableFunc(keys, func(a, b vaultsync.Key) int {
		if (a.Cluster == "") != (b.Cluster == "") {
			return strings.Compare(b.Cluster, a.Cluster)
		}
		if c := strings.Compare(a.Owner().String(), b.Owner().String()); c != 0 {
			return c
		}
		if c := b.Added.Compare(a.Added); c != 0 {
			return c
		}
		return strings.Compare(a.Fingerprint.String(), b.Fingerprint.String())
	})
}

// statusCode: 0 all was read, whether or not it is in sync; 1 no mount was; 3 some mount
// or cluster was not, or -lint found what bites.
func statusCode(statuses []*mountStatus) int {
	read := slices.ContainsFunc(statuses, func(s *mountStatus) bool { return s.read })
	failed := slices.ContainsFunc(statuses, func(s *mountStatus) bool {
		return s.err != nil || len(s.Failed) > 0 || slices.ContainsFunc(s.Lint, bites)
	})
	switch {
	case !read:
		return exitNothing
	case failed:
		return exitPartial
	}
	return exitOK
}

// printStatus writes the status of one mount.
func (o *output) printStatus(s *mountStatus, now time.Time) {
	o.Heading("mount", printable(vaultsync.MountName(s.Vault, s.Namespace, s.Path)))
	section := func(title string, rows []row) {
		if len(rows) > 0 {
			o.Printf("%s", title)
			o.printRows(rows)
			o.Printf("\n")
		}
	}
	var trusted []row
	for _, k := range s.Trusted {
		trusted = append(trusted, keyRow("", k, true, now))
	}
	section("", trusted)
	if s.plan != nil {
		pending := slices.DeleteFunc(planRows(s.plan, now), func(r row) bool {
			return r.sign == signKeep || r.sign == signForeign || r.sign == signSkip
		})
		section("  pending:\n", pending)
	}
	if o.warnings(s.Warnings); len(s.Warnings) > 0 {
		o.Printf("\n")
	}
	o.printProblems(s.Lint)
	if s.err != nil {
		o.failure(mountCause(s.err))
	}
	if s.read {
		o.Say(s.summary())
	}
}

// summary counts the trusted keys by owner.
func (s *mountStatus) summary() string {
	if len(s.Trusted) == 0 {
		return "No keys: the mount trusts nobody by static keys."
	}
	counts := map[pem.Owner]int{}
	var owners []pem.Owner
	for _, k := range s.Trusted {
		if counts[k.Owner()]++; counts[k.Owner()] == 1 {
			owners = append(owners, k.Owner())
		}
	}
	var parts []string
	for _, owner := range owners {
		if owner == (pem.Owner{}) {
			parts = append(parts, fmt.Sprintf("%d foreign", counts[owner]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d of %s", counts[owner], printable(owner.String())))
	}
	text := fmt.Sprintf("%d trusted: %s.", len(s.Trusted), strings.Join(parts, ", "))
	if n := len(s.Add) + len(s.Adopt) + len(s.Remove) + len(s.Settings); n > 0 {
		text += fmt.Sprintf(" %d pending.", n)
	}
	return text
}
