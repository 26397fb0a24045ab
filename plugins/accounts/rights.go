package accounts

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Update changes full_name, role, tier and scopes of an account, for an operator.
// Where rights change, the account's tokens end, and its API keys lose what the account
// loses, so a demoted administrator loses the role on the next request.
func (s *Service) Update(ctx context.Context, o Origin, id string, b *Body) (plugins.User, *Refusal, error) {
	var given plugins.User
	given.FullName = b.fullName()
	b.rights(&given, s.Check)
	b.Only("full_name", "role", "tier", "scopes")
	if refusal := b.Refusal(); refusal != nil {
		return plugins.User{}, refusal, nil
	}
	has := func(name string) bool { v, there := b.fields[name]; return there && v.kind != kindNull }
	revocation, err := s.allTokens(id, "rights changed")
	if err != nil {
		return plugins.User{}, nil, err
	}
	change := plugins.UserChange{}
	if has("role") || has("tier") || has("scopes") {
		change.Tokens = revocation
	}
	var before plugins.User
	change.User = func(u *plugins.User) error {
		before = *u
		for name, set := range map[string]func(){
			"full_name": func() { u.FullName = given.FullName },
			"role":      func() { u.Role = given.Role },
			"tier":      func() { u.Tier = given.Tier },
			"scopes":    func() { u.Scopes = given.Scopes },
		} {
			if has(name) {
				set()
			}
		}
		return nil
	}
	change.Keys = func(now plugins.User, key *plugins.APIKey) error {
		s.follow(before, now, key)
		return nil
	}
	return s.changed(ctx, o, id, "user.update", change)
}

// follow takes from a key what its owner has lost, and moves it into the owner's new
// tier if it was in the old one.
func (s *Service) follow(before, now plugins.User, key *plugins.APIKey) {
	role := key.Role
	if role == "" {
		role = s.DefaultKeyRole
	}
	if role != "" && s.Rights.Grants([]string{before.Role}, role) && !s.Rights.Grants([]string{now.Role}, role) {
		key.Role = now.Role
	}
	if key.Tier == before.Tier {
		key.Tier = now.Tier
	}
	if slices.ContainsFunc(key.Scopes, func(scope string) bool { return lost(before, now, scope) }) {
		key.Scopes = slices.DeleteFunc(slices.Clone(key.Scopes), func(scope string) bool { return lost(before, now, scope) })
	}
}

func lost(before, now plugins.User, scope string) bool {
	return slices.Contains(before.Scopes, scope) && !slices.Contains(now.Scopes, scope)
}

// Disable ends an account: its tokens and its API keys are revoked at once.
// Enabling it does not bring them back.
func (s *Service) Disable(ctx context.Context, o Origin, id string) (plugins.User, *Refusal, error) {
	revocation, err := s.allTokens(id, "disabled")
	if err != nil {
		return plugins.User{}, nil, err
	}
	now := s.now()
	return s.changed(ctx, o, id, "user.disable", plugins.UserChange{
		User: func(u *plugins.User) error {
			if u.DisabledAt.IsZero() {
				u.DisabledAt = now
			}
			return nil
		},
		Tokens: revocation,
		Keys:   func(_ plugins.User, key *plugins.APIKey) error { key.RevokedAt = now; return nil },
	})
}

// Enable lets an account log in again.
func (s *Service) Enable(ctx context.Context, o Origin, id string) (plugins.User, *Refusal, error) {
	return s.changed(ctx, o, id, "user.enable", plugins.UserChange{
		User: func(u *plugins.User) error { u.DisabledAt = time.Time{}; return nil },
	})
}

// ResetPassword sets a password for an operator: {password?}. Without one a
// password is made and returned.
func (s *Service) ResetPassword(ctx context.Context, o Origin, id string, b *Body) (plugins.User, plugins.Secret, *Refusal, error) {
	password, made := s.passwordOrNew(b)
	b.Only("password")
	if refusal := b.Refusal(); refusal != nil {
		return plugins.User{}, plugins.Secret{}, refusal, nil
	}
	u, err := s.Store.User(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return plugins.User{}, plugins.Secret{}, notFound(plugins.ReasonAccountUnknown), nil
	case err != nil:
		return plugins.User{}, plugins.Secret{}, nil, unavailable(err)
	}
	u, refusal, err := s.setPassword(ctx, o, u, password, "user.reset_password")
	return u, made, refusal, err
}

// changed makes a change that holds at once.
func (s *Service) changed(ctx context.Context, o Origin, id, action string, change plugins.UserChange) (plugins.User, *Refusal, error) {
	u, err := s.Store.UpdateUser(ctx, id, change)
	switch {
	case errors.Is(err, ErrNotFound):
		s.audit(ctx, o, id, action, id, string(plugins.ReasonAccountUnknown))
		return u, notFound(plugins.ReasonAccountUnknown), nil
	case err != nil:
		s.audit(ctx, o, id, action, id, err.Error())
		return u, nil, unavailable(err)
	}
	if change.Tokens != nil {
		s.Revoked(*change.Tokens)
	}
	if change.Keys != nil {
		s.KeysChanged()
	}
	s.audit(ctx, o, id, action, id, "ok")
	return u, nil, nil
}

// notFound hides whether there is such a thing.
func notFound(reason plugins.Reason) *Refusal {
	return refuse(http.StatusNotFound, reason, DetailNotFound, "", "")
}
