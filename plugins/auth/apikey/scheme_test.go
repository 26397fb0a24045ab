package apikey

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

var testNow = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

// fakeStore is a Lookup that can fail, wait and count.
type fakeStore struct {
	mu      sync.Mutex
	records map[Hash]plugins.APIKey
	err     error
	lookups atomic.Int64
	// before, where set, runs in each look-up after the record was read.
	before func(ctx context.Context, h Hash)
}

func newFakeStore() *fakeStore { return &fakeStore{records: make(map[Hash]plugins.APIKey)} }

func (f *fakeStore) KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error) {
	f.lookups.Add(1)
	f.mu.Lock()
	key, ok := f.records[Hash(hash)]
	err, before := f.err, f.before
	f.mu.Unlock()
	if before != nil {
		before(ctx, Hash(hash))
	}
	switch {
	case ctx.Err() != nil:
		return plugins.APIKey{}, ctx.Err()
	case err != nil:
		return plugins.APIKey{}, err
	case !ok:
		return plugins.APIKey{}, ErrUnknown
	}
	return key, nil
}

func (f *fakeStore) put(key plugins.APIKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[Hash(key.Hash)] = key
}

func (f *fakeStore) remove(key plugins.APIKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.records, Hash(key.Hash))
}

func (f *fakeStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// fixture is a scheme over a fake store at a clock that the test moves.
type fixture struct {
	*Scheme
	store   *fakeStore
	peppers *Peppers
	now     atomic.Int64
	touched sync.Map
}

func newFixture(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{store: newFakeStore(), peppers: testPeppers(t)}
	f.now.Store(testNow.UnixNano())
	config := Config{Lookup: f.store, Peppers: f.peppers, DefaultRole: "USER", Clock: f.clock, Used: f}
	if change != nil {
		change(&config)
	}
	var err error
	if f.Scheme, err = New(config); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) clock() time.Time              { return time.Unix(0, f.now.Load()).UTC() }
func (f *fixture) advance(d time.Duration)       { f.now.Add(int64(d)) }
func (f *fixture) Touch(id string, at time.Time) { f.touched.Store(id, at) }
func (f *fixture) usedAt(id string) (time.Time, bool) {
	at, ok := f.touched.Load(id)
	if !ok {
		return time.Time{}, false
	}
	return at.(time.Time), true
}

// add stores a record for the value under a pepper.
func (f *fixture) add(t testing.TB, value string, version int, change func(*plugins.APIKey)) plugins.APIKey {
	t.Helper()
	h, err := f.peppers.Hash(version, value)
	if err != nil {
		t.Fatal(err)
	}
	id, err := NewID()
	if err != nil {
		t.Fatal(err)
	}
	key := plugins.APIKey{ID: id, Owner: "u1", Name: "n", Hash: h[:], PepperVersion: version, CreatedAt: testNow}
	if change != nil {
		change(&key)
	}
	f.store.put(key)
	return key
}

func (f *fixture) ask(value string) (*plugins.Principal, *plugins.Denial, error) {
	return f.Authenticate(context.Background(), auth.Credential{Source: auth.FromKeyHeader, Value: value})
}

func (f *fixture) wantGood(t testing.TB, value string) *plugins.Principal {
	t.Helper()
	p, denial, err := f.ask(value)
	if p == nil || denial != nil || err != nil {
		t.Fatalf("got %v, %+v, %v; want a principal", p, denial, err)
	}
	return p
}

func (f *fixture) wantDenied(t testing.TB, value string, reason plugins.Reason) *plugins.Denial {
	t.Helper()
	p, denial, err := f.ask(value)
	if p != nil || denial == nil || err != nil || denial.Reason != reason {
		t.Fatalf("got %v, %+v, %v; want a denial for %s", p, denial, err, reason)
	}
	return denial
}

func (f *fixture) wantUnavailable(t testing.TB, value string) {
	t.Helper()
	p, denial, err := f.ask(value)
	var unavailable *plugins.Unavailable
	if p != nil || denial != nil || !errors.As(err, &unavailable) || unavailable.Reason != plugins.ReasonStoreUnavailable {
		t.Fatalf("got %v, %+v, %v; want store_unavailable", p, denial, err)
	}
}

func (f *fixture) wantLookups(t testing.TB, want int64) {
	t.Helper()
	if got := f.store.lookups.Load(); got != want {
		t.Fatalf("%d look-ups, want %d", got, want)
	}
}

func TestAuthenticate(t *testing.T) {
	const foreign = "legacy-key-0123456789abcdef"
	good := mustGenerate(t, true)
	old := mustGenerate(t, false)
	unknown := mustGenerate(t, true)
	lookalike := "sk_live_abc123def456ghi789"
	badSum := good[:45] + string(alphabet[(strings.IndexByte(alphabet, good[45])+1)%62])
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

	cases := []struct {
		name    string
		foreign bool
		source  auth.Source
		value   string
		wantID  string
		want    plugins.Reason
		wantErr error
		lookups int64
	}{
		{name: "key in its header", source: auth.FromKeyHeader, value: good, wantID: "current", lookups: 1},
		{name: "key as bearer", source: auth.FromAuthorization, value: good, wantID: "current", lookups: 1},
		{name: "key under the previous pepper", source: auth.FromKeyHeader, value: old, wantID: "previous", lookups: 2},
		{name: "unknown key in its header", source: auth.FromKeyHeader, value: unknown, want: plugins.ReasonKeyUnknown, lookups: 2},
		{name: "unknown key as bearer", source: auth.FromAuthorization, value: unknown, want: plugins.ReasonKeyUnknown, lookups: 2},
		{name: "bad checksum", source: auth.FromKeyHeader, value: badSum, want: plugins.ReasonKeyChecksum},
		{name: "bad checksum as bearer", source: auth.FromAuthorization, value: badSum, want: plugins.ReasonKeyChecksum},
		{name: "key and abc", source: auth.FromKeyHeader, value: good + "abc", want: plugins.ReasonKeyMalformed},
		{name: "prefix of a key", source: auth.FromKeyHeader, value: good[:30], want: plugins.ReasonKeyMalformed},
		{name: "foreign form in its header", source: auth.FromKeyHeader, value: foreign, want: plugins.ReasonKeyMalformed},
		{name: "foreign form as bearer", source: auth.FromAuthorization, value: foreign, wantErr: auth.ErrNotMine},
		{name: "token as bearer", source: auth.FromAuthorization, value: jwt, wantErr: auth.ErrNotMine},
		{name: "token in the key header", source: auth.FromKeyHeader, value: jwt, want: plugins.ReasonKeyMalformed},
		{name: "empty", source: auth.FromKeyHeader, value: "", want: plugins.ReasonKeyMalformed},
		{name: "257 bytes", source: auth.FromKeyHeader, value: strings.Repeat("k", 257), want: plugins.ReasonKeyMalformed},
		{name: "257 bytes of ours as bearer", source: auth.FromAuthorization, value: PrefixLive + strings.Repeat("k", 249), want: plugins.ReasonKeyMalformed},
		{name: "257 bytes as bearer", source: auth.FromAuthorization, value: strings.Repeat("k", 257), wantErr: auth.ErrNotMine},

		{name: "imported key in its header", foreign: true, source: auth.FromKeyHeader, value: foreign, wantID: "foreign", lookups: 1},
		{name: "imported key as bearer", foreign: true, source: auth.FromAuthorization, value: foreign, wantID: "foreign", lookups: 1},
		{name: "imported key in our clothes", foreign: true, source: auth.FromAuthorization, value: lookalike, wantID: "hashed", lookups: 3},
		{name: "imported on, ours", foreign: true, source: auth.FromKeyHeader, value: good, wantID: "current", lookups: 1},
		{name: "imported on, unknown in its header", foreign: true, source: auth.FromKeyHeader, value: "nobody-knows-this-one", want: plugins.ReasonKeyUnknown, lookups: 3},
		{name: "imported on, unknown as bearer", foreign: true, source: auth.FromAuthorization, value: "nobody-knows-this-one", wantErr: auth.ErrNotMine, lookups: 3},
		{name: "imported on, bad checksum", foreign: true, source: auth.FromAuthorization, value: badSum, want: plugins.ReasonKeyChecksum, lookups: 3},
		{name: "imported on, empty", foreign: true, source: auth.FromKeyHeader, value: "", want: plugins.ReasonKeyMalformed},
		{name: "imported on, 256 bytes", foreign: true, source: auth.FromKeyHeader, value: strings.Repeat("k", 256), want: plugins.ReasonKeyUnknown, lookups: 3},
		{name: "imported on, 257 bytes", foreign: true, source: auth.FromKeyHeader, value: strings.Repeat("k", 257), want: plugins.ReasonKeyMalformed},
		{name: "imported on, 257 bytes as bearer", foreign: true, source: auth.FromAuthorization, value: strings.Repeat("k", 257), wantErr: auth.ErrNotMine},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, func(config *Config) { config.Foreign = c.foreign })
			ids := map[string]string{
				"current":  f.add(t, good, 2, nil).ID,
				"previous": f.add(t, old, 1, nil).ID,
				"foreign":  f.add(t, foreign, 2, nil).ID,
				"hashed":   f.add(t, lookalike, Unpeppered, nil).ID,
			}
			p, denial, err := f.Authenticate(context.Background(), auth.Credential{Source: c.source, Value: c.value})
			switch {
			case c.wantErr != nil:
				if !errors.Is(err, c.wantErr) || p != nil || denial != nil {
					t.Errorf("got %v, %+v, %v; want %v", p, denial, err, c.wantErr)
				}
			case c.want != "":
				if err != nil || p != nil || denial == nil || denial.Reason != c.want {
					t.Fatalf("got %v, %+v, %v; want a denial for %s", p, denial, err, c.want)
				}
				if denial.Status != 401 || denial.Detail != "Invalid API key" {
					t.Errorf("denied with %d %q", denial.Status, denial.Detail)
				}
				if len(c.value) > 12 && strings.Contains(denial.Value+denial.Bound, c.value[:13]) {
					t.Errorf("the denial tells the key: %q, %q", denial.Value, denial.Bound)
				}
			default:
				if err != nil || denial != nil || p == nil || p.KeyID != ids[c.wantID] {
					t.Fatalf("got %+v, %+v, %v; want the key %s", p, denial, err, c.wantID)
				}
			}
			f.wantLookups(t, c.lookups)
			if _, used := f.usedAt(ids[c.wantID]); used != (c.wantID != "") {
				t.Errorf("use reported: %t", used)
			}
		})
	}
}

