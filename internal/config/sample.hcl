# The configuration of harvest: which clusters publish keys, and which mounts of which
# Vaults trust them. A setting that is commented out ("#retain", without a space) is
# optional. Check the file with: harvest config validate -config FILE
# Every setting is described in: man 5 harvest.hcl

# Keys that no mount may ever trust, by the fingerprint that harvest plan -format json shows.
#deny = ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]

# A cluster is a source of keys. Its name marks its keys on each mount: to rename it,
# see "retired" below.
cluster "us-east" {
  # A Nomad agent.
  address = "https://nomad.us-east.example.com:4646"

  # Regions to ask that agent for; ["*"] is every federated one. Default: the agent's own.
  #regions = ["us-east-1", "us-east-2"]

  # The CA that signed its certificate, a PEM file (or ca_path, a directory). Default: the system's.
  #ca_cert = "/etc/harvest/nomad-ca.pem"

  # The client certificate, if the agent wants one (verify_https_client).
  #client_cert = "/etc/harvest/client.pem"
  #client_key  = "/etc/harvest/client-key.pem"

  # The name in the server's certificate, if it isn't the host of the address.
  #tls_server_name = "server.global.nomad"

  # Trust only these keys of the cluster.
  #pin = ["sha256:01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"]
}

# Any other JWKS document.
#cluster "other" {
  #jwks_url = "https://keys.example.com/jwks.json"
  #ca_path  = "/etc/harvest/ca.d"

  # The issuer that its tokens name, for lints: a key set doesn't say.
  #issuer = "https://keys.example.com"

  # A bearer token to ask with. The file is read each time.
  #token_file = "/etc/harvest/keys-token"
#}

# A Kubernetes cluster. With an empty block, the one that harvest runs in.
#cluster "k8s" {
  #kubernetes {
    #address         = "https://k8s.example.com:6443"
    #ca_cert         = "/etc/harvest/k8s-ca.pem"
    #tls_server_name = "kubernetes"
    #token_file      = "/etc/harvest/k8s-token"
  #}
#}

# An OIDC issuer, found by discovery.
#cluster "eks" {
  #oidc_issuer = "https://oidc.example.com/id/ABC"
#}

# A key set that is carried to this machine as a file.
#cluster "edge" {
  #jwks_file = "/var/lib/harvest/edge.json"
#}

# Keys that come over plain http or unverified TLS: anyone on that path chooses whom
# Vault trusts. For a laboratory.
#cluster "lab" {
  #address         = "https://nomad.lab.example.com:4646"
  #tls_skip_verify = true
  #allow_plaintext = true
#}

# Without a vault block, VAULT_ADDR, VAULT_TOKEN and the like say where Vault is, as for the
# vault command. Several blocks need names.
#vault "eu" {
  #address         = "https://vault.eu.example.com:8200"
  #namespace       = "platform"
  #ca_cert         = "/etc/harvest/vault-ca.pem"
  #client_cert     = "/etc/harvest/vault-client.pem"
  #client_key      = "/etc/harvest/vault-client-key.pem"
  #tls_server_name = "vault.example.com"

  # How to log in. Default: VAULT_TOKEN or ~/.vault-token.
  #auth "approle" {
    #mount          = "approle"
    #role_id        = "harvest"
    #secret_id_file = "/etc/harvest/secret-id"
  #}
#}

#vault "us" {
  #address = "https://vault.us.example.com:8200"
  #ca_path = "/etc/harvest/vault-ca.d"
  #auth "jwt" {
    #mount      = "jwt-harvest"
    #role       = "harvest"
    #token_file = "/secrets/nomad_vault_default.jwt"
  #}
#}

#vault "k8s" {
  #address = "https://vault.k8s.example.com:8200"
  #auth "kubernetes" {
    #mount      = "kubernetes"
    #role       = "harvest"
    #token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token"
  #}
#}

#vault "agent" {
  #address = "https://vault.agent.example.com:8200"
  #auth "token_file" {
    #path = "/run/vault-agent/token"
  #}
