package accounts

import (
	"context"
	"errors"
	"net/http"

	"github.com/ainative/portcullis/plugins"
)

// LogIn gives a token for the right password. An address that is not known, a wrong
// password and a disabled account get the same answer after the same work.
func (s *Service) LogIn(ctx context.Context, o Origin, b *Body) (*Grant, *Refusal, error) {
	username, password := b.Text("username"), b.Text("password")
	if refusal := b.Refusal(); refusal != nil {
		return nil, refusal, nil
	}
	var u plugins.User
	var right bool
	_, refusal, err := s.try(ctx, o, accountSubject(username), func() (_ bool, err error) {
		if u, err = s.find(ctx, username); err != nil && !errors.Is(err, ErrNotFound) {
			return false, unavailable(err)
		}
		if right, err = s.Hasher.Verify(ctx, u.PasswordHash, prepared(password)); err != nil {
			return false, s.undecided(ctx, err)
		}
		return right && u.DisabledAt.IsZero(), nil
	})
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	fail := func(why string) (*Grant, *Refusal, error) {
		target := u.ID
		if target == "" {
			target = named(username)
		}
		s.audit(ctx, o, named(username), "login", target, why)
		return nil, refuse(http.StatusUnauthorized, plugins.ReasonLoginFailed, DetailLogin, why, ""), nil
	}
	switch {
	case u.ID == "":
		return fail("unknown account")
	case !right:
		return fail("wrong password")
	case !u.DisabledAt.IsZero():
		return fail("disabled account")
	}
	grant, err := s.begin(ctx, u)
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		// Disabled, or given another password, while this one was being checked.
		return fail("the account changed meanwhile")
	case err != nil:
		return nil, nil, s.undecided(ctx, err)
	}
	s.audit(ctx, o, u.ID, "login", u.ID, "ok")
	return grant, nil, nil
}

// undecided makes an error unavailable, unless the caller has gone away.
func (s *Service) undecided(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return unavailable(err)
}

// find looks an account up by what was given as its address.
func (s *Service) find(ctx context.Context, address string) (plugins.User, error) {
	email, ok := ParseEmail(address)
	if !ok {
		return plugins.User{}, ErrNotFound
	}
	return s.Store.UserByEmail(ctx, email.Canonical)
}
