package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
)

// What the manifests of examples/kubernetes use of Kubernetes's API (core/v1, apps/v1, batch/v1,
// rbac.authorization.k8s.io/v1). A field that isn't here is a mistake.
type (
	manifestMeta struct {
		Name      string            `yaml:"name"`
		Namespace string            `yaml:"namespace"`
		Labels    map[string]string `yaml:"labels"`
	}
	manifestObject struct {
		APIVersion string       `yaml:"apiVersion"`
		Kind       string       `yaml:"kind"`
		Metadata   manifestMeta `yaml:"metadata"`
	}
	manifestBinding struct {
		manifestObject `yaml:",inline"`
		RoleRef        struct {
			APIGroup string `yaml:"apiGroup"`
			Kind     string `yaml:"kind"`
			Name     string `yaml:"name"`
		} `yaml:"roleRef"`
		Subjects []struct {
			Kind      string `yaml:"kind"`
			Name      string `yaml:"name"`
			Namespace string `yaml:"namespace"`
		} `yaml:"subjects"`
	}
	manifestConfigMap struct {
		manifestObject `yaml:",inline"`
		Data           map[string]string `yaml:"data"`
	}
	manifestDeployment struct {
		manifestObject `yaml:",inline"`
		Spec           struct {
			Replicas int `yaml:"replicas"`
			Selector struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
			} `yaml:"selector"`
			Template manifestTemplate `yaml:"template"`
		} `yaml:"spec"`
	}
	manifestCronJob struct {
		manifestObject `yaml:",inline"`
		Spec           struct {
			Schedule                   string `yaml:"schedule"`
			ConcurrencyPolicy          string `yaml:"concurrencyPolicy"`
			StartingDeadlineSeconds    int    `yaml:"startingDeadlineSeconds"`
			SuccessfulJobsHistoryLimit int    `yaml:"successfulJobsHistoryLimit"`
			FailedJobsHistoryLimit     int    `yaml:"failedJobsHistoryLimit"`
			JobTemplate                struct {
				Spec struct {
					BackoffLimit          int              `yaml:"backoffLimit"`
					ActiveDeadlineSeconds int              `yaml:"activeDeadlineSeconds"`
					Template              manifestTemplate `yaml:"template"`
				} `yaml:"spec"`
			} `yaml:"jobTemplate"`
		} `yaml:"spec"`
	}
	manifestTemplate struct {
		Metadata manifestMeta `yaml:"metadata"`
		Spec     struct {
			ServiceAccountName string `yaml:"serviceAccountName"`
			RestartPolicy      string `yaml:"restartPolicy"`
			SecurityContext    struct {
				RunAsNonRoot   bool              `yaml:"runAsNonRoot"`
				RunAsUser      int               `yaml:"runAsUser"`
				FSGroup        int               `yaml:"fsGroup"`
				SeccompProfile map[string]string `yaml:"seccompProfile"`
			} `yaml:"securityContext"`
			Containers []manifestContainer `yaml:"containers"`
			Volumes    []struct {
				Name      string `yaml:"name"`
				ConfigMap struct {
					Name string `yaml:"name"`
				} `yaml:"configMap"`
			} `yaml:"volumes"`
		} `yaml:"spec"`
	}
	manifestContainer struct {
		Name  string   `yaml:"name"`
		Image string   `yaml:"image"`
		Args  []string `yaml:"args"`
		Ports []struct {
			Name          string `yaml:"name"`
			ContainerPort int    `yaml:"containerPort"`
		} `yaml:"ports"`
		LivenessProbe   *manifestProbe               `yaml:"livenessProbe"`
		ReadinessProbe  *manifestProbe               `yaml:"readinessProbe"`
		Resources       map[string]map[string]string `yaml:"resources"`
		SecurityContext struct {
			AllowPrivilegeEscalation bool                `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool                `yaml:"readOnlyRootFilesystem"`
			Capabilities             map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	manifestProbe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
	}
)

// manifests returns the objects of a file, by kind.
func manifests(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "kubernetes", name))
	require.NoError(t, err)
	all := map[string]any{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, name)
		var object manifestObject
		require.NoError(t, node.Decode(&object))
		known := map[string]any{
			"v1 Namespace": new(manifestObject), "v1 ServiceAccount": new(manifestObject), "v1 ConfigMap": new(manifestConfigMap),
			"rbac.authorization.k8s.io/v1 ClusterRoleBinding": new(manifestBinding),
			"batch/v1 CronJob": new(manifestCronJob), "apps/v1 Deployment": new(manifestDeployment),
		}[object.APIVersion+" "+object.Kind]
		require.NotNil(t, known, "%s: %s %s", name, object.APIVersion, object.Kind)
		one, err := yaml.Marshal(&node)
		require.NoError(t, err)
		strict := yaml.NewDecoder(bytes.NewReader(one))
		strict.KnownFields(true)
		require.NoError(t, strict.Decode(known), "%s: %s", name, object.Kind)
		all[object.Kind] = known
	}
}

// TestKubernetesManifests: the manifests have fields that there are, fit one another, and call
// harvest as it can be called.
func TestKubernetesManifests(t *testing.T) {
	base := manifests(t, "base.yaml")
	for _, kind := range []string{"Namespace", "ServiceAccount"} {
		object, ok := base[kind].(*manifestObject)
		require.True(t, ok, kind)
		assert.Equal(t, "harvest", object.Metadata.Name)
	}
	binding, ok := base["ClusterRoleBinding"].(*manifestBinding)
	require.True(t, ok)
	assert.Equal(t, "system:service-account-issuer-discovery", binding.RoleRef.Name)
	assert.Equal(t, "ClusterRole", binding.RoleRef.Kind)
	require.Len(t, binding.Subjects, 1)
	assert.Equal(t, "harvest/harvest", binding.Subjects[0].Namespace+"/"+binding.Subjects[0].Name)

	settings, ok := base["ConfigMap"].(*manifestConfigMap)
	require.True(t, ok)
	v := config.Check(t.Context(), "harvest.hcl", []byte(settings.Data["harvest.hcl"]), config.Checking{SkipFiles: true, Now: time.Now(), Getenv: os.Getenv})
	assert.Empty(t, v.Errors)
	assert.Empty(t, v.Warnings)

	cron, ok := manifests(t, "cronjob.yaml")["CronJob"].(*manifestCronJob)
	require.True(t, ok)
	assert.Equal(t, "Forbid", cron.Spec.ConcurrencyPolicy)
	requireTemplate(t, cron.Metadata, cron.Spec.JobTemplate.Spec.Template)
	assert.Equal(t, "Never", cron.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy)

	watch, ok := manifests(t, "deployment.yaml")["Deployment"].(*manifestDeployment)
	require.True(t, ok)
	requireTemplate(t, watch.Metadata, watch.Spec.Template)
	assert.Equal(t, watch.Spec.Selector.MatchLabels, watch.Spec.Template.Metadata.Labels)
	c := watch.Spec.Template.Spec.Containers[0]
	require.Len(t, c.Ports, 1)
	assert.Equal(t, 9090, c.Ports[0].ContainerPort)
	assert.Contains(t, c.Args, ":9090")
	assert.Equal(t, "/healthz http", c.LivenessProbe.HTTPGet.Path+" "+c.LivenessProbe.HTTPGet.Port)
	assert.Equal(t, "/readyz http", c.ReadinessProbe.HTTPGet.Path+" "+c.ReadinessProbe.HTTPGet.Port)
}

// requireTemplate checks what the pods of both have in common.
func requireTemplate(t *testing.T, of manifestMeta, template manifestTemplate) {
	t.Helper()
	assert.Equal(t, "harvest", of.Namespace)
	pod := template.Spec
	assert.Equal(t, "harvest", pod.ServiceAccountName)
	assert.True(t, pod.SecurityContext.RunAsNonRoot)
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	a := &app{out: &render.Output{}, says: &terminal.Messages{}}
	assert.Empty(t, checkCommand(a.root(), c.Args))
	at := slices.Index(c.Args, "-config")
	require.GreaterOrEqual(t, at, 0)
	require.Len(t, c.VolumeMounts, 1)
	assert.Equal(t, c.VolumeMounts[0].MountPath+"/harvest.hcl", c.Args[at+1])
	require.Len(t, pod.Volumes, 1)
	assert.Equal(t, c.VolumeMounts[0].Name, pod.Volumes[0].Name)
	assert.Equal(t, "harvest", pod.Volumes[0].ConfigMap.Name)
	assert.False(t, c.SecurityContext.AllowPrivilegeEscalation)
	assert.True(t, c.SecurityContext.ReadOnlyRootFilesystem)
	assert.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities["drop"])
}
