# Behind a load balancer or a DNS name: the name in front, not the server's own. The same
# on every server of the region.
server {
  oidc_issuer = "https://nomad.example.com"
}
