package fakenomad

import (
	"cmp"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Workload is the task that a token is for. The zero value is task mongo of group db of
// job mongo in namespace default, with an hour to live.
type Workload struct {
	Namespace, Job, Group, Task string
	Audience                    string        // "": vault.io
	Issuer                      string        // "": none, as without oidc_issuer
	TTL                         time.Duration // 0: an hour; negative: expired
	Key                         *Key          // nil: the region's active one
}

// Token signs a workload identity as Nomad does for a task's vault block.
func (r *Region) Token(w Workload) string {
	namespace := cmp.Or(w.Namespace, "default")
	job, group, task := cmp.Or(w.Job, "mongo"), cmp.Or(w.Group, "db"), cmp.Or(w.Task, "mongo")
	now := time.Now()
	claims := map[string]any{
		"aud":                 cmp.Or(w.Audience, "vault.io"),
		"iat":                 now.Unix(),
		"nbf":                 now.Unix(),
		"exp":                 now.Add(cmp.Or(w.TTL, time.Hour)).Unix(),
		"jti":                 newUUID(),
		"sub":                 r.Name + ":" + namespace + ":" + job + ":" + group + ":" + task + ":vault_default",
		"nomad_namespace":     namespace,
		"nomad_job_id":        job,
		"nomad_task":          task,
		"nomad_allocation_id": newUUID(),
	}
	if w.TTL < 0 {
		past := now.Add(2 * w.TTL).Unix()
		claims["iat"], claims["nbf"] = past, past
	}
	if w.Issuer != "" {
		claims["iss"] = w.Issuer
	}
	return Sign(cmp.Or(w.Key, r.Active()), claims)
}

// Sign makes a JWT of any claims with that key.
func Sign(k *Key, claims map[string]any) string {
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", k.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: k.Private}, opts)
	if err != nil {
		panic(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}
