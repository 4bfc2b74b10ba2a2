package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
)

// manifestFields are what the manifests of examples/kubernetes use of Kubernetes's API (core/v1,
// apps/v1, batch/v1, rbac.authorization.k8s.io/v1). A field that isn't here is a mistake; @ is the
// template of a pod, and - an item of a list.
const manifestFields = `
apiVersion kind metadata.name metadata.namespace metadata.labels.* data.harvest.hcl
roleRef.apiGroup roleRef.kind roleRef.name subjects.-.kind subjects.-.name subjects.-.namespace
spec.replicas spec.selector.matchLabels.* spec.schedule spec.concurrencyPolicy spec.startingDeadlineSeconds
spec.successfulJobsHistoryLimit spec.failedJobsHistoryLimit
spec.jobTemplate.spec.backoffLimit spec.jobTemplate.spec.activeDeadlineSeconds
@.metadata.labels.* @.spec.serviceAccountName @.spec.restartPolicy
@.spec.securityContext.runAsNonRoot @.spec.securityContext.runAsUser @.spec.securityContext.runAsGroup @.spec.securityContext.fsGroup @.spec.securityContext.seccompProfile.type
@.spec.volumes.-.name @.spec.volumes.-.configMap.name
@.spec.containers.-.name @.spec.containers.-.image @.spec.containers.-.args.-
@.spec.containers.-.ports.-.name @.spec.containers.-.ports.-.containerPort
@.spec.containers.-.livenessProbe.httpGet.path @.spec.containers.-.livenessProbe.httpGet.port
@.spec.containers.-.readinessProbe.httpGet.path @.spec.containers.-.readinessProbe.httpGet.port
@.spec.containers.-.resources.requests.cpu @.spec.containers.-.resources.requests.memory @.spec.containers.-.resources.limits.memory
@.spec.containers.-.securityContext.allowPrivilegeEscalation @.spec.containers.-.securityContext.readOnlyRootFilesystem
@.spec.containers.-.securityContext.capabilities.drop.-
@.spec.containers.-.volumeMounts.-.name @.spec.containers.-.volumeMounts.-.mountPath @.spec.containers.-.volumeMounts.-.readOnly`

// manifest is an object of a file by the paths of its fields.
type manifest map[string]string

func (m manifest) add(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			m.add(path+"."+name, inner)
		}
	case []any:
		for _, inner := range value {
			m.add(path+".-", inner)
		}
	default:
		name := strings.TrimPrefix(path, ".")
		m[name] = strings.TrimSpace(m[name] + " " + fmt.Sprint(value)) // of a list's items one after another
	}
}

// manifests returns the objects of a file, by kind.
func manifests(t *testing.T, name string) map[string]manifest {
	t.Helper()
	known := strings.Fields(manifestFields)
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "kubernetes", name))
	require.NoError(t, err)
	all := map[string]manifest{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object map[string]any
		err := d.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, name)
		m := manifest{}
		m.add("", object)
		kind := m["apiVersion"] + " " + m["kind"]
		require.Contains(t, []string{
			"v1 Namespace", "v1 ServiceAccount", "v1 ConfigMap", "rbac.authorization.k8s.io/v1 ClusterRoleBinding", "batch/v1 CronJob", "apps/v1 Deployment",
		}, kind, name)
		for path := range m {
			path, _, labels := strings.Cut(path, "abels.")
			if labels {
				path += "abels.*"
			}
			path = strings.Replace(strings.Replace(path, "spec.jobTemplate.spec.template.", "@.", 1), "spec.template.", "@.", 1)
			require.Contains(t, known, path, "%s: %s", name, kind)
		}
		all[m["kind"]] = m
	}
}

// TestKubernetesManifests: the manifests have fields that there are, fit one another, and call
// harvest as it can be called.
func TestKubernetesManifests(t *testing.T) {
	base := manifests(t, "base.yaml")
	for _, kind := range []string{"Namespace", "ServiceAccount"} {
		assert.Equal(t, "harvest", base[kind]["metadata.name"])
	}
	binding := base["ClusterRoleBinding"]
	assert.Equal(t, "ClusterRole system:service-account-issuer-discovery", binding["roleRef.kind"]+" "+binding["roleRef.name"])
	assert.Equal(t, "harvest/harvest", binding["subjects.-.namespace"]+"/"+binding["subjects.-.name"])
	v := config.Check(t.Context(), "harvest.hcl", []byte(base["ConfigMap"]["data.harvest.hcl"]), config.Checking{SkipFiles: true, Now: time.Now(), Getenv: os.Getenv})
	assert.Empty(t, v.Errors)
	assert.Empty(t, v.Warnings)

	cron := manifests(t, "cronjob.yaml")["CronJob"]
	assert.Equal(t, "Forbid", cron["spec.concurrencyPolicy"])
	assert.Equal(t, "Never", cron["spec.jobTemplate.spec.template.spec.restartPolicy"])
	requireTemplate(t, cron, "spec.jobTemplate.spec.template.")
	watch := manifests(t, "deployment.yaml")["Deployment"]
	requireTemplate(t, watch, "spec.template.")
	for path, label := range watch {
		if name, is := strings.CutPrefix(path, "spec.selector.matchLabels."); is {
			assert.Equal(t, watch["spec.template.metadata.labels."+name], label)
		}
	}
	container := "spec.template.spec.containers.-."
	assert.Equal(t, "9090", watch[container+"ports.-.containerPort"])
	assert.Contains(t, watch[container+"args.-"], ":9090")
	assert.Equal(t, "/healthz http", watch[container+"livenessProbe.httpGet.path"]+" "+watch[container+"livenessProbe.httpGet.port"])
	assert.Equal(t, "/readyz http", watch[container+"readinessProbe.httpGet.path"]+" "+watch[container+"readinessProbe.httpGet.port"])
}

// requireTemplate checks what the pods of both have in common.
func requireTemplate(t *testing.T, m manifest, template string) {
	t.Helper()
	assert.Equal(t, "harvest", m["metadata.namespace"])
	pod, container := template+"spec.", template+"spec.containers.-."
	a := &app{out: &render.Output{}, says: &terminal.Messages{}}
	args := strings.Fields(m[container+"args.-"])
	assert.Empty(t, checkCommand(a.root(), args))
	at := slices.Index(args, "-config")
	require.GreaterOrEqual(t, at, 0)
	assert.Equal(t, m[container+"volumeMounts.-.mountPath"]+"/harvest.hcl", args[at+1])
	assert.Equal(t, m[container+"volumeMounts.-.name"], m[pod+"volumes.-.name"])
	for path, want := range map[string]string{
		pod + "serviceAccountName": "harvest", pod + "securityContext.runAsNonRoot": "true", pod + "volumes.-.configMap.name": "harvest",
		container + "name": "harvest", container + "securityContext.allowPrivilegeEscalation": "false",
		container + "securityContext.readOnlyRootFilesystem": "true", container + "securityContext.capabilities.drop.-": "ALL",
	} {
		assert.Equal(t, want, m[path], path)
	}
}
