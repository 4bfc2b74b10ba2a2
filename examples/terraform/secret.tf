resource "vault_mount" "kv" {
  path    = "kv"
  type    = "kv"
  options = { version = "2" }
}

# Neither the plan nor the state holds an ephemeral variable: it is asked for at each run.
variable "root_password" {
  description = "The database's root password, as TF_VAR_root_password."
  type        = string
  sensitive   = true
  ephemeral   = true
}

# The job mongo in the namespace default may read it.
resource "vault_kv_secret_v2" "mongo" {
  mount = vault_mount.kv.path
  name  = "default/mongo/config"

  # Write-only: it goes to Vault and into no state. It is written again only when the version changes.
  data_json_wo         = jsonencode({ root_password = var.root_password })
  data_json_wo_version = 1
}
