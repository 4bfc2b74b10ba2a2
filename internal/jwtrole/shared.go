package jwtrole

import (
	"net/url"
	"slices"
	"strings"
)

// Shared is an issuer whose keys sign for everybody who has an account there.
type Shared struct {
	Name string
	// Claims tell whose a token is: a role that asks for a value of one takes nobody else's.
	Claims []string
	// Tenant: so does the iss, which has the tenant's name in it.
	Tenant bool
	hosts  []string
}

var sharedIssuers = []Shared{
	{Name: "GitHub Actions", hosts: []string{"token.actions.githubusercontent.com"}, Claims: []string{
		"repository_owner_id", "repository_owner", "repository_id", "repository", "job_workflow_ref", "enterprise_id", "enterprise",
	}},
	{Name: "GitLab.com", hosts: []string{"gitlab.com"}, Claims: []string{
		"namespace_id", "namespace_path", "project_id", "project_path", "user_id", "user_login", "user_email",
	}},
	{Name: "CircleCI", hosts: []string{"oidc.circleci.com"}, Tenant: true, Claims: []string{"oidc.circleci.com/project-id"}},
	{Name: "HCP Terraform", hosts: []string{"app.terraform.io", "app.eu.terraform.io"}, Claims: []string{
		"terraform_organization_id", "terraform_organization_name", "terraform_project_id", "terraform_workspace_id",
	}},
	{Name: "Google", hosts: []string{"accounts.google.com", "www.googleapis.com"}, Claims: []string{"email", "hd"}},
	{Name: "Entra", Tenant: true, hosts: []string{
		"sts.windows.net", "login.microsoftonline.com", "login.microsoftonline.us", "sts.chinacloudapi.cn", "login.partner.microsoftonline.cn",
	}, Claims: []string{"tid", "oid", "appid", "azp"}},
	{Name: "Buildkite", hosts: []string{"agent.buildkite.com"}, Claims: []string{"organization_id", "organization_slug", "pipeline_id"}},
	{Name: "Bitbucket", hosts: []string{"api.bitbucket.org"}, Tenant: true, Claims: []string{"workspaceUuid", "repositoryUuid"}},
	{Name: "Fly.io", hosts: []string{"oidc.fly.io"}, Tenant: true, Claims: []string{"org_id", "app_id"}},
	{Name: "Vercel", hosts: []string{"oidc.vercel.com"}, Tenant: true, Claims: []string{"owner_id", "owner", "project_id"}},
	{Name: "Firebase", hosts: []string{"securetoken.google.com"}, Tenant: true, Claims: []string{"user_id"}},
}

// SharedIssuer returns what is known of an issuer that everybody shares, by its name or by the
// address of its key set; nil of any other.
func SharedIssuer(issuer string) *Shared {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	host := strings.ToLower(u.Hostname())
	if u.Host == "" { // Google's tokens may name it without a scheme
		host, _, _ = strings.Cut(issuer, "/")
	}
	for i, s := range sharedIssuers {
		if slices.Contains(s.hosts, host) {
			return &sharedIssuers[i]
		}
	}
	return nil
}

// Alternatives returns the other names that tokens of an issuer may have. Entra's first version
// names another than the discovery document, and Google leaves the scheme out at times.
func Alternatives(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	switch u.Host {
	case "accounts.google.com":
		return []string{u.Host}
	case "login.microsoftonline.com":
		if tenant, ok := strings.CutSuffix(strings.TrimPrefix(u.Path, "/"), "/v2.0"); ok {
			return []string{"https://sts.windows.net/" + tenant + "/"}
		}
	}
	return nil
}

// Narrows reports whether the role asks for one of these claims or for a subject, with values that
// one owner's tokens alone have. Without claims, any but iss and aud will do.
func (r *Role) Narrows(claims []string) bool {
	if r.Text("bound_subject") != "" {
		return true
	}
	for pointer, value := range r.Map("bound_claims") {
		name := strings.TrimPrefix(pointer, "/")
		switch {
		case name == "iss", name == "aud", len(claims) > 0 && name != "sub" && !slices.Contains(claims, name):
			continue
		}
		list, ok := ListOf(value)
		if !ok || !slices.ContainsFunc(list, func(v any) bool { return r.anybodys(name, v, len(claims) > 0) }) {
			return true // what is no list lets nobody in
		}
	}
	return false
}

// anybodys reports whether a value that is bound fits tokens of several owners. Where owners share
// an issuer, what stands before the first * must end an owner's name: org* takes org-evil too.
func (r *Role) anybodys(name string, value any, shared bool) bool {
	pattern, ok := value.(string)
	if !ok || !r.UsesGlobs() {
		return false
	}
	before, _, starred := strings.Cut(pattern, "*")
	if !starred {
		return false
	}
	if name == "sub" { // repo:org/app:…, org/ID/…
		if i := strings.IndexAny(before, ":/"); i >= 0 {
			before = before[i+1:]
		} else {
			before = ""
		}
	}
	if shared {
		return !strings.ContainsAny(before, ":/")
	}
	return before == ""
}
