package vaultauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/vaultsync"
)

// keeperTimes are the times of a Keeper. A test shortens them.
type keeperTimes struct {
	retryMin, retryMax time.Duration // between tries to log in, to look up or to renew
	refusedMax         time.Duration // between logins that each end in a 403
	file               time.Duration // between looks at a token file
	revoke             time.Duration // for giving a token back
}

var defaultKeeperTimes = keeperTimes{
	retryMin: time.Second, retryMax: time.Minute, refusedMax: 5 * time.Minute, file: 2 * time.Second, revoke: 500 * time.Millisecond,
}

// errRefused: Vault no longer honours the token, and there is no other.
var errRefused = errors.New("Vault refuses the token: it expired or was revoked, and where it came from there is no other")

// Keeper keeps a Vault's client in possession of a token that works. It logs in again at
// two thirds of the lease, and after a sync was answered 403; a token that came from
// elsewhere it renews where it can be, and reads again from where it came. What fails is
// tried again, for ever. When it ends it gives back the login in use, and none before: a
// sync may be under way with it.
type Keeper struct {
	vault  config.Vault
	client *api.Client // of the mounts
	door   *api.Client // for logins: it never has a token
	times  keeperTimes
	getenv func(string) string
	log    *slog.Logger
	tell   func(error) // hears how each try ended

	first   chan struct{} // closed after the first try
	refused chan struct{} // a sync was answered 403
	honours atomic.Bool   // a sync was answered otherwise since the last 403

	// Of run alone:
	lease     lease
	failures  int       // tries in a row
	refusals  int       // 403s in a row, a new token between each two
	refusedAt time.Time // when the first of them was
}

// lease is what is known of the token in use, which the client alone holds: what prints a
// keeper prints no token.
type lease struct {
	of        mark // zero: there is none yet
	ttl       time.Duration
	renewable bool
}

// mark tells tokens apart.
type mark [sha256.Size]byte

func markOf(token string) mark { return sha256.Sum256([]byte(token)) }

// NewKeeper returns a Keeper that tells how each try ended, of success by nil.
func NewKeeper(v config.Vault, getenv func(string) string, log *slog.Logger, tell func(error)) (*Keeper, error) {
	client, err := NewClient(v)
	if err != nil {
		return nil, err
	}
	door, err := NewClient(v)
	if err != nil {
		return nil, err
	}
	door.ClearToken()
	client.ClearToken()
	return &Keeper{
		vault: v, client: client, door: door, times: defaultKeeperTimes, getenv: getenv, log: log, tell: tell,
		first: make(chan struct{}), refused: make(chan struct{}, 1),
	}, nil
}

// Client returns the client whose token is kept.
func (k *Keeper) Client() *api.Client { return k.client }

// Tried returns a channel that is closed after the first try.
func (k *Keeper) Tried() <-chan struct{} { return k.first }

// Name returns the Vault as the log has it; a label tells blocks of one address apart.
func (k *Keeper) Name() string {
	address := (&vaultsync.Mount{Client: k.client}).ID().Vault
	if k.vault.Name == "" {
		return address
	}
	return k.vault.Name + " at " + address
}

// String keeps the clients' tokens out of what prints a keeper.
func (k *Keeper) String() string { return "keeper of " + k.Name() }

// Report tells the keeper how a sync with its token ended.
func (k *Keeper) Report(err error) {
	switch {
	case err == nil:
		k.honours.Store(true)
	case errors.Is(err, vaultsync.ErrForbidden):
		select {
		case k.refused <- struct{}{}:
		default: // it knows
		}
	}
}

// Run keeps the token until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	defer k.giveBack(ctx)
	attempted := sync.OnceFunc(func() { close(k.first) })
	defer attempted()
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	look := time.NewTicker(k.times.file)
	defer look.Stop()
	found := make(chan mark, 1) // what a look at the token file came to
	looking := false
	anew := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			err := k.refresh(ctx, anew)
			if ctx.Err() != nil {
				return
			}
			k.tell(err)
			attempted()
			wait := k.next(err)
			anew = err != nil && (anew || errors.Is(err, errRefused))
			due = time.Now().Add(wait)
			timer.Reset(wait)
		case <-look.C:
			if !looking && k.hasFile() {
				looking = true
				go func() { found <- k.look(ctx) }()
			}
		case now := <-found: // the token goes on being renewed meanwhile, however long it took
			looking = false
			if now != (mark{}) && now != k.lease.of {
				anew = true
				timer.Reset(0)
			}
		case <-k.refused:
			if anew { // about to have another
				continue
			}
			anew = true
			if wait := k.refusal(); wait < time.Until(due) {
				timer.Reset(wait)
			}
		}
	}
}

// minRenew keeps a lease of nothing from being renewed in a tight loop.
const minRenew = 250 * time.Millisecond

// forever is how long a token is left alone that has no end.
const forever = 365 * 24 * time.Hour

// next returns how long to wait after a try.
func (k *Keeper) next(err error) time.Duration {
	if err != nil {
		k.failures++
		return wait.Backoff(k.times.retryMin, k.times.retryMax, k.failures-1)
	}
	k.failures = 0
	if k.lease.ttl <= 0 || !k.isLogin() && !k.lease.renewable {
		return forever
	}
	return max(k.lease.ttl*2/3, minRenew)
}

