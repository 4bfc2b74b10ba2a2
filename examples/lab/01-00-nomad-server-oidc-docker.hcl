# Vault in a container, Nomad on its host: from inside, the host has this name. On Linux the
# container wants --add-host=host.docker.internal:host-gateway, and the agent must listen
# on more than loopback (-bind 0.0.0.0).
server {
  oidc_issuer = "http://host.docker.internal:4646"
}
