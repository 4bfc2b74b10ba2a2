// The older Vault server that the lab runs, pinned and built from its own sources.
module github.com/jwksharvest/harvest/internal/lab/older/vault

go 1.26

require github.com/hashicorp/vault v1.18.0

replace (
	github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
	github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.14.0
	github.com/pires/go-proxyproto => github.com/pires/go-proxyproto v0.8.0
)
