package revocation

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ainative/portcullis/plugins"
)

var base = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

func token(id, issuer, jti string) plugins.Revocation {
	return plugins.Revocation{ID: id, Kind: plugins.RevokeTokenID, Issuer: issuer, Value: jti}
}

func subject(id, issuer, sub string, before time.Time) plugins.Revocation {
	return plugins.Revocation{ID: id, Kind: plugins.RevokeSubject, Issuer: issuer, Value: sub, IssuedBefore: before}
}

func everyone(id, issuer string, before time.Time) plugins.Revocation {
	return plugins.Revocation{ID: id, Kind: plugins.RevokeIssuedBefore, Issuer: issuer, IssuedBefore: before}
}

func TestRevoked(t *testing.T) {
	type asked struct {
		issuer, jti, sub string
		iat              time.Time
	}
	cases := []struct {
		name  string
		entry plugins.Revocation
		asked asked
		want  bool
	}{
		{"jti", token("1", "main", "j"), asked{"main", "j", "u", base}, true},
		{"jti of any issuer", token("1", "", "j"), asked{"main", "j", "u", base}, true},
		{"jti of another issuer", token("1", "other", "j"), asked{"main", "j", "u", base}, false},
		{"another jti", token("1", "main", "j"), asked{"main", "k", "u", base}, false},
		{"longer jti", token("1", "main", "j"), asked{"main", "jj", "u", base}, false},
		{"case of the jti", token("1", "main", "j"), asked{"main", "J", "u", base}, false},
		{"jti is the subject", token("1", "main", "j"), asked{"main", "", "j", base}, false},
		{"no jti", token("1", "main", "j"), asked{"main", "", "u", base}, false},
		{"empty jti is nobody's", token("1", "", ""), asked{"main", "", "u", base}, false},
		{"jti whenever issued", token("1", "main", "j"), asked{"main", "j", "u", base.AddDate(100, 0, 0)}, true},
		{"jti without iat", token("1", "main", "j"), asked{"main", "j", "", time.Time{}}, true},

		{"subject before", subject("1", "main", "u", base), asked{"main", "j", "u", base.Add(-time.Hour)}, true},
		{"subject at the time", subject("1", "main", "u", base), asked{"main", "j", "u", base}, true},
		{"subject in the same second", subject("1", "main", "u", base), asked{"main", "j", "u", base.Add(900 * time.Millisecond)}, true},
		{"subject a second after", subject("1", "main", "u", base), asked{"main", "j", "u", base.Add(time.Second)}, false},
		{"subject without iat", subject("1", "main", "u", base), asked{"main", "j", "u", time.Time{}}, true},
		{"subject of any issuer", subject("1", "", "u", base), asked{"main", "j", "u", base}, true},
		{"subject of another issuer", subject("1", "other", "u", base), asked{"main", "j", "u", base}, false},
		{"another subject", subject("1", "main", "u", base), asked{"main", "j", "v", base}, false},
		{"subject is the jti", subject("1", "main", "u", base), asked{"main", "u", "v", base}, false},
		{"no subject", subject("1", "main", "u", base), asked{"main", "j", "", base}, false},

		{"issued before, of the issuer", everyone("1", "main", base), asked{"main", "j", "u", base}, true},
		{"issued before, later", everyone("1", "main", base), asked{"main", "j", "u", base.Add(time.Second)}, false},
		{"issued before, of any issuer", everyone("1", "", base), asked{"main", "", "", base}, true},
		{"issued before, of another issuer", everyone("1", "other", base), asked{"main", "j", "u", base}, false},
		{"issued before, without iat", everyone("1", "main", base), asked{"main", "", "", time.Time{}}, true},
		{"unknown kind", plugins.Revocation{ID: "1", Kind: "key", Issuer: "main", Value: "j"}, asked{"main", "j", "j", base}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for how, fill := range map[string]func(*Set){
				"added":    func(s *Set) { s.Add(c.entry) },
				"replaced": func(s *Set) { s.Replace([]plugins.Revocation{c.entry}) },
				"among others": func(s *Set) {
					s.Replace(many(1000))
					s.Add(c.entry)
				},
			} {
				s := NewSet()
				fill(s)
				if got := s.Revoked(c.asked.issuer, c.asked.jti, c.asked.sub, c.asked.iat); got != c.want {
					t.Errorf("%s: Revoked = %t, want %t", how, got, c.want)
				}
				s.Remove("1")
				if s.Revoked(c.asked.issuer, c.asked.jti, c.asked.sub, c.asked.iat) {
					t.Errorf("%s: still revoked after Remove", how)
				}
			}
		})
	}
}

