package accounts

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// maxKeyDays bounds the life of a key, in days.
const maxKeyDays = 36500

// KeyOrder is what an owner wants of a key. Nil fields are not given.
type KeyOrder struct {
	Name          *string
	ExpiresInDays *int
	ExpiresAt     *time.Time
	// Role and Scopes are within what the owner has; for a new key they are set.
	Role   *string
	Scopes *[]string
}

// Owner is who asks for a key, as the account stands.
type Owner struct {
	Principal *plugins.Principal
	// User is the account; its ID is empty for subjects of other issuers.
	User plugins.User
}

// OwnerOf finds the account of a caller. A disabled one owns nothing.
func (s *Service) OwnerOf(ctx context.Context, p *plugins.Principal) (Owner, *Refusal, error) {
	u, err := s.Store.User(ctx, p.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return Owner{Principal: p}, nil, nil
	case err != nil:
		return Owner{}, nil, unavailable(err)
	case !u.DisabledAt.IsZero():
		return Owner{}, noToken(plugins.ReasonAccountDisabled, "disabled account"), nil
	}
	return Owner{Principal: p, User: u}, nil, nil
}

// Changes refuses who may not make and change keys.
func (o Owner) Changes() *Refusal {
	if o.Principal.Scheme != plugins.SchemeBearer {
		return needsToken()
	}
	return nil
}

// NewKey reads what a key is to be made with: {name, expires_in_days?, expires_at?,
// role?, scopes?}. Owner, tier and limits are not the owner's to choose, and
// passed over. Without role and scopes the key grants what its owner has.
func (s *Service) NewKey(o Owner, b *Body) (KeyOrder, *Refusal) {
	if refusal := o.Changes(); refusal != nil {
		return KeyOrder{}, refusal
	}
	b.Text("name")
	order, refusal := s.readKey(o, b)
	if refusal != nil {
		return order, refusal
	}
	if order.Role == nil {
		role := ""
		switch {
		case o.User.ID != "":
			role = o.User.Role
		case len(o.Principal.Roles) != 0:
			role = o.Principal.Roles[0]
		}
		order.Role = &role
	}
	if order.Scopes == nil {
		scopes := []string{}
		for _, scope := range o.Principal.Scopes {
			if o.hasScope(scope) {
				scopes = append(scopes, scope)
			}
		}
		order.Scopes = &scopes
	}
	return order, s.Covers(o, plugins.APIKey{Role: *order.Role, Scopes: *order.Scopes})
}

// KeyChange reads what is to be changed of a key.
func (s *Service) KeyChange(o Owner, b *Body) (KeyOrder, *Refusal) {
	if refusal := o.Changes(); refusal != nil {
		return KeyOrder{}, refusal
	}
	return s.readKey(o, b)
}

func (s *Service) readKey(o Owner, b *Body) (KeyOrder, *Refusal) {
	var order KeyOrder
	if v := b.fields["name"]; v.kind == kindText {
		name := v.text
		switch {
		case strings.ContainsFunc(name, unprintable) || strings.TrimSpace(name) != name:
			b.Reject("name", "must not contain control characters, or spaces at its ends", "value_error")
		case len(name) > maxName:
			b.Reject("name", "ensure this value has at most 256 characters", "value_error.any_str.max_length")
		}
		order.Name = &name
	} else if v.kind != kindNull {
		b.OptionalText("name")
	}
	if days, given := b.OptionalInt("expires_in_days", 1, maxKeyDays); given {
		order.ExpiresInDays = &days
	}
	if at, given := b.OptionalTime("expires_at"); given {
		order.ExpiresAt = &at
		switch {
		case order.ExpiresInDays != nil:
			b.Reject("expires_at", "give expires_at or expires_in_days, not both", "value_error")
		case !at.After(s.Clock()) && at.Year() > 1:
			b.Reject("expires_at", "is not in the future", "value_error")
		}
	}
	if role, given := b.OptionalText("role"); given {
		order.Role = &role
	}
	if scopes, given := b.OptionalTexts("scopes"); given {
		b.checkScopes("scopes", scopes)
		order.Scopes = &scopes
	}
	if refusal := b.Refusal(); refusal != nil {
		return order, refusal
	}
	if order.Role != nil && !s.hasRole(o, *order.Role) {
		return order, tooMuch("role " + clip(*order.Role))
	}
	if order.Scopes != nil {
		for _, scope := range *order.Scopes {
			if !o.hasScope(scope) {
				return order, tooMuch("scope " + clip(scope))
			}
		}
	}
	return order, nil
}

// Covers refuses to hand out a key that grants more than its owner has: an
// operator may have made one.
func (s *Service) Covers(o Owner, key plugins.APIKey) *Refusal {
	if !s.hasRole(o, key.Role) {
		return tooMuch("role " + clip(key.Role))
	}
	for _, scope := range key.Scopes {
		if !o.hasScope(scope) {
			return tooMuch("scope " + clip(scope))
		}
	}
	return nil
}

func tooMuch(what string) *Refusal {
	return no(http.StatusForbidden, plugins.ReasonKeyGrant, DetailForbidden, what, "what the owner has")
}

// hasRole holds a role against the account, and against the credential with which
// the owner came. No role means the default one.
func (s *Service) hasRole(o Owner, role string) bool {
	if role == "" {
		role = s.DefaultKeyRole
	}
	return role == "" || s.Rights.Grants(o.Principal.Roles, role) && (o.User.ID == "" || s.Rights.Grants([]string{o.User.Role}, role))
}

func (o Owner) hasScope(scope string) bool {
	return slices.Contains(o.Principal.Scopes, scope) && (o.User.ID == "" || slices.Contains(o.User.Scopes, scope))
}

// Tier is the tier of a new key.
func (o Owner) Tier() string {
	if o.User.ID != "" {
		return o.User.Tier
	}
	return o.Principal.Tier
}

// Owns refuses a key of somebody else as one that is not there.
func (o Owner) Owns(key plugins.APIKey) *Refusal {
	if key.Owner != o.Principal.Subject || key.Owner == "" {
		return NoKey()
	}
	return nil
}

// NoKey is the answer for a key that is not there, or somebody else's.
func NoKey() *Refusal { return notFound(plugins.ReasonKeyNotFound) }

// TooManyKeys is the answer for an owner who has as many as may be.
func TooManyKeys(bound string) *Refusal {
	return no(http.StatusConflict, plugins.ReasonTooManyKeys, "Too many API keys", "", bound)
}

// KeyState is the answer for a key that can't be changed any more.
func KeyState(why string) *Refusal {
	return no(http.StatusConflict, plugins.ReasonKeyState, "", why, "")
}

// Changed is the answer for an account that changed while it was being asked for
// something.
func Changed() *Refusal {
	return no(http.StatusConflict, plugins.ReasonAccountChanged, "", "the account changed meanwhile", "")
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
