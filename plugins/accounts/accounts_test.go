package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

func TestRegister(t *testing.T) {
	b := newBench()
	u, refusal, err := b.Register(t.Context(), here, body(t, `{"email":" John.Doe@Example.COM ","password":"SecurePass123!","full_name":" John Doe ",
		"role":"ADMIN","tier":"enterprise","scopes":["admin"],"id":"1","epoch":9,"disabled_at":null}`))
	if refusal != nil || err != nil {
		t.Fatalf("got %+v, %v", refusal, err)
	}
	if u.Email != "john.doe@example.com" || u.Address != "John.Doe@example.com" || u.FullName != "John Doe" {
		t.Errorf("got %+v", u)
	}
	if u.Role != "USER" || u.Tier != "free" || len(u.Scopes) != 0 || u.Epoch != 1 || len(u.ID) != 36 {
		t.Errorf("the body chose what is not its to choose: %+v", u)
	}
	for _, same := range []string{"john.doe@example.com", "JOHN.DOE@EXAMPLE.COM", "ｊohn.doe@example.com", "john.doe@ＥＸＡＭＰＬＥ.com"} {
		hashes := b.hashes.Load()
		_, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"`+same+`","password":"SecurePass123!","full_name":""}`))
		wantNo(t, same, refusal, err, http.StatusConflict, plugins.ReasonEmailTaken)
		if refusal != nil && refusal.Denial.Detail != "Email already registered" {
			t.Errorf("got %q", refusal.Denial.Detail)
		}
		if b.hashes.Load() != hashes {
			t.Error("an address that is taken was worth a hash")
		}
	}
	b.Open = false
	_, refusal, err = b.Register(t.Context(), here, body(t, `{"email":"b@example.com","password":"SecurePass123!","full_name":"B"}`))
	wantNo(t, "closed", refusal, err, http.StatusForbidden, plugins.ReasonRegistrationClosed)
}

func TestRegisterSaysWhatIsWrong(t *testing.T) {
	const missing, none, text = "value_error.missing", "type_error.none.not_allowed", "type_error.str"
	for _, tc := range []struct {
		name, body string
		want       []string
	}{
		{"nothing", `{}`, []string{"email " + missing, "password " + missing}},
		{"nulls", `{"email":null,"password":null}`, []string{"email " + none, "password " + none}},
		{"numbers", `{"email":1,"password":2,"full_name":3}`, []string{"email " + text, "password " + text, "full_name " + text}},
		{"objects", `{"email":{"$ne":""},"password":["SecurePass123!"]}`, []string{"email " + text, "password " + text}},
		{"no address", `{"email":"user","password":"SecurePass123!"}`, []string{"email value_error.email"}},
		{"short", `{"email":"u@example.com","password":"Ab1"}`, []string{"password value_error"}},
		{"no upper", `{"email":"u@example.com","password":"securepass123"}`, []string{"password value_error"}},
		{"no lower", `{"email":"u@example.com","password":"SECUREPASS123"}`, []string{"password value_error"}},
		{"no digit", `{"email":"u@example.com","password":"SecurePass"}`, []string{"password value_error"}},
		{"all of it", `{"email":"u@example.com","password":""}`, []string{"password value_error", "password value_error", "password value_error", "password value_error"}},
		{"long", `{"email":"u@example.com","password":"Aa1` + strings.Repeat("x", maxPassword) + `"}`, []string{"password value_error"}},
		{"control in the password", `{"email":"u@example.com","password":"SecurePass123\u0000"}`, []string{"password value_error"}},
		{"header injection", `{"email":"u@example.com","password":"SecurePass123!","full_name":"a\r\nX-Role: ADMIN"}`, []string{"full_name value_error"}},
		{"turned text", `{"email":"u@example.com","password":"SecurePass123!","full_name":"a\u202eb"}`, []string{"full_name value_error"}},
		{"long name", `{"email":"u@example.com","password":"SecurePass123!","full_name":"` + strings.Repeat("x", 257) + `"}`, []string{"full_name value_error.any_str.max_length"}},
	} {
		b := newBench()
		_, refusal, err := b.Register(t.Context(), here, body(t, tc.body))
		wantNo(t, tc.name, refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
		if refusal == nil {
			continue
		}
		var got []string
		for _, f := range refusal.Fields {
			if f.Loc[0] != "body" {
				t.Errorf("%s: got loc %v", tc.name, f.Loc)
			}
			got = append(got, fmt.Sprint(f.Loc[1])+" "+f.Type)
			if strings.Contains(f.Msg, "Secure") || strings.Contains(refusal.Denial.Value, "Secure") {
				t.Errorf("%s: the refusal holds what was sent: %+v", tc.name, f)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
		if len(b.store.users) != 0 || b.hashes.Load() != 0 {
			t.Errorf("%s: something was made of it", tc.name)
		}
	}
}

// SQL is data: an address of it is no address, a name of it is a name.
func TestHostileTextIsData(t *testing.T) {
	b := newBench()
	for _, username := range []string{`' OR '1'='1`, `"; DROP TABLE users; --`, "a@b.com\r\nX-Role: ADMIN", "${jndi:ldap://x}", strings.Repeat("x", 60<<10)} {
		grant, refusal, err := b.try(t, username, "x")
		wantNo(t, username[:10], refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
		if grant != nil {
			t.Error("a token was given")
		}
	}
	u, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"o'brien@example.com","password":"SecurePass123!","full_name":"Robert'); DROP TABLE users;--"}`))
	if refusal != nil || err != nil || u.FullName != "Robert'); DROP TABLE users;--" {
		t.Errorf("got %+v, %+v, %v", u, refusal, err)
	}
}

func TestLogIn(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	for _, username := range []string{"user@example.com", "USER@Example.com", " user@example.com "} {
		grant, refusal, err := b.try(t, username, goodPassword)
		if refusal != nil || err != nil {
			t.Fatalf("%s: %+v, %v", username, refusal, err)
		}
		token := b.signed[grant.Token.Reveal()]
		if token.Subject != u.ID || token.Role != "USER" || token.Tier != "free" || token.ExpiresAt.Sub(token.IssuedAt) != 8*time.Hour || token.Family == "" || len(token.ID) < 20 {
			t.Errorf("got the token %+v", token)
		}
		if grant.Role != "USER" || grant.ExpiresIn != 8*time.Hour {
			t.Errorf("got %+v", grant)
		}
	}
	if want := []string{"registration 192.0.2.1 +1", "known address user@example.com\x00192.0.2.1 +1"}; !slices.Equal(b.taken, want) {
		t.Errorf("counted %q, want %q", b.taken, want)
	}
	b.store.failing = errors.New("disk")
	_, refusal, err := b.try(t, "user@example.com", goodPassword)
	if unavailable, ok := errors.AsType[*plugins.Unavailable](err); refusal != nil || !ok || unavailable.Reason != plugins.ReasonStoreUnavailable {
		t.Errorf("store down: got %+v, %v", refusal, err)
	}
}

// Every failed log-in looks the same to the caller: the text, and the work behind it.
func TestLogInTellsNothing(t *testing.T) {
	b := newBench()
	b.register(t, "user@example.com")
	off := b.register(t, "off@example.com")
	if _, refusal, err := b.Disable(t.Context(), here, off.ID); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if _, refusal, err := b.try(t, "first@example.com", "x"); refusal == nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	var first plugins.Denial
	for i, tc := range []struct{ name, username, password string }{
		{"wrong password", "user@example.com", "x"},
		{"unknown", "nobody@example.com", goodPassword},
		{"disabled", "off@example.com", goodPassword},
		{"not an address", "nobody", goodPassword},
		{"empty", "", ""},
		{"too long to be one", "user@example.com", goodPassword + strings.Repeat("x", 2*maxPassword)},
	} {
		before, counted := b.hashes.Load(), len(b.taken)
		grant, refusal, err := b.try(t, tc.username, tc.password)
		wantNo(t, tc.name, refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
		if grant != nil || refusal == nil {
			t.Fatalf("%s: got %+v", tc.name, grant)
		}
		if got := b.hashes.Load() - before; got != 1 {
			t.Errorf("%s: %d hashes, want 1", tc.name, got)
		}
		if got := b.taken[counted:]; len(got) != 2 || !strings.HasPrefix(got[0], "account ") || got[1] != "address 192.0.2.1 +1" {
			t.Errorf("%s: counted %q, want the account and the address", tc.name, got)
		}
		public := *refusal.Denial
		public.Value = ""
		if i == 0 {
			first = public
		}
		if fmt.Sprint(public) != fmt.Sprint(first) || public.Detail != DetailLogin {
			t.Errorf("%s: got %+v, want %+v", tc.name, public, first)
		}
	}
	// A password that was typed as the address is not kept.
	if _, refusal, _ := b.try(t, goodPassword, ""); refusal == nil {
		t.Error("got no refusal")
	}
	for _, e := range b.trail {
		if strings.Contains(fmt.Sprint(e), goodPassword) {
			t.Errorf("the audit trail has a password: %+v", e)
		}
	}
}

// A prefix of as many bytes as are looked at is not the password.
func TestPasswordIsWhole(t *testing.T) {
	b := newBench()
	long := "Aa1" + strings.Repeat("x", maxPassword-3)
	if _, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"user@example.com","password":"`+long+`","full_name":""}`)); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if grant, _, _ := b.try(t, "user@example.com", long+"y"); grant != nil {
		t.Error("a longer password was taken")
	}
	if grant, _, _ := b.try(t, "user@example.com", long); grant == nil {
		t.Error("the password was not taken")
	}
}

