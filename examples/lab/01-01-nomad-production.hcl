# What a production agent needs, beside its own data_dir, TLS and joining. Servers read
# default_identity, clients the rest; one file for both does no harm.
acl {
  enabled = true
}

vault {
  enabled               = true
  address               = "https://vault.example.com:8200"
  ca_file               = "/etc/nomad.d/vault-ca.pem"
  jwt_auth_backend_path = "jwt-nomad"
  create_from_role      = "nomad-workloads"

  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}
