package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// What the help puts the flags under that matter less. The others have no category, and come first.
const (
	inCluster = "More options of the cluster"
	inMount   = "More options of the mount"
	inGeneral = "More options"
)

// defaultTimeout bounds the whole of a command, so that cron runs never pile up.
const defaultTimeout = 2 * time.Minute

// clusterFlags describe a single cluster. -config excludes them.
func clusterFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "cluster", Usage: "the `NAME` of the cluster, which marks its keys on the mount"},
		&cli.StringFlag{Name: "nomad-address", Usage: "`URL` of a Nomad agent; $NOMAD_ADDR"},
		&cli.StringFlag{Name: "jwks-url", Usage: "`URL` of any JWKS document, instead of a Nomad agent"},
		&cli.StringFlag{Name: "jwks-file", TakesFile: true, Usage: "`FILE` with a JWKS document, instead of a Nomad agent"},
		&cli.StringFlag{Name: "oidc-issuer", Category: inCluster, Usage: "`URL` of an OIDC issuer, instead of a Nomad agent"},
		&cli.StringSliceFlag{Name: "pin", Category: inCluster, Usage: "trust only this key of the cluster: a `FINGERPRINT` (sha256:…); may be repeated"},
		&cli.BoolFlag{Name: "allow-plaintext", Category: inCluster, Usage: "take keys over plain http or unverified TLS: anyone on that path chooses whom Vault trusts"},
	}, connectionFlags()...)
}

// connectionFlags say how to reach the cluster.
func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "region", Category: inCluster, Usage: "Nomad `REGION`, may be repeated; \"*\" is every federated one, \"\" the agent's own; $NOMAD_REGION"},
		&cli.StringFlag{Name: "nomad-ca-cert", Category: inCluster, TakesFile: true, Usage: "`FILE` with the CA certificate of the cluster; $NOMAD_CACERT"},
		&cli.StringFlag{Name: "nomad-ca-path", Category: inCluster, TakesFile: true, Usage: "`DIR` with CA certificates; $NOMAD_CAPATH"},
		&cli.StringFlag{Name: "nomad-client-cert", Category: inCluster, TakesFile: true, Usage: "`FILE` with a client certificate; $NOMAD_CLIENT_CERT"},
		&cli.StringFlag{Name: "nomad-client-key", Category: inCluster, TakesFile: true, Usage: "`FILE` with its key; $NOMAD_CLIENT_KEY"},
		&cli.StringFlag{Name: "nomad-tls-server-name", Category: inCluster, Usage: "`NAME` that the server's certificate must be for; $NOMAD_TLS_SERVER_NAME"},
		&cli.BoolFlag{Name: "nomad-tls-skip-verify", Category: inCluster, Usage: "don't verify the server's certificate; sync also needs -allow-plaintext; $NOMAD_SKIP_VERIFY"},
	}
}

// mountFlags describe a single mount. -config excludes them.
func mountFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "mount", Usage: "`PATH` of the JWT auth method, such as jwt-nomad"},
		&cli.StringFlag{Name: "namespace", Category: inMount, Usage: "its `NAMESPACE`; $VAULT_NAMESPACE"},
		&cli.StringFlag{Name: "foreign", Category: inMount, Usage: "`WHAT` to do with keys that have no annotation: keep, warn or remove", DefaultText: "warn", Validator: oneOf("keep", "warn", "remove")},
		&cli.StringSliceFlag{Name: "retired", Category: inMount, Usage: "strike off a `CLUSTER` or CLUSTER/REGION: its keys go; may be repeated"},
		&cli.DurationFlag{Name: "retain", Category: inMount, Usage: "keep a key that is no longer published for `DURATION`", DefaultText: "1h for a URL or an issuer"},
		&cli.IntFlag{Name: "max-keys", Category: inMount, Usage: "trust at most `NUMBER` keys of a cluster; what is trusted and still published stays",
			DefaultText: strconv.Itoa(plan.DefaultMaxKeys)},
		&cli.DurationFlag{Name: "settle", Category: inMount, Usage: "after a write, read again every `DURATION`, for other writers", DefaultText: "1s"},
		&cli.StringSliceFlag{Name: "jwt-supported-algs", Category: inMount, Usage: "take only these algorithms: a list of `ALG`, or \"\" for all; not stated, the mount's list stays"},
		&cli.StringFlag{Name: "bound-issuer", Category: inMount, Usage: "take only tokens of this `ISSUER`, or \"\" for any; not stated, the mount's bound_issuer stays"},
		&cli.StringFlag{Name: "default-role", Category: inMount, Usage: "`ROLE` of logins that name none, or \"\" for none; not stated, the mount's default_role stays"},
		&cli.BoolFlag{Name: "convert", Category: inMount, Usage: "turn a mount in jwks_url or OIDC mode into one with static keys"},
	}
}