func TestLogOut(t *testing.T) {
	b := newBench()
	b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	if refusal, err := b.LogOut(t.Context(), here, p); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if !slices.Contains(b.revoked, p.Principal.TokenID) {
		t.Error("the token is not revoked")
	}
	p.Revoked = true
	_, refusal, err := b.Refresh(t.Context(), here, p)
	wantNo(t, "refresh after", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)

	foreign := Presented{Principal: &plugins.Principal{Subject: "x", Scheme: plugins.SchemeBearer, Issuer: "other", TokenID: "theirs"}}
	if refusal, err := b.LogOut(t.Context(), here, foreign); refusal != nil || err != nil || !slices.Contains(b.revoked, "theirs") {
		t.Errorf("a token of another issuer: %+v, %v, revoked %v", refusal, err, b.revoked)
	}
	foreign.Principal.TokenID = ""
	refusal, err = b.LogOut(t.Context(), here, foreign)
	wantNo(t, "no jti", refusal, err, http.StatusBadRequest, plugins.ReasonTokenClaimMissing)
	refusal, err = b.LogOut(t.Context(), here, Presented{Principal: &plugins.Principal{Scheme: plugins.SchemeAPIKey}})
	wantNo(t, "a key", refusal, err, http.StatusForbidden, plugins.ReasonTokenRequired)
}

