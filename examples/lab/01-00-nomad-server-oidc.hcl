# oidc_issuer is the address that whoever verifies Nomad's tokens knows Nomad by. It is the
# iss of every token, and the root of /.well-known/openid-configuration. This one is for a
# Vault on the same machine; the two files beside it are for a load balancer and for
# a Vault in a container. Start the agent with one of the three.
server {
  oidc_issuer = "http://127.0.0.1:4646"
}