func TestPrincipal(t *testing.T) {
	value := mustGenerate(t, true)
	expires := testNow.Add(time.Hour)
	cases := []struct {
		name        string
		defaultRole string
		change      func(*plugins.APIKey)
		want        plugins.Principal
	}{
		{
			name: "all of a record", defaultRole: "USER",
			change: func(k *plugins.APIKey) {
				k.Role, k.Tier, k.Scopes, k.Limits, k.ExpiresAt = "ADMIN", "pro", []string{"a", "b"}, []string{"600/1m burst 100"}, expires
			},
			want: plugins.Principal{Roles: []string{"ADMIN"}, Tier: "pro", Scopes: []string{"a", "b"}, Limits: []string{"600/1m burst 100"}, ExpiresAt: expires},
		},
		{name: "default role", defaultRole: "USER", want: plugins.Principal{Roles: []string{"USER"}}},
		{name: "no role", want: plugins.Principal{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, func(config *Config) { config.DefaultRole = c.defaultRole })
			key := f.add(t, value, 2, c.change)
			c.want.Subject, c.want.Owner, c.want.Scheme = "u1", "u1", plugins.SchemeAPIKey
			c.want.KeyID, c.want.Credential = key.ID, key.ID
			got := f.wantGood(t, value)
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("principal = %+v\nwant %+v", *got, c.want)
			}
			if again := f.wantGood(t, value); again != got {
				t.Error("a second request got another principal, want the shared one")
			}
		})
	}
}

