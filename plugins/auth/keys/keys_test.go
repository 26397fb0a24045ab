package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

// memory is a store for the tests of one goroutine. The suite of package storetest
// says what real ones do.
type memory struct {
	keys    map[string]plugins.APIKey
	epoch   int64
	most    int
	failing error
}

func (m *memory) Key(_ context.Context, id string) (plugins.APIKey, error) {
	key, ok := m.keys[id]
	if !ok {
		return key, plugins.ErrNotFound
	}
	return key, m.failing
}

func (m *memory) Keys(_ context.Context, filter plugins.KeyFilter) (list []plugins.APIKey, _ error) {
	for _, key := range m.keys {
		if key.Owner == filter.Owner {
			list = append(list, key)
		}
	}
	slices.SortFunc(list, func(a, b plugins.APIKey) int { return strings.Compare(a.ID, b.ID) })
	return list, m.failing
}

func (m *memory) CreateKey(_ context.Context, key plugins.APIKey) error {
	if m.failing == nil {
		m.keys[key.ID] = key
	}
	return m.failing
}

func (m *memory) CreateOwnKey(ctx context.Context, key plugins.APIKey, epoch int64, most int) error {
	m.epoch, m.most = epoch, most
	return m.CreateKey(ctx, key)
}

func (m *memory) UpdateKey(ctx context.Context, id string, change func(*plugins.APIKey) error) (plugins.APIKey, error) {
	key, err := m.Key(ctx, id)
	if err == nil {
		err = change(&key)
	}
	if err != nil {
		return plugins.APIKey{}, err
	}
	m.keys[id] = key
	return key, nil
}

func (m *memory) UpdateOwnKey(ctx context.Context, id string, epoch int64, change func(*plugins.APIKey) error) (plugins.APIKey, error) {
	m.epoch = epoch
	return m.UpdateKey(ctx, id, change)
}

func (m *memory) RotateKey(ctx context.Context, id string, next plugins.APIKey, oldEnds time.Time) error {
	return m.RotateOwnKey(ctx, id, func(plugins.APIKey) (plugins.APIKey, error) { return next, nil }, oldEnds, 0, 0)
}

func (m *memory) RotateOwnKey(ctx context.Context, id string, next func(plugins.APIKey) (plugins.APIKey, error), oldEnds time.Time, epoch int64, most int) error {
	m.epoch, m.most = epoch, most
	old, err := m.Key(ctx, id)
	if err != nil {
		return err
	}
	made, err := next(old)
	if err != nil {
		return err
	}
	old.ReplacedBy, old.ExpiresAt = made.ID, oldEnds
	m.keys[id], m.keys[made.ID] = old, made
	return nil
}

var now = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

