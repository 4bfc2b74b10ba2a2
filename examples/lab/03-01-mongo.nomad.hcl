# A stand-in for the database that runs anywhere: like one, it starts with a root password in
# its environment, keeps a digest of it, and answers queries of whoever knows it.
job "mongo" {
  group "db" {
    # A job whose secret can't be read fails within minutes, not days.
    update {
      min_healthy_time  = "1s"
      healthy_deadline  = "1m"
      progress_deadline = "2m"
    }

    restart {
      attempts = 1
      delay    = "5s"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "mongo" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args = ["-euc", <<-EOT
          umask 077
          printf %s "$MONGO_INITDB_ROOT_PASSWORD" | cksum >"$NOMAD_SECRETS_DIR/digest"
          exec sleep 86400
        EOT
        ]
      }

      vault {}

      template {
        destination = "secrets/env"
        env         = true
        data        = <<-EOT
          MONGO_INITDB_ROOT_USERNAME=root
          {{- with secret "kv/data/default/mongo/config" }}
          MONGO_INITDB_ROOT_PASSWORD={{ .Data.data.root_password }}
          {{- end }}
        EOT
      }

      # The query: the password comes by stdin.
      template {
        destination = "local/query"
        data        = <<-EOT
          set -eu
          if [ "$(cksum)" = "$(cat "$NOMAD_SECRETS_DIR/digest")" ]; then
            echo "{ authenticatedUsers: [ { user: 'root', db: 'admin' } ], ok: 1 }"
          else
            echo "Authentication failed." >&2
            exit 1
          fi
        EOT
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
