package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// askTimeout bounds the question what the token may do: it holds nothing up for long.
const askTimeout = 5 * time.Second

// capabilities returns what the client's token may do with the mount's configuration, in
// the words of Vault's policies: "read" and "update", "root" for a root token, "deny" for
// nothing. It asks sys/capabilities-self once, for at most 5 seconds; every token that
// has Vault's default policy may ask. The mount needn't exist. Source: Vault,
// /sys/capabilities-self.
func (s *session) capabilities(ctx context.Context) ([]string, error) {
	if s.mount.Store != nil {
		return nil, errNoVault
	}
	const ask = "sys/capabilities-self"
	path := s.mount.configPath()
	ctx, cancel := context.WithTimeout(vaultapi.Once(ctx), askTimeout)
	defer cancel()
	secret, err := s.API.Logical().WriteWithContext(ctx, ask, map[string]any{"paths": []string{path}})
	if err == nil {
		err = vaultapi.Held(secret, ask)
	}
	if err != nil {
		return nil, s.Explain(err, ask, "update")
	}
	var capabilities []string
	if secret != nil {
		capabilities = vaultapi.Strings(secret.Data[path])
	}
	if len(capabilities) == 0 {
		return nil, fmt.Errorf("%s: Vault's answer has no capabilities for %s", ask, path)
	}
	return capabilities, nil
}

// mayUpdate returns an error, which wraps ErrForbidden, where Vault says that the token
// may not write the mount's configuration. Without an answer there is none.
func (s *session) mayUpdate(ctx context.Context) error {
	lacks, _ := s.lacksUpdate(ctx)
	return lacks
}

// lacksUpdate returns what mayUpdate does and, where Vault didn't answer, why.
func (s *session) lacksUpdate(ctx context.Context) (lacks, unanswered error) {
	capabilities, err := s.capabilities(ctx)
	if errors.Is(err, errNoVault) {
		return nil, nil
	}
	if err != nil || slices.Contains(capabilities, "update") || slices.Contains(capabilities, "root") {
		return nil, err
	}
	path := s.mount.configPath()
	return &vaultapi.ForbiddenError{Path: path, Said: fmt.Sprintf("the token lacks \"update\" on %s: no change of the keys can be written", path)}, nil
}

// explainWrite explains why a write is forbidden. Vault answers 403 for several reasons: it is
// asked whether the token lacks "update".
func (s *session) explainWrite(ctx context.Context, err error) error {
	if lacks := s.mayUpdate(ctx); lacks != nil {
		answer, _ := errors.AsType[*api.ResponseError](err)
		return vaultapi.Answered(lacks, answer)
	}
	return s.Explain(err, s.mount.configPath(), "update")
}

// warnUnableToUpdate tells, when a watch begins, of a token that may not write: its first
// write may be weeks away, on the day of a rotation. Later it tells when the token may. It says
// false where Vault didn't answer and may yet: valid says that the mount was just read, so that a
// token which may not ask then never will be answered.
func (m *watchedMount) warnUnableToUpdate(ctx context.Context, valid bool) (said bool) {
	if !m.acquire(ctx) {
		return false
	}
	defer m.release()
	_ = m.contained(func() error { // which tells of a panic
		said = m.askUpdate(ctx, valid)
		return nil
	})
	return said
}

func (m *watchedMount) askUpdate(ctx context.Context, valid bool) bool {
	mount, o := m.target.Mount, m.target.Options
	s, err := mount.open()
	if err != nil {
		return false
	}
	lacks, unanswered := s.lacksUpdate(ctx)
	switch was := m.unwritable.Load(); {
	case ctx.Err() != nil, lacks != nil && was, lacks == nil && !was:
	case lacks == nil && unanswered == nil:
		m.unwritable.Store(false)
		o.logger().Info("mount can be written now", "mount", mount.String())
		o.emit(mount, Event{Kind: EventWritable})
	case lacks != nil:
		m.unwritable.Store(true)
		o.logger().Warn("mount can't be written", "mount", mount.String(), "error", lacks)
		o.emit(mount, Event{Kind: EventUnwritable, Err: mount.Wrap(lacks)})
	}
	return unanswered == nil || valid && errors.Is(unanswered, ErrForbidden)
}