#}

# A Vault Agent or Vault Proxy that adds its own token (use_auto_auth_token).
#vault "proxy" {
  #address = "http://127.0.0.1:8100"
  #auth "none" {
  #}
#}

# A mount is a JWT auth method of Vault. Every key on it can mint every claim for it: give
# each cluster its own mount unless the clusters may act for one another.
mount "jwt-nomad" {
  clusters = ["us-east"]

  # The vault block, if there are several.
  #vault = "eu"

  # The mount's place, if it isn't in the vault block's namespace and at the name above.
  #namespace = "team-a"
  #path      = "jwt-nomad"

  # What to do with keys that belong to nobody: keep, warn or remove. Default: warn.
  #foreign = "warn"

  # Clusters, or regions of them, that are gone for good: their keys go.
  #retired = ["old", "us-east/us-east-3"]

  # How long to keep a key after its cluster dropped it. Default: an hour for keys from a URL or
  # an issuer, whose servers may answer differently, and zero for Nomad and files. After a leak,
  # deny the key: that waits for nothing.
  #retain = "1h"

  # How many keys of one cluster the mount takes. What is trusted and still published stays.
  # Default: 256.
  #max_keys = 256

  # Clusters whose keys may all be replaced at once. Default: none; such a change waits until it
  # is allowed.
  #allow_turnover = ["us-east"]

  # Keys that this mount may never trust.
  #deny = ["sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"]

  # Let the last key go: nobody can log in then. Default: false.
  #allow_empty = false

  # Turn a mount in jwks_url or OIDC mode into one with static keys. Default: false.
  #convert = false

  # Settings that are written with the keys, and put back if somebody changes them: the algorithms
  # that the mount takes ([] is all; a key that signs with none of them is left out), the only
  # issuer ("" is any), and the role of logins that name none ("" is none). Default, for each:
  # what the mount has stays.
  #jwt_supported_algs = ["RS256", "EdDSA"]
  #bound_issuer       = ""
  #default_role       = "nomad-workloads"

  # How long the mount must stand still after a write, in case others write it too. Default: 1s.
  #settle = "1s"

  # The role that workloads log in with, for harvest setup. Each setting shows its default,
  # except claims, the bounds, num_uses, max_ttl and both prefixes, which have none.
  #role "nomad-workloads" {
    #policy            = "nomad-workloads.jwt-nomad"
    #audiences         = ["vault.io"]
    #user_claim        = "sub"
    #claims            = { nomad_group = "nomad_group" }
    #bound             = { sub = "us-east-1:*" }
    #bound_subject     = "us-east-1:default:mongo:db:mongo:vault_default"
    #bound_cidrs       = ["10.0.0.0/8"]
    #num_uses          = 100
    #no_default_policy = false
    #period            = "30m"
    #max_ttl           = "24h"
    #kv                = "secret"
    #prefix            = "us-east"
    #job_prefix        = "job-"
  #}
}

# A relay publishes the judged keys of clusters as a key set of its own, for consumers that
# can't read the clusters: Consul, a proxy, a cloud. It is a directory, which harvest watch can
# also serve (-relay-listen). Anyone who trusts it trusts each of its clusters for every claim: one
# relay for each cluster is safer.
#relay "nomad" {
  #clusters = ["us-east"]

  # A directory of its own, which must exist, for keys.pem, jwks.json and, with an issuer,
  # .well-known/openid-configuration. It must belong to root or to the user that harvest runs as,
  # and only harvest's own group may write it besides.
  #dir = "/var/lib/harvest/relay/nomad"

  # The issuer of the discovery document, which must be the one that the tokens name.
  # Default: none.
  #issuer = "https://keys.example.com/relay/nomad"

  # The rules of a mount.
  #retired        = ["old"]
  #retain         = "1h"
  #max_keys       = 256
  #allow_turnover = ["us-east"]
  #deny           = ["sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"]
#}
