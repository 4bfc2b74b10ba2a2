# What a dev agent needs beside -dev and -vault-address. There is no token: Nomad signs an identity for each task, and Vault takes that.
acl {
  enabled = true
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}

# No look for a cloud or a container network, which a laptop hasn't.
client {
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,cni,bridge"
  }
}

vault {
  enabled               = true
  jwt_auth_backend_path = "jwt-nomad"       # the mount
  create_from_role      = "nomad-workloads" # the role on it

  default_identity {
    aud = ["vault.io"] # the role's bound_audiences
    ttl = "1h"
  }
}
