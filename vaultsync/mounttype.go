package vaultsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

// takesJWTs refuses a mount that workloads can't log in on, or shouldn't. A type is only the
// name under which a plugin is registered: a newer JWT plugin may be jwt-today. So any
// other name is judged by what the mount can be configured with. Type oidc has the same
// plugin and the same paths, but is where people sign in.
func (s *session) takesJWTs(ctx context.Context, kind string) error {
	switch kind {
	case "jwt":
		return nil
	case "oidc":
		return fmt.Errorf("%w: the one at auth/%s is of type oidc, where people sign in; use a path of its own, "+
			"where `harvest setup` makes a mount", ErrNoMount, s.mount.Path)
	}
	help, err := s.help(ctx, s.mount.configPath())
	if err != nil {
		return err
	}
	if !strings.Contains(help, keysField) {
		return fmt.Errorf("%w: the one at auth/%s is of type %s, whose configuration has no %s; use a path of its own, "+
			"where `harvest setup` makes a mount", ErrNoMount, s.mount.Path, clean(kind), keysField)
	}
	return nil
}

// help returns what Vault says of a path's parameters, or "" where there is no such path.
// Every valid token may ask.
func (s *session) help(ctx context.Context, path string) (string, error) {
	resp, err := s.api.Logical().ReadRawWithDataWithContext(ctx, path, map[string][]string{"help": {"1"}})
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", explain(err, s.mount.Path, path, "read", s.api.Token())
	}
	var said struct {
		Help string `json:"help"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(&said); err != nil {
		return "", fmt.Errorf("GET %s?help=1: Vault's answer can't be read: %w", path, err)
	}
	return said.Help, nil
}