func TestRecordChecks(t *testing.T) {
	value := mustGenerate(t, true)
	at := func(d time.Duration) time.Time { return testNow.Add(d) }
	allow := func(list ...string) func(*plugins.APIKey) {
		return func(k *plugins.APIKey) { k.IPAllow = list }
	}
	cases := []struct {
		name      string
		change    func(*plugins.APIKey)
		client    string
		want      plugins.Reason
		wantValue string
		wantBound string
	}{
		{
			name: "revoked", change: func(k *plugins.APIKey) { k.ID, k.RevokedAt = "id", at(-time.Minute) }, want: plugins.ReasonKeyRevoked,
			wantValue: "key id revoked 2026-02-03T09:59:00Z", wantBound: "now 2026-02-03T10:00:00Z",
		},
		{name: "revoked by a clock ahead", change: func(k *plugins.APIKey) { k.RevokedAt = at(time.Minute) }, want: plugins.ReasonKeyRevoked},
		{name: "revoked and expired", change: func(k *plugins.APIKey) { k.RevokedAt, k.ExpiresAt = at(-1), at(-1) }, want: plugins.ReasonKeyRevoked},
		{
			name: "expired", change: func(k *plugins.APIKey) { k.ID, k.ExpiresAt = "id", at(-time.Second) }, want: plugins.ReasonKeyExpired,
			wantValue: "key id expires 2026-02-03T09:59:59Z", wantBound: "now 2026-02-03T10:00:00Z",
		},
		{name: "expires now", change: func(k *plugins.APIKey) { k.ExpiresAt = at(0) }, want: plugins.ReasonKeyExpired},
		{name: "expired at the epoch", change: func(k *plugins.APIKey) { k.ExpiresAt = time.Unix(0, 0) }, want: plugins.ReasonKeyExpired},
		{name: "expires in a moment", change: func(k *plugins.APIKey) { k.ExpiresAt = at(1) }},
		{name: "no list", client: "203.0.113.9"},
		{name: "no list and no address"},
		{name: "on the list", change: allow("198.51.100.0/24", "203.0.113.0/24"), client: "203.0.113.9"},
		{
			name: "off the list", change: func(k *plugins.APIKey) { k.ID, k.IPAllow = "id", []string{"203.0.113.0/24", "10.0.0.1"} }, client: "203.0.114.9",
			want: plugins.ReasonKeyAddress, wantValue: "key id address 203.0.114.9", wantBound: "allowed 203.0.113.0/24 10.0.0.1/32",
		},
		{
			name: "list and no address", change: func(k *plugins.APIKey) { k.ID, k.IPAllow = "id", []string{"0.0.0.0/0"} },
			want: plugins.ReasonKeyAddress, wantValue: "key id address unknown", wantBound: "allowed 0.0.0.0/0",
		},
		{name: "everything and no address", change: allow("0.0.0.0/0", "::/0"), want: plugins.ReasonKeyAddress},
		{name: "single address", change: allow("203.0.113.9"), client: "203.0.113.9"},
		{name: "mapped client", change: allow("203.0.113.0/24"), client: "::ffff:203.0.113.9"},
		{name: "mapped list", change: allow("::ffff:203.0.113.0/120"), client: "203.0.113.9"},
		{name: "all of IPv4, mapped", change: allow("::ffff:0:0/96"), client: "203.0.113.9"},
		{name: "IPv6 list, IPv4 client", change: allow("::/0"), client: "203.0.113.9", want: plugins.ReasonKeyAddress},
		{name: "IPv6 with a zone", change: allow("fe80::/10"), client: "fe80::1%eth0"},
		{name: "prefix with host bits", change: allow("203.0.113.77/24"), client: "203.0.113.9"},
		{name: "list that can't be read", change: allow("203.0.113.0/24", "all"), client: "203.0.113.9", want: plugins.ReasonKeyAddress, wantBound: "allowed none: the list can't be read"},
		{name: "empty element", change: allow(""), client: "203.0.113.9", want: plugins.ReasonKeyAddress},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.add(t, value, 2, c.change)
			credential := auth.Credential{Source: auth.FromKeyHeader, Value: value}
			if c.client != "" {
				credential.ClientIP = netip.MustParseAddr(c.client)
			}
			// The second time from the cache: what is checked is checked on each hit.
			for _, where := range []string{"store", "cache"} {
				p, denial, err := f.Authenticate(context.Background(), credential)
				if c.want == "" {
					if p == nil || denial != nil || err != nil {
						t.Fatalf("from the %s: got %v, %+v, %v; want a principal", where, p, denial, err)
					}
					continue
				}
				if p != nil || err != nil || denial == nil || denial.Reason != c.want {
					t.Fatalf("from the %s: got %v, %+v, %v; want a denial for %s", where, p, denial, err, c.want)
				}
				if c.wantValue != "" && denial.Value != c.wantValue || c.wantBound != "" && denial.Bound != c.wantBound {
					t.Errorf("explained by %q against %q, want %q against %q", denial.Value, denial.Bound, c.wantValue, c.wantBound)
				}
			}
			f.wantLookups(t, 1)
		})
	}
}

