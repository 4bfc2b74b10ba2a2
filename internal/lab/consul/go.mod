// The Consul server that the lab runs, pinned and built from its own sources.
module github.com/jwksharvest/harvest/internal/lab/consul

go 1.26

require github.com/hashicorp/consul v1.22.3
