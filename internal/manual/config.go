package manual

import (
	"cmp"
	"fmt"
	"slices"
)

// Attribute is a setting as the manual describes it.
type Attribute struct{ Name, Kind, Default, Text string }

// Required reports whether a configuration must have it.
func (a Attribute) Required() bool { return a.Default == required }

// The kinds of settings.
const (
	kindText         = "string"
	kindTexts        = "list of strings"
	kindFingerprints = "list of fingerprints"
	kindFlag         = "bool"
	kindDuration     = "duration"
	kindMap          = "map of strings"
	kindNumber       = "number"
)

const required = "none: it is required"

func manTLS(of string) []Attribute {
	return []Attribute{
		{"ca_cert", kindText, "the system's", "File with the CA certificates, in PEM, that " + of + " certificate must be from."},
		{"ca_path", kindText, "the system's", "Directory with such files."},
		{"client_cert", kindText, "", "File with the certificate to show, in PEM; with `client_key` only."},
		{"client_key", kindText, "", "File with its private key, in PEM."},
		{"tls_server_name", kindText, "the address's host", "Name that the certificate must be for."},
	}
}

// Blocks are the blocks of a configuration, in the order of the manual. "" is what is
// outside of all blocks; "role" is in a mount, "auth …" in a vault.
var Blocks = []struct {
	Name, Header, Text string
	Attributes         []Attribute
}{
	{"", "", "", []Attribute{
		{"deny", kindFingerprints, "", "Keys that no mount may trust. They are removed wherever they are found, no matter whose they are."},
	}},
	{"cluster", `cluster "NAME"`, "A source of keys.\nThe name marks which of a mount's keys are the cluster's own. After a rename, strike the old name off (`retired`).\n" +
		"A cluster has exactly one of `address`, `jwks_url`, `jwks_file`, `oidc_issuer` and a `kubernetes` block.", slices.Concat([]Attribute{
		{"address", kindText, "", "URL of a Nomad agent."},
		{"jwks_url", kindText, "", "URL of any JWKS document."},
		{"jwks_file", kindText, "", "File with a JWKS document."},
		{"oidc_issuer", kindText, "", "URL of an OIDC issuer. Discovery finds its key set."},
		{"regions", kindTexts, "the agent's own", "Nomad regions to ask the agent for; [\"*\"] is every federated one, \"\" the agent's own. With `address` only."},
		{"issuer", kindText, "what the source says, if it does", "Issuer that the tokens name, for lints and bound_issuer. With `jwks_url`, `jwks_file` or `kubernetes`."},
		{"token_file", kindText, "", "File with the bearer token to ask with, read again each time. With `jwks_url` or `oidc_issuer`. It is sent over TLS that verifies the server, and to no other origin."},
	}, manTLS("the server's"), []Attribute{
		{"tls_skip_verify", kindFlag, "false", "Don't verify the server's certificate. Also needs `allow_plaintext`."},
		{"allow_plaintext", kindFlag, "false", "Take keys over plain http or unverified TLS: anyone on that path chooses whom Vault trusts."},
		{"pin", kindFingerprints, "every key", "The only keys that are trusted from this cluster."},
	})},
	{"kubernetes", `kubernetes`, "In a cluster block: the keys that verify the tokens of a Kubernetes cluster's service accounts. harvest asks the API server, " +
		"and no other address that it names.\nWithout an address it is the Kubernetes that harvest runs in, with the CA and the token of the pod.", []Attribute{
		{"address", kindText, "https://kubernetes.default.svc", "URL of the API server: https."},
		{"ca_cert", kindText, "the pod's, or with an address the system's", "File with the CA certificates, in PEM, that its certificate must be from."},
		{"tls_server_name", kindText, "the address's host", "Name that the certificate must be for."},
		{"token_file", kindText, "the pod's, or with an address none", "File with the token of a service account, read again each time."},
	}},
	{"vault", `vault ["NAME"]`, "A Vault (or OpenBao).\nWithout such a block it is the one that the environment describes (see ENVIRONMENT in harvest(1)). " +
		"A block overrides the environment. One with a name and an address takes neither address, namespace nor TLS from it.\nSeveral blocks need names.",
		slices.Concat([]Attribute{
			{"address", kindText, "VAULT_ADDR", "URL of Vault: https, http or unix."},
			{"namespace", kindText, "VAULT_NAMESPACE, or none", "Namespace to log in to and to find mounts in."},
		}, manTLS("Vault's"))},
	{"auth jwt", `auth "jwt"`, "In a vault block: log in with a JWT, such as a Nomad workload identity.", []Attribute{
		{"mount", kindText, required, "Path of the JWT auth method, such as jwt-nomad."},
		{"role", kindText, "the mount's default_role", "Role to log in with."},
		{"token_file", kindText, required, "File with the JWT, read again at each login."},
	}},
	{"auth approle", `auth "approle"`, "In a vault block: log in by AppRole.", []Attribute{
		{"mount", kindText, "approle", "Path of the auth method."},
		{"role_id", kindText, required, "Role id."},
		{"secret_id_file", kindText, required, "File with the secret id, read again at each login."},
	}},
	{"auth kubernetes", `auth "kubernetes"`, "In a vault block: log in with a service account.", []Attribute{
		{"mount", kindText, "kubernetes", "Path of the auth method."},
		{"role", kindText, required, "Role to log in with."},
		{"token_file", kindText, "/var/run/secrets/kubernetes.io/serviceaccount/token", "File with the service account's token."},
	}},
	{"auth token_file", `auth "token_file"`, "In a vault block: a token that something else keeps fresh, such as Vault Agent.", []Attribute{
		{"path", kindText, required, "File with the token."},
	}},
	{"auth none", `auth "none"`, "In a vault block: send no token. For a Vault Agent or Vault Proxy at the address that adds its own (use_auto_auth_token).", nil},
	{"mount", `mount "NAME"`, "A JWT auth method, and the clusters that it trusts.\nEvery key on a mount can mint every claim for it: give each cluster its own mount unless the clusters may act for one another.", []Attribute{
		{"clusters", kindTexts, required, "Names of the clusters whose keys it trusts."},
		{"vault", kindText, "the only one", "Name of the vault block."},
		{"namespace", kindText, "the vault block's", "Namespace that the mount is in, as a path from the root namespace. It replaces the vault block's, and isn't relative to it."},
		{"path", kindText, "the block's name", "Path of the mount."},
		{"foreign", kindText, "warn", "What to do with keys without an annotation, which belong to nobody: `keep`, `warn` (and keep) or `remove`."},
		{"retired", kindTexts, "", "Clusters, or regions as CLUSTER/REGION, that are struck off. A cluster that still publishes their keys takes them over; the others are removed."},
		{"retain", kindDuration, "1h for jwks_url and issuers, else 0s", "How long a key stays after its cluster dropped it. A URL or an issuer is asked twice before a key counts as dropped. `deny` ends the time at once."},
		{"max_keys", kindNumber, "256", "How many keys of one cluster the mount takes; harvest reports the others. Retained keys give way first. What is trusted and still published stays."},
		{"allow_turnover", kindTexts, "", "Clusters, or CLUSTER/REGION, whose keys may all be replaced at once; [\"*\"] is every cluster. Otherwise such a change waits until it is allowed."},
		{"deny", kindFingerprints, "", "Keys that this mount may not trust."},
		{"allow_empty", kindFlag, "false", "Let the last key go: nobody can log in then."},
		{"convert", kindFlag, "false", "Turn a mount in jwks_url or OIDC mode into one with static keys."},
		{"jwt_supported_algs", kindTexts, "", "The algorithms that the mount takes, such as RS256 and EdDSA; [] is all of them. A key that signs with none of them is left out. Not stated, the mount's own list stays."},
		{"bound_issuer", kindText, "", "The only issuer (iss) whose tokens the mount takes, \"\" for any. Not stated, the mount's own stays."},
		{"default_role", kindText, "", "The role of logins that name none; \"\" refuses such logins. Not stated, the mount's own stays."},
		{"settle", kindDuration, "1s", "How long the list must stand still after a write. Make it more than twice as long as a write takes to reach Vault, and the same for all who write the mount."},
	}},
	{"role", `role "NAME"`, "In a mount block, any number of times: a role and its policy, for `harvest setup`. Without one there is nomad-workloads.", []Attribute{
		{"policy", kindText, "the one it has, or ROLE.MOUNT", "Name of the policy. A policy is for one mount; harvest never changes another mount's."},
		{"audiences", kindTexts, `["vault.io"]`, "A token must have one of these."},
		{"user_claim", kindText, "sub", "Claim that names the entity of a login, or its JSON pointer (/nomad_job_id). Tokens with the same value share one entity, and the secrets of whichever logged in last: see the trust model."},
		{"claims", kindMap, "", "Further claims for policies, by their source in the token. nomad_namespace, nomad_job_id and nomad_task are always there."},
		{"bound", kindMap, "", "Claims that a token must have; * matches anything. A nomad_namespace without * is plain text in the policy."},
		{"bound_subject", kindText, "", "The sub that a token must have, compared literally."},
		{"bound_cidrs", kindTexts, "", "Networks that logins, and requests with their tokens, must come from."},
		{"num_uses", kindNumber, "no limit", "How many requests a token is good for. Each renewal by Nomad is a request."},
		{"no_default_policy", kindFlag, "false", "Leave out Vault's default policy. A token can't renew itself without it."},
		{"period", kindDuration, "30m", "How long a token lives unless it is renewed."},
		{"max_ttl", kindDuration, "no limit", "How long it lives at most."},
		{"kv", kindText, "secret", "Path of the KV engine, of version 2, with the secrets."},
		{"prefix", kindText, "", "Path before the job's namespace there, such as the cluster's name."},
		{"job_prefix", kindText, "", "Text before the job's name there, such as job-. Secrets are then at <namespace>/job-<job>/job-<job>/<name>, and the jobs of a namespace are kept apart, even those called *, + or team/+. Without it such a job reads the secrets of others in its namespace. With it, job a still reads those of a job that is called a/job-a."},
	}},
	{"relay", `relay "NAME"`, "Publishes the judged keys of clusters as a key set, for consumers that can't read the clusters. " +
		"It is a directory, which `harvest watch` can also serve (`-relay-listen`).\nAnyone who trusts a relay trusts each of its clusters for every claim.", []Attribute{
		{"clusters", kindTexts, required, "Names of the clusters whose keys it publishes."},
		{"dir", kindText, required, "Directory of its own, which must exist, for keys.pem, jwks.json and, with `issuer`, .well-known/openid-configuration. Other files in it stay."},
		{"issuer", kindText, "none", "URL of the issuer for the discovery document, https and without a slash at the end. Its jwks_uri is ISSUER/jwks.json."},
		{"retired", kindTexts, "", "As of a mount."},
		{"retain", kindDuration, "0s", "As of a mount."},
		{"max_keys", kindNumber, "256", "As of a mount."},
		{"allow_turnover", kindTexts, "", "As of a mount."},
		{"deny", kindFingerprints, "", "Keys that this relay may not publish."},
	}},
}

