package apikey

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// bulk answers from the store, as one question.
func (f *fixture) bulk(asked *int) func(context.Context, [][]byte) ([]plugins.APIKey, error) {
	return func(ctx context.Context, hashes [][]byte) ([]plugins.APIKey, error) {
		*asked++
		var keys []plugins.APIKey
		for _, hash := range hashes {
			key, err := f.store.KeyByHash(ctx, hash)
			switch {
			case err == nil:
				keys = append(keys, key)
			case !errors.Is(err, ErrUnknown):
				return nil, err
			}
		}
		return keys, nil
	}
}

// Keys are made, which the node hears of as a change by itself, and used; then the
// store dies. They go on working for five minutes.
func TestStoreDiesSoonAfterAChange(t *testing.T) {
	f := newFixture(t, nil)
	one, two := mustGenerate(t, true), mustGenerate(t, true)
	f.add(t, one, 2, nil)
	f.add(t, two, 2, nil)
	f.wantGood(t, one)
	f.wantGood(t, two)
	f.Suspect()
	asked := 0
	if err := f.Confirm(t.Context(), f.bulk(&asked)); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("%d questions, want 1 for both keys", asked)
	}
	before := f.store.lookups.Load()
	f.wantGood(t, one)
	f.wantLookups(t, before)
	f.store.fail(errDown)
	f.advance(5*time.Minute - 1)
	f.wantGood(t, one)
	f.wantGood(t, two)
	f.advance(1)
	f.wantUnavailable(t, one)
}

// Between hearing of a change and reading what it was nobody is served from before:
// the change may have been a revocation.
func TestSuspectIsServedToNobody(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	key := f.add(t, value, 2, nil)
	f.wantGood(t, value)
	key.RevokedAt = testNow
	f.store.put(key)
	f.store.fail(errDown)
	f.Suspect()
	f.wantUnavailable(t, value)
	asked := 0
	if err := f.Confirm(t.Context(), f.bulk(&asked)); err == nil {
		t.Error("no error of a store that fails")
	}
	f.wantUnavailable(t, value)
	f.store.fail(nil)
	if err := f.Confirm(t.Context(), f.bulk(&asked)); err != nil {
		t.Fatal(err)
	}
	f.store.fail(errDown)
	f.wantDenied(t, value, plugins.ReasonKeyRevoked)
}

func TestConfirmReadsWhatChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*testing.T, *fixture, plugins.APIKey)
		check  func(*testing.T, *fixture, string)
	}{
		{"revoked", func(_ *testing.T, f *fixture, key plugins.APIKey) {
			key.RevokedAt = testNow
			f.store.put(key)
		}, func(t *testing.T, f *fixture, value string) { f.wantDenied(t, value, plugins.ReasonKeyRevoked) }},
		{"another tier", func(_ *testing.T, f *fixture, key plugins.APIKey) {
			key.Tier = "enterprise"
			f.store.put(key)
		}, func(t *testing.T, f *fixture, value string) {
			if got := f.wantGood(t, value).Tier; got != "enterprise" {
				t.Errorf("tier = %q, want the new one", got)
			}
		}},
		{
			"gone", func(_ *testing.T, f *fixture, key plugins.APIKey) { f.store.remove(key) },
			func(t *testing.T, f *fixture, value string) { f.wantUnavailable(t, value) },
		},
		{"another pepper", func(_ *testing.T, f *fixture, key plugins.APIKey) {
			key.PepperVersion = 1
			f.store.put(key)
		}, func(t *testing.T, f *fixture, value string) { f.wantUnavailable(t, value) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, nil)
			value := mustGenerate(t, true)
			key := f.add(t, value, 2, nil)
			f.wantGood(t, value)
			c.change(t, f, key)
			f.Suspect()
			asked := 0
			if err := f.Confirm(t.Context(), f.bulk(&asked)); err != nil {
				t.Fatal(err)
			}
			f.store.fail(errDown)
			c.check(t, f, value)
		})
	}
}

// A key that nobody has used for five minutes is not read again at each change.
func TestConfirmForgetsWhatIsNotUsed(t *testing.T) {
	f := newFixture(t, nil)
	used, idle := mustGenerate(t, true), mustGenerate(t, true)
	f.add(t, used, 2, nil)
	f.add(t, idle, 2, nil)
	f.wantGood(t, idle)
	f.advance(5*time.Minute + time.Second)
	f.wantGood(t, used)
	f.Suspect()
	asked := 0
	before := f.store.lookups.Load()
	if err := f.Confirm(t.Context(), f.bulk(&asked)); err != nil {
		t.Fatal(err)
	}
	f.wantLookups(t, before+1)
	if got := f.Stats().Entries; got != 1 {
		t.Errorf("%d entries are kept, want the one that is used", got)
	}
}

// The answer to a question from before an invalidation is not kept.
func TestInvalidateOvertakesConfirm(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	key := f.add(t, value, 2, nil)
	f.wantGood(t, value)
	f.Suspect()
	rounds := 0
	read := f.bulk(&rounds)
	err := f.Confirm(t.Context(), func(ctx context.Context, hashes [][]byte) ([]plugins.APIKey, error) {
		keys, err := read(ctx, hashes)
		if rounds == 1 {
			key.RevokedAt = testNow
			f.store.put(key)
			f.Invalidate("another")
		}
		return keys, err
	})
	if err != nil || rounds != 2 {
		t.Fatalf("err = %v after %d rounds, want it to ask again once", err, rounds)
	}
	f.wantDenied(t, value, plugins.ReasonKeyRevoked)

	f.Suspect()
	err = f.Confirm(t.Context(), func(ctx context.Context, hashes [][]byte) ([]plugins.APIKey, error) {
		defer f.Invalidate("another")
		return read(ctx, hashes)
	})
	if err == nil {
		t.Error("no error where invalidations overtook each question")
	}
	f.store.fail(errDown)
	f.wantUnavailable(t, value)
}
