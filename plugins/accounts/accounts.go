// Package accounts serves people who log in with a password: it registers them,
// gives them tokens that the gateway's own authentication takes, renews and ends
// those, and lets them keep API keys of their own. It stands before
// authentication and answers paths of its own.
//
// It knows no HTTP but statuses. Package caddymodule brings it requests, and
// the store, the signer and the limiter behind the interfaces below.
package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ainative/portcullis/plugins"
)

// The errors that a Store answers with.
var (
	ErrNotFound = plugins.ErrNotFound
	ErrExists   = plugins.ErrExists
	ErrConflict = plugins.ErrConflict
	ErrReplayed = plugins.ErrReplayed
)

// Store keeps accounts and the families of their tokens. What each method
// promises is said where the gateway's store is defined.
type Store interface {
	CreateUser(ctx context.Context, u plugins.User) error
	User(ctx context.Context, id string) (plugins.User, error)
	UserByEmail(ctx context.Context, email string) (plugins.User, error)
	UpdateUser(ctx context.Context, id string, change plugins.UserChange) (plugins.User, error)
	StartFamily(ctx context.Context, f plugins.TokenFamily, epoch int64) error
	Family(ctx context.Context, id string) (plugins.TokenFamily, error)
	RenewFamily(ctx context.Context, r plugins.Renewal) (plugins.TokenFamily, error)
	EndFamily(ctx context.Context, id string, ends plugins.Revocation) (plugins.TokenFamily, error)
	Revoke(ctx context.Context, r plugins.Revocation) error
}

// Token is what a token that is to be signed says.
type Token struct {
	Subject, Role, Tier string
	Scopes              []string
	// ID is the id of the token, Family the id of its family.
	ID, Family string
	// IssuedAt and ExpiresAt have whole seconds.
	IssuedAt, ExpiresAt time.Time
}

// Signer signs tokens.
type Signer interface {
	Sign(t Token) (string, error)
}

// Rights says which roles include which.
type Rights interface {
	// Grants reports whether one of the roles held is wanted or includes it.
	Grants(held []string, wanted string) bool
	// Primary is the role, among those held, that a caller is known by.
	Primary(held []string) string
}

// Entry is a line of the audit trail. It holds no secret.
type Entry struct {
	// Actor is the id of a user, an address without an account, or `admin`.
	Actor string
	// Action such as `login`, Target what it was done to.
	Action, Target string
	// From is the address that the request came from.
	From string
	// Result is `ok`, or `ok: ` and a remark, or the reason of a refusal.
	Result string
}

// Config is what a Service needs.
type Config struct {
	Store    Store
	Signer   Signer
	Hasher   *Hasher
	Throttle Throttle
	Rights   Rights
	// OpenKeys returns the service that makes and changes keys.
	OpenKeys func(ctx context.Context) (Keys, error)
	// Check says what is wrong with a `role` or a `tier`; empty for nothing.
	Check func(field, value string) string
	// WithinLimits reports whether the limits of a key are within those of its owner, who
	// is in this tier.
	WithinLimits func(owner, tier string, key plugins.APIKey) bool
	// Revoked is called with each revocation as soon as it is stored, KeysChanged after
	// each change to keys, so that both hold at once.
	Revoked     func(plugins.Revocation)
	KeysChanged func()
	// IsRevoked reports whether a token that Signer signed is revoked, in any way. Nil
	// means that none is.
	IsRevoked func(ctx context.Context, token plugins.Secret) (bool, error)
	// Audit writes the trail.
	Audit func(ctx context.Context, e Entry)
	// Clock and Sleep are time.Now and a timer where nil.
	Clock plugins.Clock
	Sleep func(ctx context.Context, d time.Duration) error

	// Issuer is the configured name of the issuer whose tokens these are.
	Issuer string
	// LoginLimit is how often an address may fail to log in, and may register; a Count
	// of 0 is no limit. The limit of an account follows from it: see attempts.go.
	LoginLimit Rate
	// Open lets everybody register.
	Open bool
	// Require lists the fields that a registration must have besides email and
	// password: see RegistrationFields.
	Require []string
	// TokenLifetime is how long a token is good, RefreshWindow how much longer it can
	// be renewed.
	TokenLifetime, RefreshWindow time.Duration
	// ReuseInterval is how long a token that was refreshed gets the same new token
	// again. With 0 it is a replay at once.
	ReuseInterval time.Duration
	// TokenKept is how long the revocation of one token is stored, AllKept that of all
	// tokens of a subject: longer than any such token lives.
	TokenKept, AllKept time.Duration
	// KeysPerOwner is how many API keys an owner may have at once.
	KeysPerOwner int
	// ForeignKeyLifetime is how long a key lasts that was made with a token of another
	// issuer, at most; 0 is as long as the token.
	ForeignKeyLifetime time.Duration
	// DefaultRole and DefaultTier are given to newly registered users. DefaultKeyRole
	// is what an API key without a role grants.
	DefaultRole, DefaultTier, DefaultKeyRole string
}

