package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// NewRevocation makes one of a token id that no other has.
func NewRevocation(t testing.TB) plugins.Revocation {
	t.Helper()
	id := NewID(t)
	return plugins.Revocation{
		ID: id, Kind: plugins.RevokeTokenID, Issuer: "main", Value: "jti-" + id,
		CreatedAt: base, ExpiresAt: base.Add(8 * time.Hour), Note: "lost laptop",
	}
}

// revocations lists those that have not expired.
func revocations(t *testing.T, s store.Store, now time.Time) []plugins.Revocation {
	t.Helper()
	all, err := s.Revocations(ctx(), now)
	must(t, err)
	if all == nil {
		t.Error("Revocations = nil, want a list")
	}
	return all
}

func testRevoke(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("what is added comes back, oldest first", func(t *testing.T) {
		s := open(t)
		wantEqual(t, "empty", revocations(t, s, base), []plugins.Revocation{})
		want := []plugins.Revocation{
			NewRevocation(t),
			{ID: NewID(t), Kind: plugins.RevokeSubject, Value: "u1", IssuedBefore: base, CreatedAt: base.Add(time.Second)},
			{ID: NewID(t), Kind: plugins.RevokeIssuedBefore, Issuer: "main", IssuedBefore: base, CreatedAt: base.Add(2 * time.Second)},
			{ID: NewID(t), Kind: plugins.RevokeIssuedBefore, IssuedBefore: base, CreatedAt: base.Add(3 * time.Second)},
			{ID: NewID(t), Kind: plugins.RevokeSigningKey, Issuer: "main", Value: "k1", CreatedAt: base.Add(4 * time.Second)},
		}
		for _, i := range []int{2, 0, 3, 4, 1} {
			must(t, s.Revoke(ctx(), want[i]))
		}
		wantEqual(t, "all", revocations(t, s, base), want)
	})

	t.Run("text is data", func(t *testing.T) {
		s := open(t)
		for _, text := range hostile {
			want := NewRevocation(t)
			want.ID, want.Issuer, want.Value, want.Note = text, text, text, text
			must(t, s.Revoke(ctx(), want))
			all := revocations(t, s, base)
			wantEqual(t, "record of "+text, all, []plugins.Revocation{want})
			must(t, s.DeleteRevocation(ctx(), text))
		}
	})

	t.Run("the same again extends", func(t *testing.T) {
		at := func(h int) time.Time { return base.Add(time.Duration(h) * time.Hour) }
		for _, c := range []struct {
			name                     string
			firstEnds, secondEnds    time.Time
			firstBefore, seconBefore time.Time
			secondNote               string
			wantEnds, wantBefore     time.Time
			wantNote                 string
		}{
			{name: "later", firstEnds: at(1), secondEnds: at(2), firstBefore: at(0), seconBefore: at(1), secondNote: "again", wantEnds: at(2), wantBefore: at(1), wantNote: "again"},
			{name: "earlier", firstEnds: at(2), secondEnds: at(1), firstBefore: at(1), seconBefore: at(0), wantEnds: at(2), wantBefore: at(1), wantNote: "first"},
			{name: "first without end", secondEnds: at(1), firstBefore: at(0), seconBefore: at(0), wantBefore: at(0), wantNote: "first"},
			{name: "second without end", firstEnds: at(1), firstBefore: at(0), seconBefore: at(0), wantBefore: at(0), wantNote: "first"},
		} {
			s := open(t)
			first := plugins.Revocation{
				ID: NewID(t), Kind: plugins.RevokeSubject, Issuer: "main", Value: "u1",
				IssuedBefore: c.firstBefore, CreatedAt: base, ExpiresAt: c.firstEnds, Note: "first",
			}
			second := first
			second.ID, second.IssuedBefore, second.ExpiresAt, second.Note, second.CreatedAt = NewID(t), c.seconBefore, c.secondEnds, c.secondNote, at(1)
			must(t, s.Revoke(ctx(), first))
			must(t, s.Revoke(ctx(), second))
			want := first
			want.IssuedBefore, want.ExpiresAt, want.Note = c.wantBefore, c.wantEnds, c.wantNote
			wantEqual(t, c.name, revocations(t, s, base), []plugins.Revocation{want})
			must(t, s.Revoke(ctx(), first))
			wantEqual(t, c.name+", first again", len(revocations(t, s, base)), 1)
		}
	})

	t.Run("another kind, issuer or value is another", func(t *testing.T) {
		s, first := open(t), NewRevocation(t)
		must(t, s.Revoke(ctx(), first))
		for _, change := range []func(*plugins.Revocation){
			func(r *plugins.Revocation) { r.Kind, r.IssuedBefore = plugins.RevokeSubject, base },
			func(r *plugins.Revocation) { r.Issuer = "" },
			func(r *plugins.Revocation) { r.Issuer = "Main" },
			func(r *plugins.Revocation) { r.Value += " " },
		} {
			r := first
			change(&r)
			wantErr(t, "id of another", s.Revoke(ctx(), r), store.ErrExists)
			r.ID = NewID(t)
			must(t, s.Revoke(ctx(), r))
		}
		wantEqual(t, "number", len(revocations(t, s, base)), 5)
	})
}

