# Addresses and tokens come from the environment: VAULT_ADDR and VAULT_TOKEN, NOMAD_ADDR and
# NOMAD_TOKEN, as for vault and nomad themselves.
terraform {
  required_version = ">= 1.11" # write-only attributes

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = "~> 5.11"
    }
    nomad = {
      source  = "hashicorp/nomad"
      version = "~> 2.6"
    }
  }
}