// ruleFlags go with -config too, and then hold for every mount.
func ruleFlags() []cli.Flag {
	return []cli.Flag{
		&turnoverFlag{Name: "allow-turnover", Category: inGeneral, Usage: "let all keys of a cluster be replaced at once: bare for every cluster, or =`CLUSTER`; may be repeated"},
		&cli.BoolFlag{Name: "allow-empty", Category: inGeneral, Usage: "let the last key of a mount go: nobody can log in then"},
		&cli.StringSliceFlag{Name: "deny", Category: inGeneral, Usage: "never trust this key: a `FINGERPRINT` (sha256:…); may be repeated"},
	}
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", TakesFile: true, Usage: "`FILE` in HCL with clusters, vaults and mounts, instead of flags for one cluster and one mount", DefaultText: config.Usual}
}

func generalFlags(formats ...string) []cli.Flag {
	return append([]cli.Flag{
		formatFlag(formats...),
		&cli.DurationFlag{Name: "timeout", Category: inGeneral, Value: defaultTimeout, Usage: "give up after `DURATION`", Validator: aboveZero},
	}, logFlags("none")...)
}

// logFlags are those of the log, at that level in text where it isn't given.
func logFlags(usual string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-format", Category: inGeneral, Value: "text", Usage: "`FORMAT` of stderr: text, or json (then -log-level is info)", Validator: oneOf("text", "json")},
		&cli.StringFlag{Name: "log-level", Category: inGeneral, DefaultText: usual, Usage: "`LEVEL` of the log on stderr: none, error, warn, info or debug", Validator: oneOf("none", "error", "warn", "info", "debug")},
	}
}

func formatFlag(formats ...string) cli.Flag {
	return &cli.StringFlag{Name: "format", Value: formats[0], Usage: "`FORMAT` of stdout: " + strings.Join(formats, ", "), Validator: oneOf(formats...)}
}

// singleOnly are the flags that -config excludes.
func singleOnly() []string {
	var names []string
	for _, f := range slices.Concat(clusterFlags(), mountFlags()) {
		names = append(names, f.Names()[0])
	}
	return names
}

// turnoverFlag is a flag that may be bare or have a value, as in -allow-turnover and
// -allow-turnover=us-east.
type turnoverFlag = cli.FlagBase[[]string, cli.NoConfig, turnoverValue]

type turnoverValue struct{ clusters *[]string }

// Create implements cli.ValueCreator.
func (turnoverValue) Create(value []string, into *[]string, _ cli.NoConfig) cli.Value {
	*into = value
	return &turnoverValue{into}
}

// ToString implements cli.ValueCreator.
func (turnoverValue) ToString(value []string) string { return strings.Join(value, ",") }

// IsBoolFlag keeps the next argument from being taken for the value.
func (*turnoverValue) IsBoolFlag() bool { return true }

// Set implements flag.Value. The bare flag arrives as "true".
func (v *turnoverValue) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		switch name {
		case "true":
			name = config.AnyCluster // the bare flag
		case "", "false":
			return fmt.Errorf("want the name of a cluster after the equals sign, or nothing at all")
		}
		*v.clusters = append(*v.clusters, name)
	}
	return nil
}

// Get implements flag.Getter.
func (v *turnoverValue) Get() any { return *v.clusters }

// String implements flag.Value.
func (v *turnoverValue) String() string {
	if v.clusters == nil {
		return ""
	}
	return v.ToString(*v.clusters)
}

// oneOf refuses what is none of the words.
func oneOf(words ...string) func(string) error {
	return func(value string) error {
		if slices.Contains(words, value) {
			return nil
		}
		return wantedError(words)
	}
}

// wantedError is the words of which a flag takes one.
type wantedError []string

func (e wantedError) Error() string { return "want " + strings.Join(e, ", ") }

func aboveZero(d time.Duration) error {
	if d <= 0 {
		return errors.New("want a duration above zero")
	}
	return nil
}

// withTimeout bounds the whole of a command.
func withTimeout(ctx context.Context, cmd *cli.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmd.Duration("timeout"))
}
