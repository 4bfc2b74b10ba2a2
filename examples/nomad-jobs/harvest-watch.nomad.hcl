# harvest as a service job: it runs in the cluster whose keys it harvests, and logs in to
# Vault with its own workload identity, on the very mount that it keeps.
# docs/operations.md says how the first key gets there, and how to get back in after a lockout.

variable "vault_address" {
  type = string
}

variable "nomad_address" {
  type        = string
  description = "Where the task reaches an agent of this cluster."
}

variable "cluster" {
  type        = string
  description = "The cluster's name beside its keys in Vault: one name everywhere."
}

variable "mount" {
  type    = string
  default = "jwt-nomad"
}

variable "role" {
  type        = string
  default     = "harvest"
  description = "A role of the mount with the policy that `harvest policy` prints, bound to this job."
}

variable "driver" {
  type    = string
  default = "exec"
}

variable "command" {
  type    = string
  default = "/usr/bin/harvest"
}

job "harvest-watch" {
  type = "service"

  group "harvest" {
    count = 1 # two are safe as well: watchers need no leader

    # A watch that can't log in any more says so and keeps trying. One that dies is started
    # again here, or on another node if this one is lost.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    reschedule {
      unlimited      = true
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "1m"
    }

    task "harvest" {
      driver = var.driver

      config {
        command = var.command
        args    = ["watch", "-config", "${NOMAD_TASK_DIR}/harvest.hcl"]
      }

      # Not a vault block: harvest logs in by itself and renews, so that no other token
      # lies in the task's secrets.
      identity {
        name = "vault"
        aud  = ["vault.io"]
        file = true
        ttl  = "1h"
      }

      template {
        destination   = "local/harvest.hcl"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          cluster "${var.cluster}" {
            address         = "${var.nomad_address}"
            allow_plaintext = true # the agent of the same machine; with TLS, take it out
          }
          vault {
            address = "${var.vault_address}"
            auth "jwt" {
              mount      = "${var.mount}"
              role       = "${var.role}"
              token_file = "{{ env "NOMAD_SECRETS_DIR" }}/nomad_vault.jwt"
            }
          }
          mount "${var.mount}" { clusters = ["${var.cluster}"] }
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
