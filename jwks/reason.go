package jwks

// Reason says why a member of a set isn't among its keys. The values are part of
// the output (logs, JSON) and don't change.
type Reason string

// Reasons. A skipped member isn't meant to verify tokens, or isn't known here. A rejected one is
// meant to, and must not be trusted.
const (
	ReasonMalformed   Reason = "malformed"    // rejected: the member can't be decoded
	ReasonKeyType     Reason = "kty"          // skipped: unknown "kty" or curve
	ReasonUse         Reason = "use"          // skipped: "use" other than "sig" or "jwt-svid"
	ReasonOperations  Reason = "key_ops"      // skipped: "key_ops" without "verify"
	ReasonAlgorithm   Reason = "alg"          // rejected: "alg" doesn't fit the key
	ReasonKeyID       Reason = "kid"          // rejected: "kid" too long or not printable
	ReasonSize        Reason = "size"         // rejected: RSA modulus under 2048 or over 4096 bits
	ReasonModulus     Reason = "modulus"      // rejected: even RSA modulus
	ReasonExponent    Reason = "exponent"     // rejected: RSA exponent even, under 65537 or over 2^31-1
	ReasonFactor      Reason = "factor"       // rejected: RSA modulus with a prime factor under 2^20
	ReasonROCA        Reason = "roca"         // rejected: RSA modulus with the ROCA fingerprint (CVE-2017-15361)
	ReasonClosePrimes Reason = "close_primes" // rejected: RSA modulus that Fermat's method factors
	ReasonPattern     Reason = "pattern"      // rejected: RSA modulus that repeats a pattern
	ReasonPrime       Reason = "prime"        // rejected: RSA modulus that is itself a prime
	ReasonPoint       Reason = "point"        // rejected: EC or Ed25519 point of the wrong length or form, or off its curve
	ReasonOrder       Reason = "order"        // rejected: Ed25519 point of small order
)