func TestChangePassword(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	const next = "AnotherPass456"
	change := func(current, next string) (*Grant, *Refusal, error) {
		return b.ChangePassword(t.Context(), here, p.Principal, body(t, fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, next)))
	}
	_, refusal, err := change("wrong", next)
	wantNo(t, "wrong password", refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
	_, refusal, err = change(goodPassword, "weak")
	wantNo(t, "weak password", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
	at := b.clock
	grant, refusal, err := change(goodPassword, next)
	if refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if !slices.Contains(b.revoked, u.ID) {
		t.Error("the tokens of before are not revoked")
	}
	// Tokens end by the second: the new one is of a later one.
	if token := b.signed[grant.Token.Reveal()]; token.IssuedAt.Unix() <= at.Unix() || b.slept != 500*time.Millisecond {
		t.Errorf("got a token of %s after a change at %s, having slept %s", token.IssuedAt, at, b.slept)
	}
	_, refusal, err = b.Refresh(t.Context(), here, p)
	wantNo(t, "an earlier token", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)
	if grant, _, _ := b.try(t, "user@example.com", goodPassword); grant != nil {
		t.Error("the old password is taken")
	}
	if grant, _, _ := b.try(t, "user@example.com", next); grant == nil {
		t.Error("the new password is not taken")
	}
	key := &plugins.Principal{Subject: u.ID, Scheme: plugins.SchemeAPIKey}
	_, refusal, err = b.ChangePassword(t.Context(), here, key, body(t, `{"current_password":"`+next+`","new_password":"`+goodPassword+`"}`))
	wantNo(t, "by a key", refusal, err, http.StatusForbidden, plugins.ReasonTokenRequired)
}

// What was begun before an account changed can't be completed after it.
func TestLogInRacesWithDisable(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	b.Config.Hasher.options.Derive = func(password, salt []byte, _, _ uint32, _ uint8, n uint32) []byte {
		if _, refusal, err := b.Disable(t.Context(), here, u.ID); refusal != nil || err != nil {
			t.Errorf("%+v, %v", refusal, err)
		}
		if _, refusal, err := b.Enable(t.Context(), here, u.ID); refusal != nil || err != nil {
			t.Errorf("%+v, %v", refusal, err)
		}
		return []byte(fmt.Sprintf("%-*s", n, string(password)+string(salt)))[:n]
	}
	grant, refusal, err := b.try(t, "user@example.com", goodPassword)
	wantNo(t, "disabled and enabled meanwhile", refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
	if grant != nil {
		t.Error("a token was given")
	}
}

func TestDisable(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	b.store.keys["k"] = plugins.APIKey{ID: "k", Owner: u.ID}
	if _, refusal, err := b.Disable(t.Context(), here, u.ID); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if !slices.Contains(b.revoked, u.ID) || b.store.keys["k"].RevokedAt.IsZero() {
		t.Errorf("revoked are %v and the key %+v", b.revoked, b.store.keys["k"])
	}
	if _, refusal, err := b.Enable(t.Context(), here, u.ID); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	_, refusal, err := b.Refresh(t.Context(), here, p)
	wantNo(t, "a token from before", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)
	if _, now := b.logIn(t, "user@example.com"); now.Principal.Subject != u.ID {
		t.Errorf("got %+v", now)
	}
	_, refusal, err = b.Disable(t.Context(), here, "nobody")
	wantNo(t, "nobody", refusal, err, http.StatusNotFound, plugins.ReasonAccountUnknown)
}

func TestUpdateLowersKeys(t *testing.T) {
	for _, tc := range []struct {
		name      string
		body      string
		key, want plugins.APIKey
	}{
		{"demoted", `{"role":"USER"}`, plugins.APIKey{Role: "ADMIN", Tier: "free"}, plugins.APIKey{Role: "USER", Tier: "free"}},
		{"still within", `{"role":"DEVELOPER"}`, plugins.APIKey{Role: "USER"}, plugins.APIKey{Role: "USER"}},
		{"the default role is within", `{"role":"USER"}`, plugins.APIKey{}, plugins.APIKey{}},
		{"another tier", `{"tier":"pro"}`, plugins.APIKey{Tier: "free"}, plugins.APIKey{Tier: "pro"}},
		{"a tier of its own stays", `{"tier":"pro"}`, plugins.APIKey{Tier: "enterprise"}, plugins.APIKey{Tier: "enterprise"}},
		{"scopes", `{"scopes":["read"]}`, plugins.APIKey{Scopes: []string{"read", "write", "special"}}, plugins.APIKey{Scopes: []string{"read", "special"}}},
		{"a name", `{"full_name":"X"}`, plugins.APIKey{Role: "ADMIN", Tier: "free"}, plugins.APIKey{Role: "ADMIN", Tier: "free"}},
	} {
		b := newBench()
		u := b.register(t, "user@example.com")
		u.Role, u.Scopes = "ADMIN", []string{"read", "write"}
		b.store.users[u.ID] = u
		b.store.keys["k"] = tc.key
		got, refusal, err := b.Update(t.Context(), here, u.ID, body(t, tc.body))
		if refusal != nil || err != nil {
			t.Fatalf("%s: %+v, %v", tc.name, refusal, err)
		}
		if fmt.Sprint(b.store.keys["k"]) != fmt.Sprint(tc.want) {
			t.Errorf("%s: got the key %+v, want %+v", tc.name, b.store.keys["k"], tc.want)
		}
		if ended := slices.Contains(b.revoked, u.ID); ended == (tc.name == "a name") {
			t.Errorf("%s: tokens ended: %t; %+v", tc.name, ended, got)
		}
	}
	b := newBench()
	u := b.register(t, "user@example.com")
	_, refusal, err := b.Update(t.Context(), here, u.ID, body(t, `{"role":"ROOT"}`))
	wantNo(t, "unknown role", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
}

func TestCreateAndResetPassword(t *testing.T) {
	b := newBench()
	b.Open = false
	operator := Origin{Actor: "admin", Address: "127.0.0.1"}
	u, password, refusal, err := b.Create(t.Context(), operator, body(t, `{"email":"root@example.com","role":"ADMIN","tier":"pro","scopes":["b","a","a"]}`))
	if refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if u.Role != "ADMIN" || u.Tier != "pro" || !slices.Equal(u.Scopes, []string{"a", "b"}) {
		t.Errorf("got %+v", u)
	}
	if wrong := CheckPassword(password.Reveal()); wrong != nil {
		t.Errorf("the password that was made breaks the rules: %v", wrong)
	}
	if grant, _, _ := b.try(t, "root@example.com", password.Reveal()); grant == nil {
		t.Error("the password that was made is not taken")
	}
	_, again, refusal, err := b.ResetPassword(t.Context(), operator, u.ID, body(t, `{}`))
	if refusal != nil || err != nil || again == password {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if grant, _, _ := b.try(t, "root@example.com", password.Reveal()); grant != nil {
		t.Error("the old password is taken")
	}
	if _, made, refusal, err := b.ResetPassword(t.Context(), operator, u.ID, body(t, `{"password":"ChosenPass1"}`)); refusal != nil || err != nil || !made.Empty() {
		t.Errorf("%+v, %v", refusal, err)
	}
	if grant, _, _ := b.try(t, "root@example.com", "ChosenPass1"); grant == nil {
		t.Error("the chosen password is not taken")
	}
	_, _, refusal, err = b.ResetPassword(t.Context(), operator, u.ID, body(t, `{"password":"weak"}`))
	wantNo(t, "weak", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
	_, _, refusal, err = b.ResetPassword(t.Context(), operator, "nobody", body(t, `{}`))
	wantNo(t, "nobody", refusal, err, http.StatusNotFound, plugins.ReasonAccountUnknown)
	for _, e := range b.trail {
		if e.Action == "user.create" && (e.Actor != "admin" || e.Target != u.ID || e.From != "127.0.0.1" || e.Result != "ok") {
			t.Errorf("got %+v", e)
		}
	}
}

// If two callers set a password at once, the second is told that the account changed.
func TestChangePasswordTwiceAtOnce(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	derive := b.Config.Hasher.options.Derive
	calls := 0
	b.Config.Hasher.options.Derive = func(password, salt []byte, time, memory uint32, threads uint8, n uint32) []byte {
		if calls++; calls == 2 {
			other := b.store.users[u.ID]
			other.PasswordHash = plugins.NewSecret("another")
			b.store.users[u.ID] = other
		}
		return derive(password, salt, time, memory, threads, n)
	}
	_, refusal, err := b.ChangePassword(t.Context(), here, p.Principal, body(t, `{"current_password":"`+goodPassword+`","new_password":"AnotherPass456"}`))
	wantNo(t, "twice at once", refusal, err, http.StatusConflict, plugins.ReasonAccountChanged)
	if got := b.store.users[u.ID].PasswordHash.Reveal(); got != "another" {
		t.Errorf("the second took the first's place: %q", got)
	}
}