// A key ends on time even while its record is cached.
func TestExpiryIsCheckedOnEachHit(t *testing.T) {
	value := mustGenerate(t, true)
	f := newFixture(t, nil)
	f.add(t, value, 2, func(k *plugins.APIKey) { k.ExpiresAt = testNow.Add(5 * time.Second) })
	f.wantGood(t, value)
	f.advance(5*time.Second - 1)
	f.wantGood(t, value)
	f.advance(1)
	f.wantDenied(t, value, plugins.ReasonKeyExpired)
	f.wantLookups(t, 1)
}

// The log says enough of an unknown key to find it, and of a foreign one, which may
// be a password, only how long it was.
func TestUnknownKeyIsExplained(t *testing.T) {
	f := newFixture(t, func(config *Config) { config.Foreign = true })
	value := mustGenerate(t, true)
	for sent, want := range map[string]string{value: value[:12] + ", 46 bytes", "correct-horse-battery-staple-of-somebody-else": "45 bytes"} {
		if got := f.wantDenied(t, sent, plugins.ReasonKeyUnknown).Value; got != want {
			t.Errorf("explained by %q, want %q", got, want)
		}
	}
}

func TestManyAllowedAddressesAreExplainedShort(t *testing.T) {
	value := mustGenerate(t, true)
	f := newFixture(t, nil)
	f.add(t, value, 2, func(k *plugins.APIKey) {
		for range 1000 {
			k.IPAllow = append(k.IPAllow, "10.0.0.0/8")
		}
	})
	denial := f.wantDenied(t, value, plugins.ReasonKeyAddress)
	if !strings.HasSuffix(denial.Bound, " and 992 more") {
		t.Errorf("bound = %q", denial.Bound)
	}
}

