# /etc/harvest/harvest.hcl: which clusters publish keys, and which Vault mounts trust them.
#
# Nothing is configured yet: harvest says so and ends. Take the # from the lines below, give
# them your addresses, and look at what would change before anything does:
#
#   sudo -u harvest harvest plan -config /etc/harvest/harvest.hcl
#
# Then one of the two:
#
#   systemctl enable --now harvest-watch.service   # follows every rotation at once
#   systemctl enable --now harvest-sync.timer      # looks every five minutes
#
# Anyone who can write this file decides who can log in to Vault. It belongs to root; the group
# harvest may read it. Keep secrets in files of their own, with the same owner and mode.

# A cluster, with a name of your choice: it marks the cluster's keys on the mount.
#cluster "us-east" {
#  address     = "https://nomad.us-east.example.com:4646"
#  regions     = ["us-east-1", "us-east-2"]      # default: the agent's own; ["*"]: all federated
#  ca_cert     = "/etc/harvest/nomad-ca.pem"
#  client_cert = "/etc/harvest/client.pem"       # if Nomad's API wants mTLS
#  client_key  = "/etc/harvest/client-key.pem"
#}

# The Vault, and how harvest logs in to it. "harvest policy -config FILE" prints the policy
# that it needs, and no more.
#vault {
#  address = "https://vault.example.com:8200"
#  auth "approle" {                              # or "jwt", "kubernetes", "token_file", "none"
#    role_id        = "harvest"
#    secret_id_file = "/etc/harvest/secret-id"
#  }
#}

# A JWT auth mount, and whose keys it trusts. Every cluster on a mount can log in as any
# workload of that mount: give each cluster its own mount unless they may act for one another.
#mount "jwt-nomad" {
#  clusters = ["us-east"]
#  retain   = "0s"                               # how long to keep a key after Nomad dropped it
#}
