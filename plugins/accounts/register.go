package accounts

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/ainative/portcullis/plugins"
)

// maxName bounds a name, in bytes.
const maxName = 256

// RegistrationFields are the fields of a registration that Config.Require can name.
var RegistrationFields = []string{"full_name"}

// Register makes an account of {email, password, full_name}. Whatever else the
// body holds, a role for instance, is passed over.
func (s *Service) Register(ctx context.Context, o Origin, b *Body) (plugins.User, *Refusal, error) {
	if !s.Open {
		return plugins.User{}, refuse(http.StatusForbidden, plugins.ReasonRegistrationClosed, DetailForbidden, "registration is closed", "registration open"), nil
	}
	email := b.email("email")
	password := b.newPassword("password")
	name := b.fullName()
	for _, field := range s.Require {
		b.need(field)
	}
	if refusal := b.Refusal(); refusal != nil {
		return plugins.User{}, refusal, nil
	}
	if s.LoginLimit.Count != 0 && o.Network != "" {
		c, err := s.take(ctx, ThrottleRegistration, o.Network, s.LoginLimit, 1)
		switch {
		case err != nil:
			return plugins.User{}, nil, err
		case !c.Allowed:
			return plugins.User{}, limited(ThrottleRegistration, c.Wait), nil
		}
	}
	return s.create(ctx, o, plugins.User{Email: email.Canonical, Address: email.Shown, FullName: name, Role: s.DefaultRole, Tier: s.DefaultTier}, password, "user.register")
}

// Create makes an account for an operator: {email, password?, full_name?, role?,
// tier?, scopes?}. Without a password one is made and returned.
func (s *Service) Create(ctx context.Context, o Origin, b *Body) (plugins.User, plugins.Secret, *Refusal, error) {
	u := plugins.User{Role: s.DefaultRole, Tier: s.DefaultTier}
	email := b.email("email")
	u.Email, u.Address, u.FullName = email.Canonical, email.Shown, b.fullName()
	b.rights(&u, s.Check)
	if u.Role == "" {
		b.Reject("role", "field required", "value_error.missing")
	}
	b.Only("email", "full_name", "role", "tier", "scopes", "password")
	password, made := s.passwordOrNew(b)
	if refusal := b.Refusal(); refusal != nil {
		return plugins.User{}, plugins.Secret{}, refusal, nil
	}
	u, refusal, err := s.create(ctx, o, u, password, "user.create")
	return u, made, refusal, err
}

// passwordOrNew reads a password, or makes one where none is given.
func (s *Service) passwordOrNew(b *Body) (password, made plugins.Secret) {
	if _, given := b.fields["password"]; given {
		return b.newPassword("password"), plugins.Secret{}
	}
	made = GeneratePassword()
	return made, made
}

func (s *Service) create(ctx context.Context, o Origin, u plugins.User, password plugins.Secret, action string) (plugins.User, *Refusal, error) {
	taken := refuse(http.StatusConflict, plugins.ReasonEmailTaken, DetailEmailTaken, u.Address, "an address without an account")
	fail := func() (plugins.User, *Refusal, error) {
		s.audit(ctx, o, u.Address, action, u.Address, string(plugins.ReasonEmailTaken))
		return plugins.User{}, taken, nil
	}
	// Asked first, so that trying many addresses costs the gateway no hashes.
	switch _, err := s.Store.UserByEmail(ctx, u.Email); {
	case err == nil:
		return fail()
	case !errors.Is(err, ErrNotFound):
		return plugins.User{}, nil, unavailable(err)
	}
	var err error
	if u.PasswordHash, err = s.Hasher.Hash(ctx, password); err != nil {
		return plugins.User{}, nil, unavailable(err)
	}
	if u.ID, err = newID(); err != nil {
		return plugins.User{}, nil, err
	}
	u.CreatedAt = s.now()
	u.PasswordSetAt, u.Epoch = u.CreatedAt, 1
	switch err := s.Store.CreateUser(ctx, u); {
	case errors.Is(err, ErrExists):
		return fail()
	case err != nil:
		return plugins.User{}, nil, unavailable(err)
	}
	s.audit(ctx, o, u.ID, action, u.ID, "ok")
	return u, nil, nil
}

// email reads an address.
func (b *Body) email(name string) Email {
	before := len(b.wrong)
	text := b.Text(name)
	email, ok := ParseEmail(text)
	if !ok && len(b.wrong) == before {
		b.Reject(name, "value is not a valid email address", "value_error.email")
	}
	return email
}

// fullName reads a name that may be missing. It stands in logs, terminals and
// pages: what would change how those read it is refused.
func (b *Body) fullName() string {
	name, _ := b.OptionalText("full_name")
	name = strings.TrimSpace(norm.NFC.String(name))
	switch {
	case len(name) > maxName:
		b.Reject("full_name", "ensure this value has at most 256 characters", "value_error.any_str.max_length")
	case strings.ContainsFunc(name, unprintable):
		b.Reject("full_name", "must not contain control characters", "value_error")
	}
	return name
}

// need refuses a text that is missing or blank.
func (b *Body) need(name string) {
	if v, ok := b.present(name, true); ok && v.kind == kindText && strings.TrimSpace(v.text) == "" {
		b.Reject(name, "ensure this value has at least 1 characters", "value_error.any_str.min_length")
	}
}

// unprintable finds control characters, line separators and what turns the
// direction of text around.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// rights reads role, tier and scopes where they are given.
func (b *Body) rights(u *plugins.User, check func(field, value string) string) {
	for field, into := range map[string]*string{"role": &u.Role, "tier": &u.Tier} {
		text, given := b.OptionalText(field)
		if !given {
			continue
		}
		if wrong := check(field, text); wrong != "" {
			b.Reject(field, wrong, "value_error")
		}
		*into = text
	}
	if scopes, given := b.OptionalTexts("scopes"); given {
		b.checkScopes("scopes", scopes)
		slices.Sort(scopes)
		u.Scopes = slices.Compact(scopes)
	}
}

// checkScopes holds scopes to RFC 6749 section 3.3.
func (b *Body) checkScopes(name string, scopes []string) {
	for i, scope := range scopes {
		if !plugins.IsScope(scope) {
			b.wrong = append(b.wrong, Field{Loc: []any{"body", name, i}, Msg: "value is not a valid scope", Type: "value_error"})
		}
	}
}