func TestKeyRevoked(t *testing.T) {
	signingKey := func(issuer, kid string) plugins.Revocation {
		return plugins.Revocation{ID: "1", Kind: plugins.RevokeSigningKey, Issuer: issuer, Value: kid}
	}
	for _, c := range []struct {
		name        string
		entry       plugins.Revocation
		issuer, kid string
		want        bool
	}{
		{"kid", signingKey("main", "k"), "main", "k", true},
		{"kid of any issuer", signingKey("", "k"), "main", "k", true},
		{"kid of another issuer", signingKey("other", "k"), "main", "k", false},
		{"another kid", signingKey("main", "k"), "main", "kk", false},
		{"no kid", signingKey("main", ""), "main", "", false},
		{"jti is the kid", token("1", "main", "k"), "main", "k", false},
		{"subject is the kid", subject("1", "main", "k", base), "main", "k", false},
	} {
		s := NewSet()
		s.Add(c.entry)
		if got := s.KeyRevoked(c.issuer, c.kid); got != c.want {
			t.Errorf("%s: KeyRevoked = %t, want %t", c.name, got, c.want)
		}
		if c.entry.Kind == plugins.RevokeSigningKey && s.Revoked(c.issuer, c.kid, c.kid, time.Time{}) {
			t.Errorf("%s: a token is revoked that has the kid as its jti and subject", c.name)
		}
		s.Remove("1")
		if s.KeyRevoked(c.issuer, c.kid) {
			t.Errorf("%s: still revoked after Remove", c.name)
		}
	}
}

func many(n int) []plugins.Revocation {
	all := make([]plugins.Revocation, n)
	for i := range all {
		all[i] = token(fmt.Sprint("id", i), "main", fmt.Sprint("jti-", i))
	}
	return all
}

// The entry of the issuer and that of any issuer both hold.
func TestIssuerAndAnyAreBothHeld(t *testing.T) {
	early, late := base, base.Add(time.Hour)
	for _, all := range [][]plugins.Revocation{
		{subject("1", "main", "u", early), subject("2", "", "u", late)},
		{subject("1", "main", "u", late), subject("2", "", "u", early)},
	} {
		s := NewSet()
		s.Replace(all)
		if !s.Revoked("main", "", "u", late) {
			t.Errorf("%v: the later time does not hold", all)
		}
		if s.Revoked("main", "", "u", late.Add(time.Second)) {
			t.Errorf("%v: more is revoked than either says", all)
		}
	}
}

func TestGenerationGrowsWithEveryChange(t *testing.T) {
	s := NewSet()
	for _, step := range []struct {
		name  string
		do    func()
		grows bool
	}{
		{"nothing", func() {}, false},
		{"Add", func() { s.Add(token("1", "main", "j")) }, true},
		{"Revoked", func() { s.Revoked("main", "j", "u", base) }, false},
		{"Remove of nothing", func() { s.Remove("2") }, false},
		{"Remove", func() { s.Remove("1") }, true},
		{"Replace", func() { s.Replace(nil) }, true},
		{"Load", func() { _ = s.Load(func() ([]plugins.Revocation, error) { return nil, nil }) }, true},
		{"failed Load", func() { _ = s.Load(func() ([]plugins.Revocation, error) { return nil, errors.New("no") }) }, false},
	} {
		before := s.Generation()
		step.do()
		if after := s.Generation(); (after > before) != step.grows || after < before {
			t.Errorf("%s: generation went from %d to %d; grows: want %t", step.name, before, after, step.grows)
		}
	}
}

