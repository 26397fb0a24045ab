package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ainative/portcullis/plugins"
)

// Presented is a token that somebody presents, judged but for its age, up to
// RefreshWindow, and for revocation.
type Presented struct {
	Principal *plugins.Principal
	// Family is the token's sid; empty where it has none.
	Family  string
	Revoked bool
}

// Refresh gives a new token for one of ours, and revokes that one. A token that
// was used for it already is a replay: it ends the whole family, for the thief
// and for the victim. Rights are read from the account again.
func (s *Service) Refresh(ctx context.Context, o Origin, p Presented) (*Grant, *Refusal, error) {
	subject, used := p.Principal.Subject, p.Principal.TokenID
	fail := func(reason plugins.Reason, why string) (*Grant, *Refusal, error) {
		s.audit(ctx, o, subject, "token.refresh", subject, why)
		return nil, noToken(reason, why), nil
	}
	if p.Family == "" || used == "" {
		return nil, noToken(plugins.ReasonTokenClaimMissing, "sid or jti is absent: the token is not of a log-in here"), nil
	}
	family, err := s.Store.Family(ctx, p.Family)
	switch {
	case errors.Is(err, ErrNotFound):
		return fail(plugins.ReasonTokenRevoked, "no such log-in any more")
	case err != nil:
		return nil, nil, unavailable(err)
	case family.User != subject || family.Issuer != s.Issuer:
		return fail(plugins.ReasonTokenRevoked, "a log-in of somebody else")
	}
	ends, err := s.oneToken("renewed")
	if err != nil {
		return nil, nil, err
	}
	if p.Revoked && family.Current == used {
		if _, err := s.Store.EndFamily(ctx, family.ID, ends); err != nil {
			return nil, nil, unavailable(err)
		}
		return fail(plugins.ReasonTokenRevoked, "the token is revoked")
	}
	u, err := s.Store.User(ctx, subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return fail(plugins.ReasonAccountUnknown, "no such account")
	case err != nil:
		return nil, nil, unavailable(err)
	case !u.DisabledAt.IsZero():
		return fail(plugins.ReasonAccountDisabled, "disabled account")
	}
	now, err := s.afterCut(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	token := s.tokenOf(u, family.ID, now)
	signed, err := s.Signer.Sign(token)
	if err != nil {
		return nil, nil, fmt.Errorf("signing a token: %w", err)
	}
	family, err = s.Store.RenewFamily(ctx, plugins.Renewal{
		Family: family.ID, Used: used, Next: token.ID, Epoch: u.Epoch, ExpiresAt: token.ExpiresAt.Add(s.RefreshWindow), Ends: ends,
	})
	switch {
	case errors.Is(err, ErrReplayed):
		ends.Value = family.Current
		s.Revoked(ends)
		return fail(plugins.ReasonTokenReplayed, "the token was renewed already: all of its log-in end")
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return fail(plugins.ReasonTokenRevoked, "the log-in has ended")
	case err != nil:
		return nil, nil, unavailable(err)
	}
	ends.Value = used
	s.Revoked(ends)
	s.audit(ctx, o, subject, "token.refresh", subject, "ok")
	return &Grant{Token: plugins.NewSecret(signed), ExpiresIn: s.TokenLifetime, Role: u.Role, User: u.ID}, nil, nil
}

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