// A store that answers with another record than asked for opens nothing.
func TestFetchedDigestIsCompared(t *testing.T) {
	value := mustGenerate(t, true)
	cases := []struct {
		name   string
		change func(*plugins.APIKey)
	}{
		{"other digest", func(k *plugins.APIKey) { k.Hash = make([]byte, HashSize) }},
		{"one bit", func(k *plugins.APIKey) { k.Hash = append([]byte{k.Hash[0] ^ 1}, k.Hash[1:]...) }},
		{"short digest", func(k *plugins.APIKey) { k.Hash = k.Hash[:31] }},
		{"no digest", func(k *plugins.APIKey) { k.Hash = nil }},
		{"digest of another pepper", func(k *plugins.APIKey) { k.PepperVersion = 1 }},
		{"digest of no pepper", func(k *plugins.APIKey) { k.PepperVersion = Unpeppered }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, func(config *Config) { config.Foreign = true })
			key := f.add(t, value, 2, nil)
			asked := Hash(key.Hash)
			c.change(&key)
			f.store.mu.Lock()
			f.store.records[asked] = key
			f.store.mu.Unlock()
			f.wantDenied(t, value, plugins.ReasonKeyUnknown)
		})
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	for name, config := range map[string]Config{
		"no look-up": {Peppers: testPeppers(t)},
		"no pepper":  {Lookup: newFakeStore()},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := New(Config{Peppers: testPeppers(t), Lookup: newFakeStore()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name() != "api_key" {
		t.Errorf("Name = %q", s.Name())
	}
	// The real clock and no Toucher.
	if _, denial, err := s.Authenticate(context.Background(), auth.Credential{Source: auth.FromKeyHeader, Value: mustGenerate(t, true)}); denial == nil || err != nil {
		t.Errorf("got %+v, %v; want a denial", denial, err)
	}
}

func TestUseIsReportedOnceASecond(t *testing.T) {
	value := mustGenerate(t, true)
	f := newFixture(t, nil)
	key := f.add(t, value, 2, nil)
	f.wantGood(t, value)
	f.touched.Clear()
	f.advance(time.Second - 1)
	f.wantGood(t, value)
	if at, used := f.usedAt(key.ID); used {
		t.Errorf("use reported again at %v", at)
	}
	f.advance(1)
	f.wantGood(t, value)
	if at, _ := f.usedAt(key.ID); !at.Equal(f.clock()) {
		t.Errorf("used at %v, want %v", at, f.clock())
	}
	f.touched.Clear()
	f.wantDenied(t, mustGenerate(t, true), plugins.ReasonKeyUnknown)
	f.touched.Range(func(id, _ any) bool { t.Errorf("use of %v reported for an unknown key", id); return true })
}

func TestHitAllocatesNothing(t *testing.T) {
	value := mustGenerate(t, true)
	f := newFixture(t, nil)
	f.add(t, value, 2, func(k *plugins.APIKey) { k.IPAllow = []string{"203.0.113.0/24"} })
	c := auth.Credential{Source: auth.FromKeyHeader, Value: value, ClientIP: netip.MustParseAddr("203.0.113.9")}
	ctx := context.Background()
	got := testing.AllocsPerRun(1000, func() {
		if p, _, _ := f.Authenticate(ctx, c); p == nil {
			t.Fatal("refused")
		}
	})
	// The race detector makes sync.Pool drop some of the hash states.
	if got > 2 {
		t.Errorf("%v allocations, want 0, at most 2 under the race detector", got)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	value := mustGenerate(b, true)
	run := func(b *testing.B, s *Scheme, want plugins.Reason) {
		c := auth.Credential{Source: auth.FromKeyHeader, Value: value, ClientIP: netip.MustParseAddr("203.0.113.9")}
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if p, denial, err := s.Authenticate(ctx, c); err != nil || (p == nil) != (want != "") || denial != nil && denial.Reason != want {
				b.Fatal(p, denial, err)
			}
		}
	}
	b.Run("hit", func(b *testing.B) {
		f := newFixture(b, nil)
		f.add(b, value, 2, nil)
		run(b, f.Scheme, "")
	})
	b.Run("hit with the real clock and last use", func(b *testing.B) {
		used := NewLastUsed(1000, nil)
		f := newFixture(b, func(c *Config) { c.Clock, c.Used = time.Now, used })
		f.add(b, value, 2, func(k *plugins.APIKey) { k.IPAllow = []string{"203.0.113.0/24"} })
		run(b, f.Scheme, "")
	})
	b.Run("unknown", func(b *testing.B) {
		f := newFixture(b, nil)
		run(b, f.Scheme, plugins.ReasonKeyUnknown)
	})
	b.Run("parallel", func(b *testing.B) {
		f := newFixture(b, nil)
		f.add(b, value, 2, nil)
		c := auth.Credential{Source: auth.FromKeyHeader, Value: value}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if p, _, _ := f.Authenticate(context.Background(), c); p == nil {
					b.Error("refused")
				}
			}
		})
	})
}
