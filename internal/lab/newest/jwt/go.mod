// Vault's newest JWT auth method, run beside a Vault as an external plugin.
module github.com/jwksharvest/harvest/internal/lab/newest/jwt

go 1.26.1

require github.com/hashicorp/vault-plugin-auth-jwt v0.26.1
