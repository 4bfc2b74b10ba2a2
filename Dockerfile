# harvest, and the certificate authorities that Mozilla trusts; nothing else. make image builds
# it: the context is bin/image, where tools/image lays out the two files.
FROM scratch
LABEL org.opencontainers.image.source="https://github.com/jwksharvest/harvest" \
      org.opencontainers.image.licenses="MPL-2.0"
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY harvest /usr/bin/harvest
# By number: Kubernetes' runAsNonRoot can't look a name up.
USER 65532:65532
ENTRYPOINT ["/usr/bin/harvest"]
