# MongoDB itself, in Docker. Not run by this example's test: it needs a Docker daemon and the
# image. The template is the stand-in's.
job "mongo" {
  group "db" {
    network {
      port "db" {
        static = 27017
      }
    }

    task "mongo" {
      driver = "docker"

      config {
        image = "mongo:7"
        ports = ["db"]
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
    }
  }
}
