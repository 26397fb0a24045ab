package accounts

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// rank is a hierarchy: each role includes those before it.
type rank []string

func (r rank) Grants(held []string, wanted string) bool {
	return slices.ContainsFunc(held, func(h string) bool {
		return h == wanted || slices.Index(r, h) > slices.Index(r, wanted) && slices.Contains(r, wanted)
	})
}

// Primary is the first role that is ranked, or the first.
func (r rank) Primary(held []string) string {
	for _, role := range held {
		if slices.Contains(r, role) {
			return role
		}
	}
	return append(held, "")[0]
}

// memory is a store for the tests of one goroutine or many.
type memory struct {
	mu       sync.Mutex
	users    map[string]plugins.User
	families map[string]plugins.TokenFamily
	keys     map[string]plugins.APIKey
	failing  error
}

func newMemory() *memory {
	return &memory{users: map[string]plugins.User{}, families: map[string]plugins.TokenFamily{}, keys: map[string]plugins.APIKey{}}
}

func (m *memory) lock() (func(), error) {
	m.mu.Lock()
	return m.mu.Unlock, m.failing
}

func (m *memory) CreateUser(_ context.Context, u plugins.User) error {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	for _, other := range m.users {
		if other.Email == u.Email {
			return ErrExists
		}
	}
	m.users[u.ID] = u
	return nil
}

func (m *memory) User(_ context.Context, id string) (plugins.User, error) {
	unlock, err := m.lock()
	defer unlock()
	u, ok := m.users[id]
	if err == nil && !ok {
		err = ErrNotFound
	}
	return u, err
}

func (m *memory) UserByEmail(_ context.Context, email string) (plugins.User, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return plugins.User{}, err
	}
	for _, u := range m.users {
		if u.Email == email {
			return u, nil
		}
	}
	return plugins.User{}, ErrNotFound
}

func (m *memory) UpdateUser(_ context.Context, id string, c plugins.UserChange) (plugins.User, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return plugins.User{}, err
	}
	u, ok := m.users[id]
	if !ok {
		return u, ErrNotFound
	}
	if c.User != nil {
		if err := c.User(&u); err != nil {
			return u, err
		}
	}
	if c.Tokens != nil {
		u.Epoch++
		u.TokensEndedAt = c.Tokens.IssuedBefore
		for id, f := range m.families {
			if f.User == u.ID {
				f.RevokedAt = c.Tokens.CreatedAt
				m.families[id] = f
			}
		}
	}
	if c.Keys != nil {
		for id, k := range m.keys {
			if err := c.Keys(u, &k); err != nil {
				return u, err
			}
			m.keys[id] = k
		}
	}
	m.users[id] = u
	return u, nil
}

func (m *memory) inEpoch(id string, epoch int64) error {
	u, ok := m.users[id]
	switch {
	case !ok:
		return ErrNotFound
	case !u.DisabledAt.IsZero() || u.Epoch != epoch:
		return ErrConflict
	}
	return nil
}

func (m *memory) StartFamily(_ context.Context, f plugins.TokenFamily, epoch int64) error {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	if err := m.inEpoch(f.User, epoch); err != nil {
		return err
	}
	m.families[f.ID] = f
	return nil
}

func (m *memory) Family(_ context.Context, id string) (plugins.TokenFamily, error) {
	unlock, err := m.lock()
	defer unlock()
	f, ok := m.families[id]
	if err == nil && !ok {
		err = ErrNotFound
	}
	return f, err
}

func (m *memory) RenewFamily(_ context.Context, r plugins.Renewal) (plugins.TokenFamily, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return plugins.TokenFamily{}, err
	}
	f := m.families[r.Family]
	switch {
	case !f.RevokedAt.IsZero():
		return f, ErrConflict
	case r.Reuse > 0 && f.Previous == r.Used && r.At.Sub(f.RenewedAt).Abs() <= r.Reuse:
		return f, m.inEpoch(f.User, r.Epoch)
	case f.Current != r.Used:
		f.RevokedAt = r.Ends.CreatedAt
		m.families[f.ID] = f
		return f, ErrReplayed
	}
	if err := m.inEpoch(f.User, r.Epoch); err != nil {
		return f, err
	}
	f.Previous, f.Current, f.RenewedAt, f.ExpiresAt = f.Current, r.Next, r.At, r.ExpiresAt
	m.families[f.ID] = f
	return f, nil
}

func (m *memory) EndFamily(_ context.Context, id string, ends plugins.Revocation) (plugins.TokenFamily, error) {
	unlock, err := m.lock()
	defer unlock()
	f := m.families[id]
	f.RevokedAt = ends.CreatedAt
	m.families[id] = f
	return f, err
}

func (m *memory) Revoke(context.Context, plugins.Revocation) error {
	unlock, err := m.lock()
	defer unlock()
	return err
}

// bench is a service with everything around it.
type bench struct {
	*Service
	store *memory
	clock time.Time
	// signed are the tokens that were made, by their text.
	signed map[string]Token
	// revoked are the values of the revocations that were told of.
	revoked []string
	trail   []Entry
	hashes  atomic.Int64
	slept   time.Duration
	// taken are the charges, counts what they came to.
	taken  []string
	counts map[string]time.Time
	mu     sync.Mutex
}

