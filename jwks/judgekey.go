package jwks

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/text"
)

// Judge returns nil for a key that may verify signatures. Otherwise it returns a *[KeyError] with
// the [Reason]; its Position is -1. Call it before you trust a key: [Parse] leaves to it what takes
// longer to find out, and a key that Parse didn't read has not been judged at all.
//
// Besides what Parse asks of a key, it refuses an RSA modulus that has a prime factor under 2^20,
// two primes that Fermat's method finds in 100 rounds, the fingerprint of ROCA (CVE-2017-15361) or
// a repeating pattern, or that is a prime itself. It doesn't test whether a modulus is the product
// of exactly two large primes: no cheap test does.
//
// An RSA key takes some milliseconds the first time. Judge remembers the verdicts on the last keys
// that it judged, 8,192 or more of them, while the process lives. Judge may be called from several
// goroutines.
func Judge(k Key) error {
	why := judgeKey(k)
	if why == nil {
		return nil
	}
	return &KeyError{Position: -1, KeyID: text.KeyID(k.KeyID), Reason: why.reason, Detail: why.detail}
}

// Judge returns a copy of the set without the keys that [Judge] refuses, which it appends to
// Skipped. If no key is left it returns a *[NoKeysError]. The set itself isn't changed.
func (s *Set) Judge() (*Set, error) {
	judged := *s
	judged.Keys, judged.Skipped = nil, slices.Clone(s.Skipped)
	for _, k := range s.Keys {
		if refusal, refused := errors.AsType[*KeyError](Judge(k)); refused {
			judged.Skipped = append(judged.Skipped, refusal)
		} else {
			judged.Keys = append(judged.Keys, k)
		}
	}
	if len(judged.Keys) == 0 {
		return nil, &NoKeysError{Skipped: judged.Skipped, Index: s.Index}
	}
	return &judged, nil
}

// judgeAhead judges the keys of a set where it arrives, beside the fetching of others. The
// verdicts are remembered, so that a plan with a thousand clusters doesn't wait for one key
// after another. A hostile set takes minutes: what is left after judgeAheadFor is left to who asks
// next, and so is a panic. Few judge at the same time, so that others get on.
func judgeAhead(ctx context.Context, set *Set) {
	ctx, cancel := context.WithTimeout(ctx, judgeAheadFor)
	defer cancel()
	_ = contain.Panics(func() error {
		for _, k := range set.Keys {
			if err := judgeInSlot(ctx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func judgeInSlot(ctx context.Context, k Key) error {
	if err := judging.acquire(ctx); err != nil {
		return err
	}
	defer judging.release()
	_ = Judge(k)
	return ctx.Err()
}

const judgeAheadFor = 2 * time.Second

var judging = make(slots, (runtime.GOMAXPROCS(0)+1)/2)

func judgeKey(k Key) *objection {
	m := member{kid: k.KeyID, use: k.Use}
	var test func() *objection
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		m.keyType, test = "RSA", func() *objection { return judgeRSAKey(public) }
	case *ecdsa.PublicKey:
		m.keyType, m.curve, test = "EC", curveName(public), func() *objection { return judgePoint(public) }
	case ed25519.PublicKey:
		m.keyType, m.curve, test = "OKP", "Ed25519", func() *objection { return judgeEd25519Point(public) }
	default:
		return object(ReasonKeyType, "%T is no type of public key that is known here", k.Public)
	}
	for _, test := range memberTests {
		if why := test(&m); why != nil {
			return why
		}
	}
	for _, m.alg = range k.Algorithms {
		if why := algorithmFits(&m); why != nil {
			return why
		}
	}
	return test()
}

// curveName returns the "crv" of a key on one of the curves that are known here, as the
// standard library implements them.
func curveName(public *ecdsa.PublicKey) string {
	if public == nil {
		return ""
	}
	for name, curve := range curves {
		if public.Curve == curve {
			return name
		}
	}
	return "other than P-256, P-384 and P-521"
}

func judgePoint(public *ecdsa.PublicKey) *objection {
	if public.X == nil || public.Y == nil { //nolint:staticcheck // to see whether they are there
		return object(ReasonMalformed, "EC key without coordinates")
	}
	if _, err := public.Bytes(); err != nil {
		return offCurve
	}
	return nil
}

// rsaWeaknesses are the tests that take long, in the order in which they object. [composite], which
// takes longer than all of them together, objects after them.
var rsaWeaknesses = []func(n *big.Int) *objection{notROCA, noSmallFactor, primesApart, noPattern}

func judgeRSAKey(public *rsa.PublicKey) *objection {
	if public == nil || public.N == nil || public.N.Sign() <= 0 {
		return object(ReasonMalformed, "RSA key without a modulus")
	}
	if why := judgeNumbers(public.N, big.NewInt(int64(public.E))); why != nil {
		return why
	}
	n := new(big.Int).Set(public.N) // the caller's may change
	return weaknesses.of(n, func() *objection { return weakness(n) })
}

// weakness returns what makes a modulus weak that passes at a glance. A login may be waiting for
// the key: so the test that takes longest runs beside the others.
func weakness(n *big.Int) *objection {
	isComposite := sync.OnceValue(func() *objection { return composite(n) }) // a panic is the caller's
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() {
		_ = contain.Panics(func() error {
			isComposite()
			return nil
		})
	})
	for _, test := range rsaWeaknesses {
		if why := test(n); why != nil {
			return why
		}
	}
	return isComposite()
}

// weaknesses are those of the moduli that were judged last.
var weaknesses verdicts

// verdicts remembers what was found out about moduli. A cluster may publish a thousand new ones
// every second: so there are two generations of maxVerdicts at most, and what isn't asked for
// while the newer one fills is forgotten.
type verdicts struct {
	mu           sync.Mutex
	newer, older map[[sha256.Size]byte]func() *objection
}

const maxVerdicts = 8192

// of returns the verdict on a modulus, which judge is called for where it isn't known: once,
// however many goroutines ask.
func (v *verdicts) of(n *big.Int, judge func() *objection) *objection {
	return v.remember(sha256.Sum256(n.Bytes()), judge)()
}

func (v *verdicts) remember(id [sha256.Size]byte, judge func() *objection) func() *objection {
	v.mu.Lock()
	defer v.mu.Unlock()
	if verdict := v.newer[id]; verdict != nil {
		return verdict
	}
	verdict := v.older[id]
	if verdict == nil {
		verdict = sync.OnceValue(judge) // which panics again, where judge did
	}
	if v.newer == nil || len(v.newer) == maxVerdicts {
		v.newer, v.older = map[[sha256.Size]byte]func() *objection{}, v.newer
	}
	v.newer[id] = verdict
	return verdict
}
