package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// Refresh gives a new token for one of ours, and revokes that one. Rights are read
// from the account again.
//
// A token that was refreshed no longer than ReuseInterval ago gets the same new
// token again, as long as that one is current: two tabs, or a client that lost the
// answer, are no thieves. The new token is not kept for it. The store has its id and
// its times, from which it is signed again. A token that comes later, or whose
// successor was refreshed too, is a replay: it ends the whole family, for the thief
// and for the victim (RFC 9700 section 4.14.2).
func (s *Service) Refresh(ctx context.Context, o Origin, p Presented) (*Grant, *Refusal, error) {
	subject := p.Principal.Subject
	if p.Family == "" || p.Principal.TokenID == "" {
		return nil, noToken(plugins.ReasonTokenClaimMissing, "sid or jti is absent: the token is not of a log-in here"), nil
	}
	ends, err := s.oneToken("renewed")
	if err != nil {
		return nil, nil, err
	}
	grant, refusal, err := s.refresh(ctx, p, ends)
	switch {
	case refusal != nil:
		s.audit(ctx, o, subject, "token.refresh", subject, refusal.Denial.Value)
	case grant != nil && grant.Again:
		s.audit(ctx, o, subject, "token.refresh", subject, "ok: the same token again")
	case grant != nil:
		s.audit(ctx, o, subject, "token.refresh", subject, "ok")
	}
	return grant, refusal, err
}

// refresh is Refresh of a token that names its log-in. Ends is the revocation of the
// token that ends by it.
func (s *Service) refresh(ctx context.Context, p Presented, ends plugins.Revocation) (*Grant, *Refusal, error) {
	used := p.Principal.TokenID
	refusal, err := s.checkFamily(ctx, p, ends)
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	u, err := s.Store.User(ctx, p.Principal.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, noToken(plugins.ReasonAccountUnknown, "no such account"), nil
	case err != nil:
		return nil, nil, unavailable(err)
	case !u.DisabledAt.IsZero():
		return nil, noToken(plugins.ReasonAccountDisabled, "disabled account"), nil
	}
	now, err := s.afterCut(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	token := s.tokenOf(u, p.Family, now)
	// Signed first: a token that can't be given must not cost the caller the old one.
	grant, err := s.grant(u, token, now)
	if err != nil {
		return nil, nil, err
	}
	family, err := s.Store.RenewFamily(ctx, plugins.Renewal{
		Family: p.Family, Used: used, Next: token.ID, At: now, Reuse: s.reuse(), Epoch: u.Epoch,
		ExpiresAt: token.ExpiresAt.Add(s.RefreshWindow), Ends: ends,
	})
	switch {
	case errors.Is(err, ErrReplayed):
		ends.Value = family.Current
		s.Revoked(ends)
		return nil, noToken(plugins.ReasonTokenReplayed, "the token was renewed already: all of its log-in end"), nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return nil, noToken(plugins.ReasonTokenRevoked, "the log-in has ended"), nil
	case err != nil:
		return nil, nil, unavailable(err)
	}
	if family.Current != token.ID {
		token.ID, token.IssuedAt, token.ExpiresAt = family.Current, family.RenewedAt, family.RenewedAt.Add(s.TokenLifetime)
		return s.again(ctx, u, token, now, ends)
	}
	ends.Value = used
	s.Revoked(ends)
	return grant, nil, nil
}

// again gives the current token of a family again, unless it is revoked, which ends the
// log-in.
func (s *Service) again(ctx context.Context, u plugins.User, current Token, now time.Time, ends plugins.Revocation) (*Grant, *Refusal, error) {
	grant, err := s.grant(u, current, now)
	if err != nil {
		return nil, nil, err
	}
	grant.Again = true
	if s.IsRevoked == nil {
		return grant, nil, nil
	}
	revoked, err := s.IsRevoked(ctx, grant.Token)
	switch {
	case err != nil:
		return nil, nil, unavailable(err)
	case revoked:
		return s.endRevoked(ctx, current.Family, ends)
	}
	return grant, nil, nil
}

// endRevoked ends a log-in whose current token is revoked.
func (s *Service) endRevoked(ctx context.Context, family string, ends plugins.Revocation) (*Grant, *Refusal, error) {
	if _, err := s.Store.EndFamily(ctx, family, ends); err != nil {
		return nil, nil, unavailable(err)
	}
	return nil, noToken(plugins.ReasonTokenRevoked, "the token is revoked"), nil
}

// checkFamily refuses a token that is not of a log-in of its subject, and one that is
// current but revoked, which ends the log-in.
func (s *Service) checkFamily(ctx context.Context, p Presented, ends plugins.Revocation) (*Refusal, error) {
	family, err := s.Store.Family(ctx, p.Family)
	switch {
	case errors.Is(err, ErrNotFound):
		return noToken(plugins.ReasonTokenRevoked, "no such log-in any more"), nil
	case err != nil:
		return nil, unavailable(err)
	case family.User != p.Principal.Subject || family.Issuer != s.Issuer:
		return noToken(plugins.ReasonTokenRevoked, "a log-in of somebody else"), nil
	}
	if !p.Revoked || family.Current != p.Principal.TokenID {
		return nil, nil
	}
	_, refusal, err := s.endRevoked(ctx, family.ID, ends)
	return refusal, err
}

// reuse is ReuseInterval, but ends before the new token does.
func (s *Service) reuse() time.Duration {
	return max(0, min(s.ReuseInterval, s.TokenLifetime-time.Second))
}

// grant signs a token of a user's.
func (s *Service) grant(u plugins.User, t Token, now time.Time) (*Grant, error) {
	signed, err := s.Signer.Sign(t)
	if err != nil {
		return nil, fmt.Errorf("signing a token: %w", err)
	}
	return &Grant{Token: plugins.NewSecret(signed), ExpiresIn: min(t.ExpiresAt.Sub(now), s.TokenLifetime), Role: u.Role, User: u.ID}, nil
}
