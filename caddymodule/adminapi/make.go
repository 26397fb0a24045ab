package adminapi

import (
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// NewKey makes the JSON of a key.
func NewKey(k plugins.APIKey) Key {
	return Key{
		ID: k.ID, Owner: k.Owner, Name: k.Name, Prefix: k.Prefix,
		Role: OrNull(k.Role), Tier: OrNull(k.Tier),
		Scopes: OrEmpty(k.Scopes), IPAllow: OrEmpty(k.IPAllow), Limits: OrEmpty(k.Limits),
		CreatedAt: Time(k.CreatedAt), ExpiresAt: Time(k.ExpiresAt),
		LastUsedAt: Time(k.LastUsedAt), RevokedAt: Time(k.RevokedAt),
		ReplacedBy: OrNull(k.ReplacedBy),
	}
}

// OrNull is null for an empty text.
func OrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// OrEmpty is an empty list for none.
func OrEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Time is a time as the API writes it, null for the zero time.
func Time(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return OrNull(t.UTC().Format(time.RFC3339))
}

// List makes the JSON of a list, by what makes that of one. None is an empty list.
func List[T, JSON any](found []T, one func(T) JSON) []JSON {
	list := make([]JSON, 0, len(found))
	for _, element := range found {
		list = append(list, one(element))
	}
	return list
}

// NewMadeKey makes the JSON of a key that was just made, with the key itself.
func NewMadeKey(k plugins.APIKey, secret plugins.Secret) Key {
	shown := NewKey(k)
	shown.APIKey = secret.Reveal()
	return shown
}

// NewUser makes the JSON of an account.
func NewUser(u plugins.User) User {
	return User{
		ID: u.ID, Email: u.Address, FullName: u.FullName, Role: u.Role, Tier: u.Tier, Scopes: OrEmpty(u.Scopes),
		CreatedAt: Time(u.CreatedAt), PasswordSetAt: Time(u.PasswordSetAt), DisabledAt: Time(u.DisabledAt),
	}
}

// NewRevocation makes the JSON of a revocation.
func NewRevocation(r plugins.Revocation) Revocation {
	return Revocation{
		ID: r.ID, Kind: string(r.Kind), Issuer: OrNull(r.Issuer), Value: r.Value,
		IssuedBefore: Time(r.IssuedBefore), CreatedAt: Time(r.CreatedAt),
		ExpiresAt: Time(r.ExpiresAt), Note: r.Note,
	}
}

// NewAuditEntry makes the JSON of a line of the audit trail.
func NewAuditEntry(e store.AuditEntry) AuditEntry {
	return AuditEntry{ID: e.ID, At: Time(e.At), Actor: e.Actor, Action: e.Action, Target: e.Target, From: e.From, Result: e.Result}
}

// NewOwner makes the JSON of the limits that the store has for an owner.
func NewOwner(o store.OwnerLimits) Owner {
	return Owner{
		Owner: o.Owner, Tier: OrNull(o.Tier), Limits: OrEmpty(o.Limits), Concurrency: o.Concurrency,
		Source: "store", UpdatedAt: Time(o.UpdatedAt),
	}
}
