package keys

import (
	"fmt"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

const maxDays = 36500

// apply checks what is given and writes it into the record.
func (s *Service) apply(in plugins.KeyInput, key *plugins.APIKey) error {
	if in.Name != nil {
		if err := plugins.CheckText("name", *in.Name, 1, 256); err != nil {
			return err
		}
		key.Name = *in.Name
	}
	for _, right := range []struct {
		field       string
		given, into *string
	}{{"role", in.Role, &key.Role}, {"tier", in.Tier, &key.Tier}} {
		if right.given == nil {
			continue
		}
		if *right.given != "" {
			if wrong := s.config.Check(right.field, *right.given); wrong != "" {
				return &plugins.InputError{Field: right.field, Text: wrong}
			}
		}
		*right.into = *right.given
	}
	if in.Scopes != nil {
		for _, scope := range *in.Scopes {
			if !plugins.IsScope(scope) {
				return &plugins.InputError{Field: "scopes", Text: fmt.Sprintf("%q is no scope: use printable characters without spaces, commas and quotes", clip(scope))}
			}
		}
		key.Scopes = *in.Scopes
	}
	if in.IPAllow != nil {
		if _, err := apikey.ParseIPAllow(*in.IPAllow); err != nil {
			return &plugins.InputError{Field: "ip_allow", Text: err.Error()}
		}
		key.IPAllow = *in.IPAllow
	}
	if in.Limits != nil {
		if len(*in.Limits) != 0 {
			if err := s.config.CheckLimits(*in.Limits); err != nil {
				return &plugins.InputError{Field: "limits", Text: err.Error()}
			}
		}
		key.Limits = *in.Limits
	}
	return s.applyExpiry(in, key)
}

// applyExpiry sets the end of a key, which is given in one of three ways.
func (s *Service) applyExpiry(in plugins.KeyInput, key *plugins.APIKey) error {
	given, now := 0, s.now()
	if in.Expires != nil {
		given++
		switch text := *in.Expires; text {
		case "never", "":
			key.ExpiresAt = time.Time{}
		default:
			lifetime, err := s.config.ParseDuration(text)
			if err != nil || lifetime <= 0 {
				return &plugins.InputError{Field: "expires", Text: fmt.Sprintf("%q is not a duration: write one like 90d or 12h, or never", clip(text))}
			}
			key.ExpiresAt = now.Add(lifetime)
		}
	}
	if in.ExpiresInDays != nil {
		given++
		if days := *in.ExpiresInDays; days < 1 || days > maxDays {
			return &plugins.InputError{Field: "expires_in_days", Text: "write a whole number from 1 to 36500"}
		}
		key.ExpiresAt = now.AddDate(0, 0, *in.ExpiresInDays)
	}
	if in.ExpiresAt != nil {
		given++
		key.ExpiresAt = in.ExpiresAt.UTC().Truncate(time.Second)
		if !key.ExpiresAt.After(now) {
			return &plugins.InputError{Field: "expires_at", Text: "is not in the future"}
		}
	}
	if given > 1 {
		return &plugins.InputError{Field: "expires_at", Text: "give one of expires, expires_at and expires_in_days"}
	}
	return nil
}

// clip shortens what is repeated in a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