// Service serves accounts. It is safe for concurrent use.
type Service struct {
	Config
	turns turns
}

// New makes a service.
func New(c Config) *Service {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = func(ctx context.Context, d time.Duration) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return &Service{Config: c, turns: turns{each: map[string]*turn{}}}
}

// Origin is where a request comes from.
type Origin struct {
	// Actor is the caller, where it is known from the start: `admin`.
	Actor string
	// Address is for the audit trail.
	Address string
	// Network is what attempts are counted by: the address, or its /64. Empty means
	// that it is not known, and nothing is counted by it.
	Network string
}

// Grant is a token that was given to somebody.
type Grant struct {
	Token     plugins.Secret
	ExpiresIn time.Duration
	Role      string
	User      string
	// Again says that the token was given before, for the same refresh.
	Again bool
}

// audit writes a line of the trail.
func (s *Service) audit(ctx context.Context, o Origin, actor, action, target, result string) {
	if o.Actor != "" {
		actor = o.Actor
	}
	s.Audit(ctx, Entry{Actor: actor, Action: action, Target: target, From: o.Address, Result: result})
}

// unavailable says that the store could not be asked.
func unavailable(err error) error {
	if errors.Is(err, ErrBusy) {
		return &plugins.Unavailable{Reason: plugins.ReasonPasswordsBusy, RetryAfter: 2 * time.Second, Err: err}
	}
	if _, already := errors.AsType[*plugins.Unavailable](err); already {
		return err
	}
	return &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err}
}

// now is the time in whole seconds.
func (s *Service) now() time.Time { return s.Clock().UTC().Truncate(time.Second) }

// afterCut waits, a second at most, until a new token is not among those that the last
// change of the account has ended: it ended all tokens of its second.
func (s *Service) afterCut(ctx context.Context, u plugins.User) (time.Time, error) {
	for {
		now := s.Clock().UTC()
		if u.TokensEndedAt.IsZero() || now.Unix() > u.TokensEndedAt.Unix() {
			return now.Truncate(time.Second), nil
		}
		wait := u.TokensEndedAt.Add(time.Second).Sub(now)
		if wait > 2*time.Second {
			// The clock went back: waiting for it could take long.
			return now.Truncate(time.Second), nil
		}
		if err := s.Sleep(ctx, wait); err != nil {
			return now, err
		}
	}
}

// newID makes the id of a record.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return id.String(), nil
}

// newTokenID makes a jti of 130 bits.
func newTokenID() string { return rand.Text() }

// oneToken is the revocation of a single token, without the token.
func (s *Service) oneToken(note string) (plugins.Revocation, error) {
	id, err := newID()
	now := s.now()
	return plugins.Revocation{
		ID: id, Kind: plugins.RevokeTokenID, Issuer: s.Issuer, CreatedAt: now, ExpiresAt: now.Add(s.TokenKept), Note: note,
	}, err
}

// allTokens is the revocation of every token of a user up to now, of any issuer.
func (s *Service) allTokens(user, note string) (*plugins.Revocation, error) {
	id, err := newID()
	now := s.now()
	return &plugins.Revocation{
		ID: id, Kind: plugins.RevokeSubject, Value: user, IssuedBefore: now, CreatedAt: now, ExpiresAt: now.Add(s.AllKept), Note: note,
	}, err
}

// begin gives a user the first token of a family.
func (s *Service) begin(ctx context.Context, u plugins.User) (*Grant, error) {
	now, err := s.afterCut(ctx, u)
	if err != nil {
		return nil, err
	}
	family, err := newID()
	if err != nil {
		return nil, err
	}
	token := s.tokenOf(u, family, now)
	grant, err := s.grant(u, token, now)
	if err != nil {
		return nil, err
	}
	err = s.Store.StartFamily(ctx, plugins.TokenFamily{
		ID: family, User: u.ID, Issuer: s.Issuer, Current: token.ID, CreatedAt: now, ExpiresAt: token.ExpiresAt.Add(s.RefreshWindow),
	}, u.Epoch)
	if err != nil {
		return nil, err
	}
	return grant, nil
}

func (s *Service) tokenOf(u plugins.User, family string, now time.Time) Token {
	return Token{
		Subject: u.ID, Role: u.Role, Tier: u.Tier, Scopes: u.Scopes, ID: newTokenID(), Family: family,
		IssuedAt: now, ExpiresAt: now.Add(s.TokenLifetime),
	}
}

// named is the account of an attempt as the audit trail shows it. A text that is no
// address is left out: it may be a password in the wrong field.
func named(given string) string {
	if email, ok := ParseEmail(given); ok {
		return email.Shown
	}
	return "(not an address)"
}

// accountSubject is the subject by which attempts at one account are counted, whether
// the account exists or not.
func accountSubject(given string) string {
	if email, ok := ParseEmail(given); ok {
		return email.Canonical
	}
	return "\x00" + strings.ToLower(given)
}
