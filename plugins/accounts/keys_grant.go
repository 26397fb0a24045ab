package accounts

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// maxKeyDays bounds the life of a key, in days.
const maxKeyDays = 36500

// holder is what limits an owner who makes and changes keys.
func (s *Service) holder(o Owner) *plugins.KeyHolder {
	h := &plugins.KeyHolder{Epoch: o.User.Epoch, Most: s.KeysPerOwner, Covers: func(key plugins.APIKey) error {
		if refusal := s.covers(o, key); refusal != nil {
			return refused{refusal}
		}
		return nil
	}}
	// The rights that another issuer grants can't be looked up later: a key made with its
	// token ends with that token, or as the operator has allowed.
	if p := o.Principal; p.Issuer != s.Issuer {
		switch {
		case s.ForeignKeyLifetime > 0:
			h.Until = s.now().Add(s.ForeignKeyLifetime)
		case !p.ExpiresAt.IsZero():
			h.Until = p.ExpiresAt.UTC().Truncate(time.Second)
		default:
			h.Until = s.now().Add(s.TokenLifetime)
		}
	}
	return h
}

// newKey reads what a key is to be made with.
func (s *Service) newKey(o Owner, b *Body) (plugins.KeyInput, *Refusal) {
	b.Text("name")
	in, refusal := s.readKey(o, b)
	if refusal != nil {
		return in, refusal
	}
	in.Owner = &o.Principal.Subject
	if in.Role == nil {
		role := o.User.Role
		if o.User.ID == "" {
			role = s.Rights.Primary(o.Principal.Roles)
		}
		in.Role = &role
	}
	if in.Scopes == nil {
		scopes := slices.DeleteFunc(slices.Clone(o.Principal.Scopes), func(scope string) bool { return !o.hasScope(scope) })
		in.Scopes = &scopes
	}
	// A token may name a tier that there is not; then the key has the default one.
	if tier := o.tier(); tier != "" && s.Check("tier", tier) == "" {
		in.Tier = &tier
	}
	return in, nil
}

// readKey reads the fields of a key that are its owner's to choose.
func (s *Service) readKey(o Owner, b *Body) (plugins.KeyInput, *Refusal) {
	var in plugins.KeyInput
	if v := b.fields["name"]; v.kind == kindText {
		name := v.text
		switch {
		case name == "":
			b.Reject("name", "ensure this value has at least 1 characters", "value_error.any_str.min_length")
		case strings.ContainsFunc(name, unprintable) || strings.TrimSpace(name) != name:
			b.Reject("name", "must not contain control characters, or spaces at its ends", "value_error")
		case len(name) > maxName:
			b.Reject("name", "ensure this value has at most 256 characters", "value_error.any_str.max_length")
		}
		in.Name = &name
	} else if v.kind != kindNull {
		b.OptionalText("name")
	}
	if days, given := b.OptionalInt("expires_in_days", 1, maxKeyDays); given {
		in.ExpiresInDays = &days
	}
	if at, given := b.OptionalTime("expires_at"); given {
		in.ExpiresAt = &at
		switch {
		case in.ExpiresInDays != nil:
			b.Reject("expires_at", "give expires_at or expires_in_days, not both", "value_error")
		case !at.After(s.Clock()) && at.Year() > 1:
			b.Reject("expires_at", "is not in the future", "value_error")
		}
	}
	if role, given := b.OptionalText("role"); given {
		in.Role = &role
	}
	if scopes, given := b.OptionalTexts("scopes"); given {
		b.checkScopes("scopes", scopes)
		in.Scopes = &scopes
	}
	if refusal := b.Refusal(); refusal != nil {
		return in, refusal
	}
	if in.Role != nil && !s.hasRole(o, *in.Role) {
		return in, tooMuch("role " + clip(*in.Role))
	}
	if in.Scopes != nil {
		for _, scope := range *in.Scopes {
			if !o.hasScope(scope) {
				return in, tooMuch("scope " + clip(scope))
			}
		}
	}
	return in, nil
}

// covers refuses to hand out a key that grants more than its owner has.
func (s *Service) covers(o Owner, key plugins.APIKey) *Refusal {
	if !s.hasRole(o, key.Role) {
		return tooMuch("role " + clip(key.Role))
	}
	for _, scope := range key.Scopes {
		if !o.hasScope(scope) {
			return tooMuch("scope " + clip(scope))
		}
	}
	if !s.WithinLimits(o.Principal.Owner, o.tier(), key) {
		if len(key.Limits) != 0 {
			return tooMuch("limits " + clip(strings.Join(key.Limits, ", ")))
		}
		return tooMuch("tier " + clip(key.Tier))
	}
	return nil
}

func tooMuch(what string) *Refusal {
	return refuse(http.StatusForbidden, plugins.ReasonKeyGrant, DetailForbidden, what, "what the owner has")
}

// hasRole reports whether the account grants a role, and the credential of the owner
// does too. No role means the default one.
func (s *Service) hasRole(o Owner, role string) bool {
	if role == "" {
		role = s.DefaultKeyRole
	}
	return role == "" || s.Rights.Grants(o.Principal.Roles, role) && (o.User.ID == "" || s.Rights.Grants([]string{o.User.Role}, role))
}

func (o Owner) hasScope(scope string) bool {
	return slices.Contains(o.Principal.Scopes, scope) && (o.User.ID == "" || slices.Contains(o.User.Scopes, scope))
}

// tier is the tier of a new key.
func (o Owner) tier() string {
	if o.User.ID != "" {
		return o.User.Tier
	}
	return o.Principal.Tier
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
