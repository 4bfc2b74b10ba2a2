// The oldest Vault server that harvest supports, pinned and built from its own sources.
module github.com/jwksharvest/harvest/internal/lab/floor/vault

go 1.26

// A driver in it brings a certificate with a negative serial number.
godebug x509negativeserial=1

require (
	github.com/hashicorp/vault v1.12.0
)

replace (
	github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
	github.com/hashicorp/vault/api => github.com/hashicorp/vault/api v1.8.1
	github.com/hashicorp/vault/api/auth/approle => github.com/hashicorp/vault/api/auth/approle v0.1.0
	github.com/hashicorp/vault/api/auth/kubernetes => github.com/hashicorp/vault/api/auth/kubernetes v0.1.0
	github.com/hashicorp/vault/api/auth/userpass => github.com/hashicorp/vault/api/auth/userpass v0.1.0
	github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.6.1
)