func testInvalidRevocations(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("invalid ones are refused", func(t *testing.T) {
		s := open(t)
		for name, spoil := range map[string]func(*plugins.Revocation){
			"no id":                  func(r *plugins.Revocation) { r.ID = "" },
			"no kind":                func(r *plugins.Revocation) { r.Kind = "" },
			"unknown kind":           func(r *plugins.Revocation) { r.Kind = "key" },
			"no value":               func(r *plugins.Revocation) { r.Value = "" },
			"no time of making":      func(r *plugins.Revocation) { r.CreatedAt = time.Time{} },
			"subject without value":  func(r *plugins.Revocation) { r.Kind, r.Value, r.IssuedBefore = plugins.RevokeSubject, "", base },
			"subject without time":   func(r *plugins.Revocation) { r.Kind = plugins.RevokeSubject },
			"issued before no time":  func(r *plugins.Revocation) { r.Kind, r.Value = plugins.RevokeIssuedBefore, "" },
			"issued before, a value": func(r *plugins.Revocation) { r.Kind, r.IssuedBefore = plugins.RevokeIssuedBefore, base },
			"NUL":                    func(r *plugins.Revocation) { r.Value = "a\x00" },
			"not UTF-8":              func(r *plugins.Revocation) { r.Note = "\xff" },
			"long text":              func(r *plugins.Revocation) { r.Value = strings.Repeat("x", store.MaxText+1) },
			"time before 1970":       func(r *plugins.Revocation) { r.ExpiresAt = time.Unix(-1, 0) },
		} {
			r := NewRevocation(t)
			spoil(&r)
			wantErr(t, name, s.Revoke(ctx(), r), store.ErrInvalid)
		}
		wantEqual(t, "all", revocations(t, s, base), []plugins.Revocation{})
	})
}

func testEndOfRevocations(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("expiry and sweep", func(t *testing.T) {
		s, early, late, never := open(t), NewRevocation(t), NewRevocation(t), NewRevocation(t)
		early.ExpiresAt, late.ExpiresAt, never.ExpiresAt = base.Add(time.Minute), base.Add(time.Hour), time.Time{}
		for _, r := range []plugins.Revocation{early, late, never} {
			must(t, s.Revoke(ctx(), r))
		}
		moment := early.ExpiresAt
		wantEqual(t, "before", revocations(t, s, moment.Add(-time.Nanosecond)), []plugins.Revocation{early, late, never})
		wantEqual(t, "at its end", revocations(t, s, moment), []plugins.Revocation{late, never})
		wantEqual(t, "after", revocations(t, s, moment.Add(time.Nanosecond)), []plugins.Revocation{late, never})
		for _, c := range []struct {
			name string
			now  time.Time
			want int
		}{{"before", moment.Add(-time.Nanosecond), 0}, {"at its end", moment, 1}, {"again", moment, 0}, {"much later", base.AddDate(100, 0, 0), 1}} {
			n, err := s.SweepRevocations(ctx(), c.now)
			must(t, err)
			wantEqual(t, "swept "+c.name, n, c.want)
		}
		wantEqual(t, "left", revocations(t, s, base), []plugins.Revocation{never})
	})

	t.Run("delete", func(t *testing.T) {
		s, a, b := open(t), NewRevocation(t), NewRevocation(t)
		must(t, s.Revoke(ctx(), a))
		must(t, s.Revoke(ctx(), b))
		must(t, s.DeleteRevocation(ctx(), a.ID))
		wantErr(t, "a second time", s.DeleteRevocation(ctx(), a.ID), store.ErrNotFound)
		wantErr(t, "no id", s.DeleteRevocation(ctx(), ""), store.ErrNotFound)
		wantErr(t, "by value", s.DeleteRevocation(ctx(), b.Value), store.ErrNotFound)
		wantEqual(t, "left", revocations(t, s, base), []plugins.Revocation{b})
	})
}