// Config returns harvest.hcl(5). usual is where the configuration usually is, and maxMiB how large
// it may be.
func Config(usual string, maxMiB int) string {
	r := newRoff("harvest.hcl", 5, "File Formats")
	r.section("NAME")
	r.WriteString("harvest.hcl \\- which clusters publish keys, and which Vault mounts trust them\n")
	r.section("DESCRIPTION")
	r.prose("The file that `-config` of harvest(1) names, usually " + usual + ".\nIt is in HCL: blocks and plain values, without expressions, " +
		fmt.Sprintf("at most %d MiB.\n", maxMiB) +
		"`harvest config init` prints one to start from, and `harvest config validate` finds every mistake in one.\n" +
		"An attribute or block that is not described here is a mistake, and so is one that is empty or null.")
	r.WriteString(".PP\n")
	r.prose("A duration is a string such as \"90s\" or \"1h\".\nA fingerprint is the SHA-256 of a key's SubjectPublicKeyInfo, as in \"sha256:\" and 64 hexadecimal digits: `harvest plan -format json` shows them.")
	for _, b := range Blocks {
		r.section(cmp.Or(b.Header, "OUTSIDE OF BLOCKS"))
		if b.Text != "" {
			r.prose(b.Text)
		}
		for _, a := range b.Attributes {
			text := a.Text
			if a.Default != "" {
				text += "\nDefault: " + a.Default + "."
			}
			r.item(`\fB`+Escape(a.Name)+`\fR = \fI`+Escape(a.Kind)+`\fR`, text)
		}
	}
	r.section("EXAMPLE")
	r.code(`cluster "us-east" {
  address = "https://nomad.us-east.example.com:4646"
  ca_cert = "/etc/harvest/nomad-ca.pem"
}

vault {
  address = "https://vault.example.com:8200"
  auth "approle" {
    role_id        = "harvest"
    secret_id_file = "/etc/harvest/secret-id"
  }
}

mount "jwt-nomad" {
  clusters = ["us-east"]
  retain   = "1h"
}`)
	r.section("SEE ALSO")
	r.WriteString("\\fBharvest\\fR(1)\n")
	return r.String()
}
