package vaultauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// attempt is a login that was tried.
type attempt struct {
	method string // of the auth block
	path   string // such as "auth/jwt-nomad"
	role   string // "": the mount's default role, or none is named
	file   string // that has the credential
}

// explain turns what vault/api says of a failed login into what happened and what to do next. The
// error shows none of the secrets: see loginError.
func (a attempt) explain(c *api.Client, err error, secrets ...string) error {
	var response *api.ResponseError
	if !errors.As(err, &response) || !vaultapi.IsVaults(response) {
		return loginError(c, a.path+"/login", err, secrets...)
	}
	said := vaultapi.Said(response, secrets...)
	for _, way := range waysOut {
		if way.method != "" && way.method != a.method || way.status != response.StatusCode || !strings.Contains(said, way.said) {
			continue
		}
		do := strings.NewReplacer("PATH", text.ShellQuote(a.path), "FILE", text.ShellQuote(a.file), "ROLE", a.roleName()).Replace(way.do)
		return fmt.Errorf("Vault answered %d: %s; %s", response.StatusCode, said, do)
	}
	return loginError(c, a.path+"/login", err, secrets...)
}

// roleName is the role as it stands in a command.
func (a attempt) roleName() string {
	if a.role == "" {
		return "ROLE"
	}
	return text.ShellQuote(a.role)
}

// waysOut has what to do next, by the method ("": any), the status and a part of what Vault says.
// The first that fits counts.
var waysOut = []struct {
	method string
	status int
	said   string
	do     string
}{
	{"jwt", http.StatusBadRequest, "could not be found", "`vault list PATH/role` lists the roles there are: name one of them in the auth block, or make this one"},
	{"jwt", http.StatusBadRequest, "missing role", "the mount has no default_role: name a role in the auth block"},
	{"jwt", http.StatusBadRequest, "could not load configuration", "the mount trusts no key yet: run harvest sync once with a Vault token of your own"},
	{"jwt", http.StatusBadRequest, "no known key", "the mount doesn't trust the key that signed the token: run harvest sync once with a Vault token of your own; " +
		"`harvest verify FILE` tells whose key it is"},
	{"jwt", http.StatusBadRequest, "compact JWS", "FILE holds no JWT: name the file of one in the auth block"},
	{"jwt", http.StatusBadRequest, "signed with unexpected algorithm", "the mount's jwt_supported_algs lacks the token's algorithm: add it"},
	{"jwt", http.StatusBadRequest, "no audiences bound to the role", "the token has an audience: list it as bound_audiences of the role"},
	{"jwt", http.StatusBadRequest, "(aud)", "the role's bound_audiences has none of the token's audiences: change aud of the job's identity block, or the role (`vault read PATH/role/ROLE`)"},
	{"jwt", http.StatusBadRequest, "(iss)", "the token's issuer isn't the mount's bound_issuer: change one of them (`vault read PATH/config`)"},
	{"jwt", http.StatusBadRequest, "token is expired", "nobody has renewed FILE, or a clock is wrong: compare those of this machine, of Vault's and of the one that issued the token"},
	{"jwt", http.StatusBadRequest, "not yet valid", wrongClock},
	{"jwt", http.StatusBadRequest, "in the future", wrongClock},
	{"jwt", http.StatusBadRequest, "claim", "the token has not what the role asks for: `harvest verify FILE -role ROLE` compares them"},
	{"approle", http.StatusBadRequest, "invalid role or secret ID", staleSecretID},
	{"approle", http.StatusBadRequest, "invalid secret_id", staleSecretID},
	{"approle", http.StatusBadRequest, "unauthorized", "the role takes no login from this address: change its secret_id_bound_cidrs"},
	{"approle", http.StatusForbidden, "", "no auth method is at PATH (`vault auth list`), the role takes no login from this address (token_bound_cidrs), " +
		"or Vault has locked the role ID out for some minutes after several failed logins"},
	{"kubernetes", http.StatusBadRequest, "invalid role name", "`vault list PATH/role` lists the roles there are: name one of them in the auth block, or make this one"},
	{"kubernetes", http.StatusForbidden, "not authorized", "the role takes other service accounts: change its bound_service_account_names and bound_service_account_namespaces (`vault read PATH/role/ROLE`)"},
	{"kubernetes", http.StatusForbidden, "", "no auth method is at PATH (`vault auth list`), Kubernetes doesn't take the token of FILE (it has expired, or is another cluster's), " +
		"or doesn't let Vault ask it (system:auth-delegator)"},
	{"kubernetes", http.StatusInternalServerError, "could not load backend configuration", "the mount isn't configured: write PATH/config"},
	{"", http.StatusForbidden, "", "no auth method is at PATH (`vault auth list`), or the role takes no login from this address (token_bound_cidrs)"},
}

const (
	wrongClock    = "a clock is wrong: compare those of Vault's machine and of the one that issued the token"
	staleSecretID = "the secret ID of FILE has expired or is used up, or role_id in the auth block isn't its role's: " +
		"`vault write -f PATH/role/NAME/secret-id` makes another, NAME being the role's (`vault list PATH/role`)"
)

// loginError turns what vault/api says of a request of path, to get or keep a token, into what
// happened, bounded and fit for a terminal. The error shows none of the secrets, which are those
// that were sent: a server may repeat them. It wraps [vaultapi.ErrSealed] where it is that.
func loginError(c *api.Client, path string, err error, secrets ...string) error {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return vaultapi.Unreachable(c, err, secrets...)
	}
	if err := vaultapi.Unwell(response, path, secrets...); err != nil {
		return err
	}
	return fmt.Errorf("Vault answered %d: %s", response.StatusCode, vaultapi.Said(response, secrets...))
}