// What this process revokes while the store's list is on its way stays revoked,
// though the list does not have it.
func TestLoadKeepsWhatCameMeanwhile(t *testing.T) {
	s := NewSet()
	s.Add(token("old", "main", "old"))
	err := s.Load(func() ([]plugins.Revocation, error) {
		s.Add(token("new", "main", "new"))
		s.Remove("listed")
		if !s.Revoked("main", "new", "", base) || !s.Revoked("main", "old", "", base) {
			t.Error("not revoked while the list is on its way")
		}
		return []plugins.Revocation{token("listed", "main", "listed"), token("other", "main", "other")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for jti, want := range map[string]bool{"new": true, "other": true, "old": false, "listed": false} {
		if got := s.Revoked("main", jti, "", base); got != want {
			t.Errorf("Revoked(%s) = %t, want %t", jti, got, want)
		}
	}
	if got := s.Len(); got != 2 {
		t.Errorf("Len = %d, want 2", got)
	}
	// And not for ever: the next list is the truth.
	if err := s.Load(func() ([]plugins.Revocation, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if s.Len() != 0 || s.Revoked("main", "new", "", base) {
		t.Error("an entry stays that the next list does not have")
	}
}

func TestFailedLoadChangesNothing(t *testing.T) {
	s, no := NewSet(), errors.New("no")
	s.Add(token("1", "main", "j"))
	err := s.Load(func() ([]plugins.Revocation, error) {
		s.Add(token("2", "main", "k"))
		return nil, no
	})
	if !errors.Is(err, no) {
		t.Errorf("err = %v, want %v", err, no)
	}
	if !s.Revoked("main", "j", "", base) || !s.Revoked("main", "k", "", base) {
		t.Error("an entry is gone")
	}
}

func TestSweep(t *testing.T) {
	s := NewSet()
	for i, expires := range []time.Time{{}, base, base.Add(time.Second), time.Unix(0, 0)} {
		r := token(fmt.Sprint(i), "main", fmt.Sprint("j", i))
		r.ExpiresAt = expires
		s.Add(r)
	}
	if got := s.Sweep(base); got != 2 {
		t.Errorf("swept %d, want 2: those that end at and before the time", got)
	}
	if got := s.Len(); got != 2 {
		t.Errorf("Len = %d, want 2", got)
	}
	for i, want := range []bool{true, false, true, false} {
		if got := s.Revoked("main", fmt.Sprint("j", i), "", base); got != want {
			t.Errorf("entry %d: Revoked = %t, want %t", i, got, want)
		}
	}
	if s.Remove("1") {
		t.Error("the id of a swept entry is still known")
	}
	if !s.Remove("0") {
		t.Error("the id of an entry that stays is gone")
	}
	if got := s.Sweep(base); got != 0 {
		t.Errorf("swept %d again, want 0", got)
	}
}

// The same entry again never ends earlier, in whatever order.
func TestNeverOutlastsADate(t *testing.T) {
	dated, never := token("1", "main", "j"), token("2", "main", "j")
	dated.ExpiresAt = base
	for _, all := range [][]plugins.Revocation{{dated, never}, {never, dated}} {
		added, replaced := NewSet(), NewSet()
		for _, r := range all {
			added.Add(r)
		}
		replaced.Replace(all)
		for how, s := range map[string]*Set{"added": added, "replaced": replaced} {
			if got := s.Sweep(base.Add(time.Hour)); got != 0 || !s.Revoked("main", "j", "", base) {
				t.Errorf("%s %v: swept %d, want it kept for ever", how, all, got)
			}
		}
	}
}

// Of two dates the later one holds.
func TestLaterDateHolds(t *testing.T) {
	early, late := token("1", "main", "j"), token("2", "main", "j")
	early.ExpiresAt, late.ExpiresAt = base, base.Add(time.Minute)
	for _, all := range [][]plugins.Revocation{{early, late}, {late, early}} {
		s := NewSet()
		s.Replace(all)
		for _, step := range []struct {
			at   time.Duration
			want int
		}{{time.Minute - 1, 0}, {time.Minute, 1}} {
			if got := s.Sweep(base.Add(step.at)); got != step.want {
				t.Errorf("%v: swept %d after %s, want %d", all, got, step.at, step.want)
			}
		}
	}
}

// Two records of one entry: the first that is taken back takes it.
func TestRemoveByEitherID(t *testing.T) {
	s := NewSet()
	s.Add(token("1", "main", "j"))
	s.Add(token("2", "main", "j"))
	if !s.Remove("2") || s.Revoked("main", "j", "", base) {
		t.Error("it can't be taken back by its second id")
	}
	if s.Remove("1") || s.Len() != 0 {
		t.Errorf("taken back twice, Len = %d", s.Len())
	}
	if got := len(s.byID); got != 0 {
		t.Errorf("%d ids are remembered of nothing", got)
	}
	r := token("3", "main", "j")
	r.ExpiresAt = base
	s.Add(r)
	s.Sweep(base)
	if got := len(s.byID); got != 0 {
		t.Errorf("%d ids are remembered of what was swept", got)
	}
}

// A time before 1970 is one like another.
func TestIssuedBeforeLongAgo(t *testing.T) {
	s := NewSet()
	s.Add(subject("1", "main", "u", time.Unix(-100, 0)))
	if s.Revoked("main", "", "u", time.Unix(-50, 0)) || !s.Revoked("main", "", "u", time.Unix(-100, 0)) {
		t.Error("the time does not hold")
	}
}

func TestFailedLoadIsNoRace(t *testing.T) {
	s := NewSet()
	if raced, err := s.load(func() ([]plugins.Revocation, error) { return nil, errors.New("no") }); raced || err == nil {
		t.Errorf("got %t, %v", raced, err)
	}
}

// The set is what a plain list is.
func TestSetIsLikeAList(t *testing.T) {
	names := []string{"", "a", "b"}
	kinds := []plugins.RevocationKind{plugins.RevokeTokenID, plugins.RevokeSubject, plugins.RevokeIssuedBefore}
	rapid.Check(t, func(t *rapid.T) {
		record := rapid.Custom(func(t *rapid.T) plugins.Revocation {
			r := plugins.Revocation{
				ID:           rapid.StringMatching(`[0-9]{4}`).Draw(t, "id"),
				Kind:         rapid.SampledFrom(kinds).Draw(t, "kind"),
				Issuer:       rapid.SampledFrom(names).Draw(t, "issuer"),
				Value:        rapid.SampledFrom(names).Draw(t, "value"),
				IssuedBefore: base.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "before")) * time.Second),
			}
			if n := rapid.IntRange(0, 3).Draw(t, "expires"); n > 0 {
				r.ExpiresAt = base.Add(time.Duration(n) * time.Minute)
			}
			if r.Kind == plugins.RevokeIssuedBefore {
				r.Value = ""
			}
			return r
		})
		same := func(a, b plugins.Revocation) bool {
			return a.Kind == b.Kind && a.Issuer == b.Issuer && a.Value == b.Value
		}
		s := NewSet()
		var model []plugins.Revocation
		// A list keeps an entry by kind, issuer and value, as the store does.
		add := func(r plugins.Revocation) {
			i := slices.IndexFunc(model, func(m plugins.Revocation) bool { return same(m, r) })
			if i < 0 {
				model = append(model, r)
				return
			}
			m := &model[i]
			m.ID = r.ID
			if r.IssuedBefore.After(m.IssuedBefore) {
				m.IssuedBefore = r.IssuedBefore
			}
			if m.ExpiresAt.IsZero() || r.ExpiresAt.IsZero() {
				m.ExpiresAt = time.Time{}
			} else if r.ExpiresAt.After(m.ExpiresAt) {
				m.ExpiresAt = r.ExpiresAt
			}
		}
		fresh := func(r plugins.Revocation) bool {
			return !slices.ContainsFunc(model, func(m plugins.Revocation) bool { return m.ID == r.ID })
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				r := record.Filter(fresh).Draw(t, "record")
				s.Add(r)
				add(r)
			},
			"remove": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("nothing to remove")
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "i")
				if !s.Remove(model[i].ID) {
					t.Fatalf("Remove(%+v) = false", model[i])
				}
				model = slices.Delete(model, i, i+1)
			},
			"replace": func(t *rapid.T) {
				all := rapid.SliceOfNDistinct(record, 0, 5, func(r plugins.Revocation) string { return r.ID }).Draw(t, "all")
				s.Replace(all)
				model = nil
				for _, r := range all {
					add(r)
				}
			},
			"sweep": func(t *rapid.T) {
				now := base.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "now")) * time.Minute)
				before := len(model)
				model = slices.DeleteFunc(model, func(r plugins.Revocation) bool { return !r.ExpiresAt.IsZero() && !r.ExpiresAt.After(now) })
				if got, want := s.Sweep(now), before-len(model); got != want {
					t.Fatalf("Sweep = %d, want %d", got, want)
				}
			},
			"": func(t *rapid.T) {
				if got := s.Len(); got != len(model) {
					t.Fatalf("Len = %d, want %d", got, len(model))
				}
				for _, issuer := range names {
					for _, jti := range names {
						for _, sub := range names {
							for _, iat := range []time.Time{{}, base, base.Add(2 * time.Second), base.Add(4 * time.Second)} {
								want := slices.ContainsFunc(model, func(r plugins.Revocation) bool {
									if r.Issuer != "" && r.Issuer != issuer {
										return false
									}
									switch r.Kind {
									case plugins.RevokeTokenID:
										return jti != "" && r.Value == jti
									case plugins.RevokeSubject:
										return sub != "" && r.Value == sub && !iat.After(r.IssuedBefore)
									default:
										return !iat.After(r.IssuedBefore)
									}
								})
								if got := s.Revoked(issuer, jti, sub, iat); got != want {
									t.Fatalf("Revoked(%q, %q, %q, %v) = %t, want %t with %+v", issuer, jti, sub, iat, got, want, model)
								}
							}
						}
					}
				}
			},
		})
	})
}

