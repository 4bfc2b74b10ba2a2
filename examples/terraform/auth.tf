# What `harvest setup -mount jwt-nomad -kv kv -policy nomad-workloads -print terraform` prints, with the reasons, but for the keys:
# that prints all that the mount is to hold. Here the first one comes from a file.
resource "vault_jwt_auth_backend" "jwt-nomad" {
  path         = "jwt-nomad"
  type         = "jwt"
  default_role = "nomad-workloads"

  # For the first apply alone: Vault refuses an empty list. README.md says how the file is made.
  jwt_validation_pubkeys = [file("first-key.pem")]

  # These are harvest's. Without this, each apply would put the first key back, and every
  # login with a key since then would fail.
  lifecycle {
    ignore_changes = [jwt_validation_pubkeys, jwt_supported_algs]
  }
}

# The claims of a login are kept as metadata of its alias on that mount, which the accessor
# names. A mount that is made again has another accessor, and this policy follows it.
resource "vault_policy" "nomad-workloads" {
  name   = "nomad-workloads"
  policy = <<-EOT
    # harvest/1: what a Nomad job may read, by the claims of its workload identity

    path "kv/data/{{identity.entity.aliases.${vault_jwt_auth_backend.jwt-nomad.accessor}.metadata.nomad_namespace}}/{{identity.entity.aliases.${vault_jwt_auth_backend.jwt-nomad.accessor}.metadata.nomad_job_id}}" {
      capabilities = ["read"]
    }

    path "kv/data/{{identity.entity.aliases.${vault_jwt_auth_backend.jwt-nomad.accessor}.metadata.nomad_namespace}}/{{identity.entity.aliases.${vault_jwt_auth_backend.jwt-nomad.accessor}.metadata.nomad_job_id}}/*" {
      capabilities = ["read"]
    }

    path "kv/metadata/{{identity.entity.aliases.${vault_jwt_auth_backend.jwt-nomad.accessor}.metadata.nomad_namespace}}/*" {
      capabilities = ["list"]
    }
  EOT
}

resource "vault_jwt_auth_backend_role" "nomad-workloads" {
  backend           = vault_jwt_auth_backend.jwt-nomad.path
  role_name         = "nomad-workloads"
  bound_audiences   = ["vault.io"]
  bound_claims      = {}
  bound_claims_type = "string"
  claim_mappings = {
    "nomad_job_id"    = "nomad_job_id"
    "nomad_namespace" = "nomad_namespace"
    "nomad_task"      = "nomad_task"
  }
  role_type               = "jwt"
  token_explicit_max_ttl  = 0
  token_period            = 1800
  token_policies          = ["nomad-workloads"]
  token_type              = "service"
  user_claim              = "sub"
  user_claim_json_pointer = false
}

# What harvest itself logs in with needs this and nothing else: harvest policy -mount jwt-nomad.
resource "vault_policy" "harvest" {
  name   = "harvest"
  policy = <<-EOT
    path "auth/${vault_jwt_auth_backend.jwt-nomad.path}/config" {
      capabilities = ["read", "update"]
    }
  EOT
}