// bench is a service with everything around it.
type bench struct {
	*Service
	store     *memory
	peppers   *apikey.Peppers
	events    []Event
	forgotten []string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	peppers, err := apikey.NewPeppers(apikey.Pepper{Version: 1, Secret: plugins.NewSecret("pepper")}, apikey.Pepper{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: &memory{keys: map[string]plugins.APIKey{}}, peppers: peppers}
	b.Service = New(Config{
		Store:   b.store,
		Peppers: func(context.Context) (*apikey.Peppers, error) { return peppers, nil },
		Check: func(field, value string) string {
			if value == "nonsense" {
				return "unknown " + field
			}
			return ""
		},
		CheckLimits: func(limits []string) error {
			if slices.Contains(limits, "nonsense") {
				return errors.New("no limit")
			}
			return nil
		},
		ParseDuration: func(text string) (time.Duration, error) {
			if days, found := strings.CutSuffix(text, "d"); found {
				var n int
				_, err := fmt.Sscanf(days, "%d", &n)
				return time.Duration(n) * 24 * time.Hour, err
			}
			return time.ParseDuration(text)
		},
		Invalidate: func(ids ...string) { b.forgotten = append(b.forgotten, ids...) },
		Notify:     func(e Event) { b.events = append(b.events, e) },
		Clock:      func() time.Time { return now.Add(300 * time.Millisecond) },
	})
	return b
}

// holder is an owner who has all that a key can grant, but the role ADMIN.
func holder(until time.Time) *plugins.KeyHolder {
	return &plugins.KeyHolder{Epoch: 7, Most: 3, Until: until, Covers: func(key plugins.APIKey) error {
		if key.Role == "ADMIN" {
			return errTooMuch
		}
		return nil
	}}
}

var errTooMuch = errors.New("too much")

func TestCreate(t *testing.T) {
	b := newBench(t)
	in := plugins.KeyInput{
		Owner: new("u1"), Name: new("New Key"), Role: new("USER"), Tier: new("pro"), Scopes: new([]string{"read"}),
		IPAllow: new([]string{"192.0.2.0/24"}), Limits: new([]string{"1/1s"}), Expires: new("90d"),
	}
	key, secret, err := b.Create(t.Context(), in, nil)
	if err != nil {
		t.Fatal(err)
	}
	hash := b.peppers.Sum(secret.Reveal())
	if !bytes.Equal(key.Hash, hash[:]) || key.PepperVersion != b.peppers.Version() || !strings.HasPrefix(secret.Reveal(), key.Prefix) || !strings.HasPrefix(key.Prefix, "sk_live_") {
		t.Errorf("got %+v for the key %s", key, secret.Reveal())
	}
	if key.Owner != "u1" || key.Name != "New Key" || key.Role != "USER" || key.Tier != "pro" || !key.CreatedAt.Equal(now) || !key.ExpiresAt.Equal(now.Add(90*24*time.Hour)) ||
		!slices.Equal(key.Scopes, []string{"read"}) || !slices.Equal(key.IPAllow, []string{"192.0.2.0/24"}) || !slices.Equal(key.Limits, []string{"1/1s"}) {
		t.Errorf("got %+v", key)
	}
	if got := b.store.keys[key.ID]; got.Name != key.Name || !slices.Equal(b.forgotten, []string{key.ID}) || len(b.events) != 1 || b.events[0].Kind != Created || b.events[0].Key.ID != key.ID {
		t.Errorf("kept %+v, forgotten %v, told %+v", got, b.forgotten, b.events)
	}
	if _, secret, err := b.Create(t.Context(), plugins.KeyInput{Owner: new("u1"), Test: true}, nil); err != nil || !strings.HasPrefix(secret.Reveal(), "sk_test_") {
		t.Errorf("a test key: got %s, %v", secret.Reveal(), err)
	}
	b.store.failing = errors.New("disk")
	if _, secret, err := b.Create(t.Context(), in, nil); err == nil || !secret.Empty() || len(b.events) != 2 {
		t.Errorf("store down: got %s, %v, told %d times", secret.Reveal(), err, len(b.events))
	}
}

func TestInputIsChecked(t *testing.T) {
	for _, tc := range []struct {
		name  string
		in    plugins.KeyInput
		field string
	}{
		{"no owner", plugins.KeyInput{}, "owner"},
		{"an empty owner", plugins.KeyInput{Owner: new("")}, "owner"},
		{"a line in the owner", plugins.KeyInput{Owner: new("a\nb")}, "owner"},
		{"an empty name", plugins.KeyInput{Name: new("")}, "name"},
		{"a long name", plugins.KeyInput{Name: new(strings.Repeat("x", 257))}, "name"},
		{"a space at the end of a name", plugins.KeyInput{Name: new("a ")}, "name"},
		{"a role", plugins.KeyInput{Role: new("nonsense")}, "role"},
		{"a tier", plugins.KeyInput{Tier: new("nonsense")}, "tier"},
		{"a scope", plugins.KeyInput{Scopes: new([]string{"read", "a b"})}, "scopes"},
		{"an address", plugins.KeyInput{IPAllow: new([]string{"nonsense"})}, "ip_allow"},
		{"a limit", plugins.KeyInput{Limits: new([]string{"nonsense"})}, "limits"},
		{"a duration", plugins.KeyInput{Expires: new("soon")}, "expires"},
		{"a duration back", plugins.KeyInput{Expires: new("-1h")}, "expires"},
		{"no days", plugins.KeyInput{ExpiresInDays: new(0)}, "expires_in_days"},
		{"many days", plugins.KeyInput{ExpiresInDays: new(36501)}, "expires_in_days"},
		{"a time that is over", plugins.KeyInput{ExpiresAt: new(now)}, "expires_at"},
		{"two ends", plugins.KeyInput{ExpiresInDays: new(1), Expires: new("never")}, "expires_at"},
	} {
		b := newBench(t)
		b.store.keys["k"] = plugins.APIKey{ID: "k", Owner: "u1"}
		if tc.in.Owner == nil && tc.field != "owner" {
			_, err := b.Update(t.Context(), "k", tc.in, nil)
			wantInput(t, tc.name+", changed", err, tc.field)
			tc.in.Owner = new("u1")
		}
		_, secret, err := b.Create(t.Context(), tc.in, nil)
		wantInput(t, tc.name, err, tc.field)
		if !secret.Empty() || len(b.store.keys) != 1 || len(b.events) != 0 {
			t.Errorf("%s: something was made of it", tc.name)
		}
	}
	for name, in := range map[string]plugins.KeyInput{
		"never": {Expires: new("never")}, "nothing": {Expires: new("")}, "defaults": {Role: new(""), Tier: new("")}, "no limits": {Limits: new([]string{})},
	} {
		in.Owner = new("u1")
		if key, _, err := newBench(t).Create(t.Context(), in, nil); err != nil || !key.ExpiresAt.IsZero() {
			t.Errorf("%s: got %+v, %v", name, key, err)
		}
	}
}

func wantInput(t testing.TB, what string, err error, field string) {
	t.Helper()
	if bad, ok := errors.AsType[*plugins.InputError](err); !ok || bad.Field != field {
		t.Errorf("%s: got %v, want an error of the field %s", what, err, field)
	}
}

func TestCreateOwn(t *testing.T) {
	until := now.Add(time.Hour)
	for _, tc := range []struct {
		name        string
		in          plugins.KeyInput
		until, want time.Time
	}{
		{"no end", plugins.KeyInput{}, time.Time{}, time.Time{}},
		{"no end, bound", plugins.KeyInput{}, until, until},
		{"a later end, bound", plugins.KeyInput{ExpiresInDays: new(90)}, until, until},
		{"an earlier end, bound", plugins.KeyInput{Expires: new("1m")}, until, now.Add(time.Minute)},
	} {
		b := newBench(t)
		tc.in.Owner = new("u1")
		key, _, err := b.Create(t.Context(), tc.in, holder(tc.until))
		if err != nil || !key.ExpiresAt.Equal(tc.want) || b.store.epoch != 7 || b.store.most != 3 {
			t.Errorf("%s: got %+v, %v in epoch %d with %d at most; want its end at %s", tc.name, key, err, b.store.epoch, b.store.most, tc.want)
		}
	}
	b := newBench(t)
	if _, secret, err := b.Create(t.Context(), plugins.KeyInput{Owner: new("u1"), Role: new("ADMIN")}, holder(time.Time{})); !errors.Is(err, errTooMuch) || !secret.Empty() || len(b.store.keys) != 0 {
		t.Errorf("a role that the owner has not: got %v and %d keys", err, len(b.store.keys))
	}
}

func TestUpdate(t *testing.T) {
	b := newBench(t)
	b.store.keys["k"] = plugins.APIKey{ID: "k", Owner: "u1", Name: "k", Role: "USER", ExpiresAt: now.Add(time.Hour)}
	key, err := b.Update(t.Context(), "k", plugins.KeyInput{Name: new("renamed"), Expires: new("never")}, nil)
	if err != nil || key.Name != "renamed" || key.Role != "USER" || !key.ExpiresAt.IsZero() || !slices.Equal(b.forgotten, []string{"k"}) {
		t.Errorf("got %+v, %v, forgotten %v", key, err, b.forgotten)
	}
	_, err = b.Update(t.Context(), "k", plugins.KeyInput{Owner: new("u2")}, nil)
	wantInput(t, "another owner", err, "owner")
	b.store.keys["k"] = plugins.APIKey{ID: "k", RevokedAt: now}
	if _, err := b.Update(t.Context(), "k", plugins.KeyInput{Name: new("x")}, nil); !errors.Is(err, plugins.ErrConflict) {
		t.Errorf("a revoked key: got %v", err)
	}
	if _, err := b.Update(t.Context(), "nobody's", plugins.KeyInput{}, holder(time.Time{})); !errors.Is(err, plugins.ErrNotFound) || b.store.epoch != 7 {
		t.Errorf("no key: got %v", err)
	}
}

// Prolonging a key is giving it anew (issue 11).
func TestOwnersProlong(t *testing.T) {
	soon, late, until := now.Add(time.Hour), now.AddDate(0, 0, 90), now.Add(24*time.Hour)
	in90 := plugins.KeyInput{ExpiresInDays: new(90)}
	for _, tc := range []struct {
		name  string
		key   plugins.APIKey
		in    plugins.KeyInput
		until time.Time
		want  time.Time
		err   error
	}{
		{"a key with what its owner has", plugins.APIKey{Role: "USER", ExpiresAt: soon}, in90, time.Time{}, late, nil},
		{"a key with more", plugins.APIKey{Role: "ADMIN", ExpiresAt: soon}, in90, time.Time{}, soon, errTooMuch},
		{"a key with more, for ever", plugins.APIKey{Role: "ADMIN", ExpiresAt: soon}, plugins.KeyInput{Expires: new("never")}, time.Time{}, soon, errTooMuch},
		{"a key with more, by name only", plugins.APIKey{Role: "ADMIN", ExpiresAt: soon}, plugins.KeyInput{Name: new("n")}, time.Time{}, soon, nil},
		{"a key with more, to end earlier", plugins.APIKey{Role: "ADMIN", ExpiresAt: late}, plugins.KeyInput{Expires: new("1h")}, time.Time{}, soon, nil},
		{"a key with more that never ends", plugins.APIKey{Role: "ADMIN"}, in90, time.Time{}, late, nil},
		{"past the bound", plugins.APIKey{Role: "USER", ExpiresAt: soon}, in90, until, until, nil},
		{"past the bound, of a key that is past it", plugins.APIKey{Role: "USER", ExpiresAt: now.AddDate(0, 0, 30)}, in90, until, now.AddDate(0, 0, 30), nil},
		{"within the bound", plugins.APIKey{Role: "USER", ExpiresAt: soon}, plugins.KeyInput{Expires: new("2h")}, until, now.Add(2 * time.Hour), nil},
		{"a key that is expired", plugins.APIKey{Role: "USER", ExpiresAt: now}, in90, time.Time{}, now, plugins.ErrConflict},
		{"a key in its grace", plugins.APIKey{Role: "USER", ExpiresAt: soon, ReplacedBy: "x"}, in90, time.Time{}, soon, plugins.ErrConflict},
		{"a key in its grace, by name only", plugins.APIKey{Role: "USER", ExpiresAt: soon, ReplacedBy: "x"}, plugins.KeyInput{Name: new("n")}, time.Time{}, soon, nil},
	} {
		b := newBench(t)
		tc.key.ID = "k"
		b.store.keys["k"] = tc.key
		_, err := b.Update(t.Context(), "k", tc.in, holder(tc.until))
		if !errors.Is(err, tc.err) || !b.store.keys["k"].ExpiresAt.Equal(tc.want) {
			t.Errorf("%s: got %v, it ends at %s; want %v and %s", tc.name, err, b.store.keys["k"].ExpiresAt, tc.err, tc.want)
		}
		// An operator may.
		if tc.err != nil {
			b.store.keys["k"] = tc.key
			if _, err := b.Update(t.Context(), "k", tc.in, nil); err != nil {
				t.Errorf("%s, by an operator: got %v", tc.name, err)
			}
		}
	}
}

func TestRotate(t *testing.T) {
	until := now.Add(24 * time.Hour)
	old := plugins.APIKey{ID: "old", Owner: "u1", Name: "n", Role: "USER", Tier: "pro", Limits: []string{"1/1s"}, Prefix: "sk_test_abcd", CreatedAt: now.Add(-time.Hour), LastUsedAt: now}
	with := func(change func(*plugins.APIKey)) plugins.APIKey {
		key := old
		change(&key)
		return key
	}
	for _, tc := range []struct {
		name  string
		old   plugins.APIKey
		grace *string
		by    *plugins.KeyHolder
		// wantOld and want are the ends of the two keys.
		wantOld, want time.Time
		most          int
		err           error
	}{
		{"the default grace", old, nil, nil, now.Add(24 * time.Hour), time.Time{}, 0, nil},
		{"a grace", old, new("1h"), nil, now.Add(time.Hour), time.Time{}, 0, nil},
		{"none", old, new("0s"), holder(time.Time{}), now, time.Time{}, 6, nil},
		{"as long a life", with(func(k *plugins.APIKey) { k.ExpiresAt = now.Add(time.Hour) }), new("1m"), holder(time.Time{}), now.Add(time.Minute), now.Add(2 * time.Hour), 6, nil},
		{"bound", old, new("1m"), holder(until), now.Add(time.Minute), until, 6, nil},
		{"more than the owner has", with(func(k *plugins.APIKey) { k.Role = "ADMIN" }), nil, holder(time.Time{}), time.Time{}, time.Time{}, 6, errTooMuch},
		{"more than the owner has, by an operator", with(func(k *plugins.APIKey) { k.Role = "ADMIN" }), new("1h"), nil, now.Add(time.Hour), time.Time{}, 0, nil},
	} {
		b := newBench(t)
		b.store.keys["old"] = tc.old
		next, secret, err := b.Rotate(t.Context(), "old", tc.grace, tc.by)
		if b.store.most != tc.most || !errors.Is(err, tc.err) || !b.store.keys["old"].ExpiresAt.Equal(tc.wantOld) {
			t.Errorf("%s: got %v, the old one ends at %s, %d at most", tc.name, err, b.store.keys["old"].ExpiresAt, b.store.most)
		}
		if tc.err != nil {
			if !secret.Empty() || len(b.store.keys) != 1 || len(b.events) != 0 {
				t.Errorf("%s: a key was made", tc.name)
			}
			continue
		}
		if next.ID == "old" || !strings.HasPrefix(secret.Reveal(), "sk_test_") || next.Prefix != apikey.DisplayPrefix(secret.Reveal()) || next.Owner != "u1" || next.Tier != "pro" ||
			!slices.Equal(next.Limits, tc.old.Limits) || !next.CreatedAt.Equal(now) || !next.LastUsedAt.IsZero() || next.ReplacedBy != "" || !next.ExpiresAt.Equal(tc.want) {
			t.Errorf("%s: got %+v, want its end at %s", tc.name, next, tc.want)
		}
		if len(b.events) != 1 || b.events[0].Kind != Rotated || b.events[0].Replaces != "old" || b.events[0].Grace != tc.wantOld.Sub(now) || !slices.Equal(b.forgotten, []string{"old", next.ID}) {
			t.Errorf("%s: told %+v, forgotten %v", tc.name, b.events, b.forgotten)
		}
	}
	b := newBench(t)
	b.store.keys["old"] = old
	for _, grace := range []string{"", "soon", "-1h", "366d"} {
		_, _, err := b.Rotate(t.Context(), "old", &grace, nil)
		wantInput(t, "the grace "+grace, err, "grace")
	}
	for _, by := range []*plugins.KeyHolder{nil, holder(until)} {
		if _, _, err := b.Rotate(t.Context(), "nobody's", nil, by); !errors.Is(err, plugins.ErrNotFound) {
			t.Errorf("no key: got %v", err)
		}
	}
}

func TestRevoke(t *testing.T) {
	b := newBench(t)
	b.store.keys["k"] = plugins.APIKey{ID: "k"}
	for range 2 {
		if key, err := b.Revoke(t.Context(), "k"); err != nil || !key.RevokedAt.Equal(now) {
			t.Errorf("got %+v, %v", key, err)
		}
	}
	if len(b.events) != 1 || b.events[0].Kind != Revoked {
		t.Errorf("told %+v, want once", b.events)
	}
	if _, err := b.Revoke(t.Context(), "nobody's"); !errors.Is(err, plugins.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestOfOwner(t *testing.T) {
	b := newBench(t)
	for _, key := range []plugins.APIKey{
		{ID: "1", Owner: "u1"},
		{ID: "2", Owner: "u1", RevokedAt: now},
		{ID: "3", Owner: "u1", ExpiresAt: now},
		{ID: "4", Owner: "u1", ExpiresAt: now.Add(time.Hour)},
		{ID: "5", Owner: "u2"},
	} {
		b.store.keys[key.ID] = key
	}
	for all, want := range map[bool][]string{false: {"1", "4"}, true: {"1", "2", "3", "4"}} {
		list, err := b.OfOwner(t.Context(), "u1", all)
		var got []string
		for _, key := range list {
			got = append(got, key.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("all %t: got %v, %v, want %v", all, got, err, want)
		}
	}
	if list, err := b.OfOwner(t.Context(), "nobody", true); err != nil || list == nil || len(list) != 0 {
		t.Errorf("got %v, %v, want an empty list", list, err)
	}
}
