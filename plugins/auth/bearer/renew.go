package bearer

import (
	"context"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Renewable is a token that may be put in the place of another: good, or good
// but for its age.
type Renewable struct {
	// Principal is the caller that the token names, as Authenticate returns it.
	Principal *plugins.Principal
	// Family is the token's `sid`; empty where it has none.
	Family string
	// Revoked says that the token is revoked. Whether that matters is for the caller
	// to say: of a token that was renewed already it tells a replay.
	Revoked bool
}

// Renewable judges a token as Authenticate does, but takes one that expired less
// than window ago, and tells of revocation instead of refusing for it. Nothing is
// remembered.
func (s *Scheme) Renewable(ctx context.Context, token string, window time.Duration) (*Renewable, *plugins.Denial, error) {
	v := s.verifier
	t, denial := scan(token)
	if denial != nil {
		return nil, denial, nil
	}
	is, denial := s.policy.choose(&t.claims)
	if denial != nil {
		return nil, denial, nil
	}
	now := v.clock()
	// One that is absent or no number is refused below, whatever the time.
	expires, _, _ := numericDate(&t.claims, "exp")
	at := now
	if !now.Before(expires) && now.Before(expires.Add(window)) {
		// Judged as of its last moment. That exp is not verified yet does no harm: the
		// signature over it is, in the same step, before anything else is believed.
		at = expires.Add(-time.Nanosecond)
	}
	checked, denial, err := is.verify(ctx, t, at, v.defaultRole)
	if checked == nil {
		return nil, denial, err
	}
	found := &Renewable{Principal: checked.principal}
	if found.Family, denial = is.identity(&t.claims, newClaimPath("sid"), false); denial != nil {
		return nil, denial, nil
	}
	p := checked.principal
	if v.revoked == nil {
		return found, nil, nil
	}
	if v.revoked.KeyRevoked(p.Issuer, p.SigningKey) {
		// A thief who has the key can make the token that is to be renewed.
		return nil, denyRevoked(p), nil
	}
	found.Revoked = v.revoked.Revoked(p.Issuer, p.TokenID, p.Subject, checked.issued)
	return found, nil, nil
}
