package accounts

import (
	"context"
	"errors"
	"net/http"

	"github.com/ainative/portcullis/plugins"
)

// LogOut revokes the token that a caller came with, and ends its family.
func (s *Service) LogOut(ctx context.Context, o Origin, p Presented) (*Refusal, error) {
	caller := p.Principal
	if caller.Scheme != plugins.SchemeBearer {
		return needsToken(), nil
	}
	ends, err := s.oneToken("logged out")
	if err != nil {
		return nil, err
	}
	if p.Family != "" {
		family, err := s.Store.Family(ctx, p.Family)
		if err == nil && family.User == caller.Subject && family.Current == caller.TokenID {
			if _, err = s.Store.EndFamily(ctx, family.ID, ends); err == nil {
				ends.Value = family.Current
				s.Revoked(ends)
				s.audit(ctx, o, caller.Subject, "logout", caller.Subject, "ok")
				return nil, nil
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, unavailable(err)
		}
	}
	if caller.TokenID == "" {
		return refuse(http.StatusBadRequest, plugins.ReasonTokenClaimMissing, "The token has no jti, so that it can't be revoked", "jti is absent", ""), nil
	}
	ends.Value, ends.Issuer = caller.TokenID, caller.Issuer
	if until := caller.ExpiresAt.Add(s.TokenKept - s.TokenLifetime); until.After(ends.ExpiresAt) {
		ends.ExpiresAt = until
	}
	if err := s.Store.Revoke(ctx, ends); err != nil {
		return nil, unavailable(err)
	}
	s.Revoked(ends)
	s.audit(ctx, o, caller.Subject, "logout", caller.Subject, "ok")
	return nil, nil
}

// needsToken refuses an API key where only a token will do: the holder of a key
// must not be able to make others, or to take the account over.
func needsToken() *Refusal {
	return refuse(http.StatusForbidden, plugins.ReasonTokenRequired, DetailForbidden, "an API key", "the token of a log-in")
}

// ChangePassword sets another password for a caller who knows the present one:
// {current_password, new_password}. Every token of the account ends, and a new one
// is given.
func (s *Service) ChangePassword(ctx context.Context, o Origin, caller *plugins.Principal, b *Body) (*Grant, *Refusal, error) {
	if caller.Scheme != plugins.SchemeBearer {
		return nil, needsToken(), nil
	}
	current, next := b.Text("current_password"), b.newPassword("new_password")
	if refusal := b.Refusal(); refusal != nil {
		return nil, refusal, nil
	}
	u, err := s.Store.User(ctx, caller.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, refuse(http.StatusForbidden, plugins.ReasonAccountUnknown, DetailForbidden, "no account of this subject", ""), nil
	case err != nil:
		return nil, nil, unavailable(err)
	}
	// Guessing here counts as guessing at the log-in.
	right, refusal, err := s.try(ctx, o, u.Email, func() (bool, error) {
		right, err := s.Hasher.Verify(ctx, u.PasswordHash, prepared(current))
		if err != nil {
			err = s.undecided(ctx, err)
		}
		return right, err
	})
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	if !right {
		s.audit(ctx, o, u.ID, "user.password", u.ID, "wrong password")
		return nil, refuse(http.StatusUnauthorized, plugins.ReasonLoginFailed, DetailLogin, "wrong password", ""), nil
	}
	changed, refusal, err := s.setPassword(ctx, o, u, next, "user.password")
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	grant, err := s.begin(ctx, changed)
	if err != nil {
		return nil, nil, s.undecided(ctx, err)
	}
	return grant, nil, nil
}

// setPassword sets the password of an account that is still as u says, and ends
// its tokens.
func (s *Service) setPassword(ctx context.Context, o Origin, u plugins.User, password plugins.Secret, action string) (plugins.User, *Refusal, error) {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return u, nil, s.undecided(ctx, err)
	}
	revocation, err := s.allTokens(u.ID, "password set")
	if err != nil {
		return u, nil, err
	}
	changed, err := s.Store.UpdateUser(ctx, u.ID, plugins.UserChange{
		User: func(now *plugins.User) error {
			if now.PasswordHash != u.PasswordHash {
				return ErrConflict
			}
			now.PasswordHash, now.PasswordSetAt = hash, s.now()
			return nil
		},
		Tokens: revocation,
	})
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		s.audit(ctx, o, u.ID, action, u.ID, "the account changed meanwhile")
		return u, refuse(http.StatusConflict, plugins.ReasonAccountChanged, "", "another password was set meanwhile", ""), nil
	case err != nil:
		return u, nil, unavailable(err)
	}
	s.Revoked(*revocation)
	s.audit(ctx, o, u.ID, action, u.ID, "ok")
	return changed, nil, nil
}