// Readers never miss an entry that is there all the time, whatever happens to
// others.
func TestConcurrentReadersAndWriters(t *testing.T) {
	s := NewSet()
	fixed := token("fixed", "main", "fixed")
	s.Add(fixed)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for i := range 300 {
				r := token(fmt.Sprint(w, "-", i), "main", fmt.Sprint(w, "-", i))
				r.ExpiresAt = base
				s.Add(r)
				if !s.Revoked("main", r.Value, "", base) {
					// Another writer's Replace or Sweep may have taken it, so this is no error; the
					// race detector is what watches here.
					continue
				}
				switch i % 10 {
				case 0:
					s.Remove(r.ID)
				case 5:
					s.Sweep(base)
				case 7:
					if err := s.Load(func() ([]plugins.Revocation, error) { return []plugins.Revocation{fixed}, nil }); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if !s.Revoked("main", "fixed", "u", base) {
					t.Error("the fixed entry was missed")
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func BenchmarkRevoked(b *testing.B) {
	full := NewSet()
	full.Replace(many(100_000))
	for _, c := range []struct {
		name string
		set  *Set
		jti  string
		want bool
	}{
		{"empty", NewSet(), "jti-absent", false},
		{"100k absent", full, "jti-absent", false},
		{"100k present", full, "jti-77777", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.set.Revoked("main", c.jti, "user-1", base) != c.want {
					b.Fatal("wrong answer")
				}
			}
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	s := NewSet()
	s.Replace(many(100_000))
	b.ReportAllocs()
	for b.Loop() {
		s.Add(token("x", "main", "jti-55555"))
	}
}

func BenchmarkReplace(b *testing.B) {
	all := many(100_000)
	b.ReportAllocs()
	for b.Loop() {
		NewSet().Replace(all)
	}
}

func TestRevokedAllocatesNothing(t *testing.T) {
	s := NewSet()
	s.Replace(many(1000))
	if got := testing.AllocsPerRun(100, func() { s.Revoked("main", "jti-absent", "user-1", base) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
