package vaultsync

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

var (
	// ErrTurnover: a cluster's published keys are all other ones than the trusted
	// ones. Wrapped by a *TurnoverError.
	ErrTurnover = errors.New("none of the published keys is trusted already")
	// ErrLastKey: no key would be left, and Vault takes no empty list.
	ErrLastKey = errors.New("no key would be left on the mount")
	// ErrNotRead: a region that the mount has keys of, or a whole cluster, was not
	// among those fetched.
	ErrNotRead = errors.New("no longer configured, or gone from the federation")
)

// Desired is what a mount should trust.
type Desired struct {
	// Clusters are the names that the mount trusts. The first one that publishes a
	// key owns it.
	Clusters []string
	// Results are what they publish now. Those of other clusters are passed over.
	Results []jwks.Result
}

// Key is one key in a plan.
type Key struct {
	Cluster     string           `json:"cluster"` // "" for foreign keys
	Region      string           `json:"region"`
	KeyID       string           `json:"kid"`
	Algorithm   string           `json:"alg"`            // the first one that it signs with
	Algorithms  []string         `json:"algs,omitempty"` // all, where there are several
	Fingerprint pem.Fingerprint  `json:"sha256"`
	Added       time.Time        `json:"added,omitzero"` // when it came to be trusted
	Reason      string           `json:"reason"`
	Public      crypto.PublicKey `json:"-"`
}

// Owner returns the cluster and region.
func (k Key) Owner() pem.Owner { return pem.Owner{Cluster: k.Cluster, Region: k.Region} }

// Failure is a cluster, or a region of it, whose keys could not be learned, for whose keys there
// is no room, or whose logins are refused although its keys are trusted. What the mount trusts
// for it stays.
type Failure struct {
	Cluster, Region string
	Kept            int   // trusted keys that stay for its sake; with ErrAlgorithm alone, those that are of no use
	Err             error // ErrTurnover, ErrNotRead, ErrNoRoom, ErrAlgorithm, jwks.ErrNoKeys, or what the fetch gave
}

// Plan is what a sync would do to one mount. Each element of the mount's list is on one of
// Adopt, Keep, Remove, Claimed and Foreign. A key of which there are several elements may be
// on several, and a denied key that is published is on Remove and on Skipped.
type Plan struct {
	Changed bool      // whether anything is to be written
	Add     []Key     // published, not trusted
	Adopt   []Key     // trusted, its annotation to be written anew
	Keep    []Key     // trusted, and stays as it is
	Remove  []Key     // trusted, and goes
	Claimed []Key     // another harvester's, or a newer harvest's; stays
	Foreign []Key     // nobody's; stays
	Skipped []Key     // published, and not to be trusted; the reason says why
	Failed  []Failure // what could not be read, or has no room
	// Warnings say where a login could still fail, and other remarks: one for each of a
	// mount's settings first, then one for a cluster's region at the most, and last what there
	// is to say of the sets, of which each has 1,000 members at the most.
	Warnings []string

	// Settings are what is written besides the keys, by field: see Options.Settings and
	// Options.DefaultRole.
	Settings []Change

	current     Config
	set         map[string]any // Settings, as they are written
	next        []string
	without     []string // fields that a conversion drops
	placeholder bool
	unconfirmed bool                     // a key stays because its cluster was asked before it was added
	retained    map[pem.Fingerprint]bool // keys in their retention period; true: it begins with this plan

	givenBack, underTwoNames []Key
}

// ReasonDenied is the reason of a key on Remove or Skipped that is denied.
const ReasonDenied = "denied"

// Retained says whether a key on Keep or Adopt is no longer published, and stays for its
// retention period.
func (p *Plan) Retained(f pem.Fingerprint) bool {
	_, retained := p.retained[f]
	return retained
}

func (p *Plan) retain(f pem.Fingerprint, begins bool) {
	if p.retained == nil {
		p.retained = map[pem.Fingerprint]bool{}
	}
	p.retained[f] = begins
}

// TurnoverError is ErrTurnover with the keys on both sides.
type TurnoverError struct {
	Cluster, Region    string
	Trusted, Published []pem.Fingerprint
}

// Error implements error.
func (e *TurnoverError) Error() string {
	return fmt.Sprintf("%v: trusted %s, published %s; a wrong address, a rebuilt cluster, or one name for two clusters",
		ErrTurnover, shorts(e.Trusted), shorts(e.Published))
}

// Is reports true for ErrTurnover.
func (e *TurnoverError) Is(target error) bool { return target == ErrTurnover }

func shorts(fps []pem.Fingerprint) string {
	const most = 4
	var out []string
	for _, f := range fps[:min(len(fps), most)] {
		out = append(out, f.Short())
	}
	if len(fps) > most {
		out = append(out, fmt.Sprintf("and %d more", len(fps)-most))
	}
	return strings.Join(out, ", ")
}

// NewPlan returns what has to change on a mount with the configuration current, so that it
// trusts what want holds, under o. It reads no clock (o.Now is the time) and no network,
// and gives the same plan for the same arguments; only the key that stands in for an empty
// list is made later, by [Plan.Body].
//
// The error wraps [ErrNotStaticKeys], [ErrUnreadableFields], [ErrLastKey] or [ErrTooLarge],
// or says what is wrong with the arguments. A cluster that could not be read is no
// error: it is on Plan.Failed, and its keys stay. Nor is one whose keys have no room: see
// [Options.MaxKeys] and [MaxConfig].
func NewPlan(current Config, want Desired, o Options) (*Plan, error) {
	return newPlan(current, want, o, circumstances{})
}

func newPlan(current Config, want Desired, o Options, given circumstances) (*Plan, error) {
	if o.Now.IsZero() {
		return nil, errors.New("Options.Now is not set: a plan needs the time")
	}
	if err := o.check(want.Clusters); err != nil {
		return nil, err
	}
	if err := current.check(o.Convert); err != nil {
		return nil, err
	}
	p := newPlanner(current, want, o, given)
	if err := p.readResults(); err != nil {
		return nil, err
	}
	p.readTrusted()
	p.refuseTurnovers()
	p.noteMissingRegions()
	p.noteSilentClusters()
	p.offer()
	p.reconcile()
	p.passThrough()
	p.fit()
	p.passPlaceholders()
	return p.finish()
}

// Body returns the whole configuration to write, every field that harvest doesn't own as
// it was read. It makes the key that stands in for an empty list, where there is to be one.
func (p *Plan) Body() (map[string]any, error) {
	next := p.next
	if p.placeholder {
		element, err := newPlaceholder()
		if err != nil {
			return nil, err
		}
		next = []string{element}
	}
	return p.body(next), nil
}

func (p *Plan) body(elements []string) map[string]any {
	return p.current.body(elements, p.without, p.set)
}

// Current returns the configuration that the plan stands on.
func (p *Plan) Current() Config { return p.current }

// newPlaceholder returns a key that nobody can sign with: its private half is never kept.
func newPlaceholder() (string, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making a placeholder key: %w", err)
	}
	text, err := pem.Block{
		Public:     private.Public(),
		Annotation: pem.Annotation{Version: pem.Version, Placeholder: true},
	}.MarshalText()
	return string(text), err
}