// refusal returns how long to wait before the next token: not at all after the first 403,
// ever longer where new tokens are refused as well.
func (k *Keeper) refusal() time.Duration {
	// One mount that is forbidden beside another that isn't would else log in again and again.
	if k.honours.Swap(false) && time.Since(k.refusedAt) >= k.times.refusedMax {
		k.refusals = 0
	}
	k.refusals++
	if k.refusals == 1 {
		k.refusedAt = time.Now()
		return 0
	}
	return wait.Backoff(k.times.retryMin, k.times.refusedMax, k.refusals-2)
}

// refresh gives the client another token, or the one that it has a longer life.
func (k *Keeper) refresh(ctx context.Context, anew bool) error {
	ctx, cancel := context.WithTimeout(ctx, maxLogin)
	defer cancel()
	switch {
	case k.vault.Auth.IsNone(): // anyone who adds the token keeps it
		return nil
	case k.isLogin():
		err := k.logIn(ctx)
		if err != nil && !anew && k.lease.renewable {
			// The login may be locked out for a while, its lease needn't end with that.
			_ = k.renew(ctx)
		}
		return err
	case !anew:
		return k.renew(ctx)
	}
	token, err := k.given(ctx)
	if err != nil {
		return err
	}
	k.client.SetToken(token)
	k.lease = lease{of: markOf(token)} // known, whatever comes of the question: it isn't news any more
	return k.lookUp(ctx, token)
}

func (k *Keeper) isLogin() bool { return k.vault.Auth.LogsIn() }

func (k *Keeper) logIn(ctx context.Context) error {
	secret, err := authenticate(ctx, k.vault, k.door)
	if err != nil {
		return err
	}
	k.client.SetToken(secret.Auth.ClientToken)
	k.lease = leaseOf(secret)
	return nil
}

func leaseOf(secret *api.Secret) lease {
	return lease{markOf(secret.Auth.ClientToken), time.Duration(secret.Auth.LeaseDuration) * time.Second, secret.Auth.Renewable}
}

// renew asks for a longer life. Vault grants less than before where the end can't be put
// off any more.
func (k *Keeper) renew(ctx context.Context) error {
	secret, err := k.client.Auth().Token().RenewSelfWithContext(ctx, 0)
	switch {
	case vaultapi.IsForbidden(err):
		return errRefused
	case err != nil:
		return fmt.Errorf("renewing the token: %w", loginError(k.client, "auth/token/renew-self", err, k.client.Token()))
	case secret == nil || secret.Auth == nil:
		return errors.New("renewing the token: Vault gave no lease")
	}
	k.lease.ttl, k.lease.renewable = time.Duration(secret.Auth.LeaseDuration)*time.Second, secret.Auth.Renewable
	return nil
}

// given returns the token that others have put where it is found.
func (k *Keeper) given(ctx context.Context) (string, error) {
	if k.vault.Auth != nil {
		return readSecret(ctx, k.vault.Auth.TokenFile)
	}
	if token := k.getenv(api.EnvVaultToken); token != "" {
		return token, nil
	}
	token, err := helperToken()
	switch {
	case err != nil:
		return "", fmt.Errorf("%w (the token helper: %w)", errNoToken, err)
	case token == "":
		return "", errNoToken
	}
	return token, nil
}

// hasFile reports whether others may put another token into a file. A token helper, which may be a
// program, is asked only after a 403.
func (k *Keeper) hasFile() bool {
	return k.vault.Auth != nil && !k.vault.Auth.IsNone() && !k.isLogin()
}

// look returns which token is in the file; the zero mark is none. A pipe is read where a token is
// wanted, and not looked at.
func (k *Keeper) look(ctx context.Context) mark {
	info, err := os.Stat(k.vault.Auth.TokenFile)
	if err != nil || !info.Mode().IsRegular() {
		return mark{}
	}
	token, err := k.given(ctx)
	if err != nil {
		return mark{}
	}
	return markOf(token)
}

// lookUp asks Vault how long the client's token lasts. One that may not ask is taken to
// last, unless a sync was refused with it.
func (k *Keeper) lookUp(ctx context.Context, token string) error {
	secret, err := k.client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case vaultapi.IsForbidden(err):
		k.lease = lease{of: markOf(token)}
		if k.refusals > 0 {
			return errRefused
		}
		return nil
	case err != nil:
		return fmt.Errorf("looking up the token: %w", loginError(k.client, "auth/token/lookup-self", err, token))
	}
	l := lease{of: markOf(token)}
	if ttl, err := secret.TokenTTL(); err == nil {
		l.ttl = ttl
	}
	l.renewable, _ = secret.TokenIsRenewable()
	if l.ttl > 0 && !l.renewable {
		k.log.Warn("the token for Vault ends and can't be renewed", "vault", k.Name(), "ends_in", l.ttl.String())
	}
	k.lease = l
	return nil
}

// giveBack revokes the login in use.
func (k *Keeper) giveBack(ctx context.Context) {
	if k.isLogin() && k.lease.of != (mark{}) {
		revoke(ctx, k.client, k.times.revoke)
	}
}