// Sign implements Signer.
func (b *bench) Sign(t Token) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := "token " + t.ID
	b.signed[text] = t
	return text, nil
}

// Take implements Throttle by GCRA: counts are the theoretical arrival times.
func (b *bench) Take(_ context.Context, kind, subject string, rate Rate, cost int64) (Count, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := kind + " " + subject
	interval := rate.Period / time.Duration(rate.Count)
	full := time.Duration(rate.Burst) * interval
	arrival := b.counts[key]
	if arrival.Before(b.clock) {
		arrival = b.clock
	}
	next := arrival.Add(time.Duration(cost) * interval)
	allowed := next.Sub(b.clock) <= full
	if allowed {
		arrival = next
	}
	if cost != 0 && allowed {
		b.counts[key] = arrival
		b.taken = append(b.taken, fmt.Sprintf("%s %+d", key, cost))
	}
	free := full - arrival.Sub(b.clock)
	return Count{Allowed: allowed, Left: int64(free / interval), Wait: interval - free%interval}, nil
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

func newBench() *bench {
	b := &bench{store: newMemory(), clock: time.Date(2026, 2, 3, 10, 0, 0, 500e6, time.UTC), signed: map[string]Token{}, counts: map[string]time.Time{}}
	b.Service = New(Config{
		Store: b.store, Signer: b, Throttle: b, Rights: rank{"USER", "DEVELOPER", "ADMIN"},
		Hasher: NewHasher(HasherOptions{Slots: 8, Queue: 100, Derive: func(password, salt []byte, _, _ uint32, _ uint8, n uint32) []byte {
			b.hashes.Add(1)
			return []byte(fmt.Sprintf("%-*s", n, string(password)+string(salt)))[:n]
		}}),
		Revoked: func(r plugins.Revocation) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.revoked = append(b.revoked, r.Value)
		},
		KeysChanged: func() {},
		Check: func(field, value string) string {
			if field == "tier" && !slices.Contains([]string{"free", "pro", "enterprise"}, value) || field == "role" && value == "ROOT" {
				return "unknown " + field
			}
			return ""
		},
		WithinLimits: func(_, tier string, key plugins.APIKey) bool {
			return len(key.Limits) == 0 && (key.Tier == "" || key.Tier == tier)
		},
		Audit: func(_ context.Context, e Entry) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.trail = append(b.trail, e)
		},
		Clock: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.clock
		},
		Sleep: func(_ context.Context, d time.Duration) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.slept += d
			b.clock = b.clock.Add(d)
			return nil
		},
		LoginLimit: Rate{Count: 1000, Period: time.Minute, Burst: 1000},
		Issuer:     "main", Open: true, TokenLifetime: 8 * time.Hour, RefreshWindow: 24 * time.Hour,
		TokenKept: 9 * time.Hour, AllKept: 31 * 24 * time.Hour, DefaultRole: "USER", DefaultTier: "free", DefaultKeyRole: "USER",
	})
	return b
}

var here = Origin{Address: "192.0.2.1", Network: "192.0.2.1"}

func body(t testing.TB, text string) *Body {
	t.Helper()
	b, refusal := ParseJSON("application/json", []byte(text))
	if refusal != nil {
		t.Fatalf("%s: %+v", text, refusal)
	}
	return b
}

const goodPassword = "SecurePass123!"

func (b *bench) register(t testing.TB, email string) plugins.User {
	t.Helper()
	u, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"`+email+`","password":"`+goodPassword+`","full_name":"John Doe"}`))
	if refusal != nil || err != nil {
		t.Fatalf("registering: %+v, %v", refusal, err)
	}
	return u
}

func (b *bench) try(t testing.TB, username, password string) (*Grant, *Refusal, error) {
	t.Helper()
	return b.tryFrom(t, here.Network, username, password)
}

func (b *bench) tryFrom(t testing.TB, network, username, password string) (*Grant, *Refusal, error) {
	t.Helper()
	return b.LogIn(t.Context(), Origin{Address: network, Network: network}, body(t, fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)))
}

// logIn returns the token and how it is presented.
func (b *bench) logIn(t testing.TB, username string) (*Grant, Presented) {
	t.Helper()
	grant, refusal, err := b.try(t, username, goodPassword)
	if refusal != nil || err != nil {
		t.Fatalf("logging in: %+v, %v", refusal, err)
	}
	return grant, b.present(grant)
}

func (b *bench) present(g *Grant) Presented {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.signed[g.Token.Reveal()]
	return Presented{
		Principal: &plugins.Principal{
			Subject: t.Subject, Owner: t.Subject, Roles: []string{t.Role}, Tier: t.Tier, Scopes: t.Scopes, Scheme: plugins.SchemeBearer,
			Issuer: "main", TokenID: t.ID, ExpiresAt: t.ExpiresAt,
		},
		Family: t.Family, Revoked: slices.Contains(b.revoked, t.ID),
	}
}

// wantNo checks a refusal.
func wantNo(t testing.TB, what string, r *Refusal, err error, status int, reason plugins.Reason) {
	t.Helper()
	if err != nil || r == nil || r.Denial.Status != status || r.Denial.Reason != reason {
		t.Errorf("%s: got %+v, %v; want %d %s", what, r, err, status, reason)
	}
}
