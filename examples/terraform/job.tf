# Nomad's servers and clients need a vault block that names the mount:
# vault { jwt_auth_backend_path = "jwt-nomad" }.
resource "nomad_job" "mongo" {
  jobspec = file("mongo.nomad.hcl")

  depends_on = [
    vault_jwt_auth_backend_role.nomad-workloads,
    vault_policy.nomad-workloads,
    vault_kv_secret_v2.mongo,
  ]
}
