package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

func testConcurrency(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("no update is lost", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		key.Limits = nil
		create(t, s, key)
		const writers, each = 8, 10
		run(t, writers, func(w int) error {
			for range each {
				if _, err := s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error {
					k.Limits = append(k.Limits, fmt.Sprint(w))
					return nil
				}); err != nil {
					return err
				}
			}
			return nil
		})
		got, err := s.Key(ctx(), key.ID)
		must(t, err)
		wantEqual(t, "number of updates", len(got.Limits), writers*each)
	})

	t.Run("one rotation wins", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		create(t, s, key)
		won := succeed(t, 8, store.ErrConflict, func(int) error {
			return s.RotateKey(ctx(), key.ID, NewKey(t), base.Add(time.Hour))
		})
		wantEqual(t, "rotations that won", won, 1)
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "keys", len(all), 2)
	})

	t.Run("readers and writers", func(t *testing.T) {
		s := open(t)
		run(t, 8, func(w int) error {
			for range 10 {
				key, r := NewKey(t), NewRevocation(t)
				for _, err := range []error{
					s.CreateKey(ctx(), key), s.Revoke(ctx(), r),
					s.TouchKeys(ctx(), map[string]time.Time{key.ID: base.Add(time.Hour)}),
					s.AppendAudit(ctx(), store.AuditEntry{At: base, Action: "a"}),
				} {
					if err != nil {
						return err
					}
				}
				// A write is seen as soon as it is done.
				if _, err := s.KeyByHash(ctx(), key.Hash); err != nil {
					return err
				}
				if _, err := s.Revocations(ctx(), base); err != nil {
					return err
				}
			}
			return nil
		})
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "keys", len(all), 80)
	})
}

// succeed calls f n times at once and returns how often it succeeded. The other times
// its error must be this one.
func succeed(t *testing.T, n int, otherwise error, f func(i int) error) int {
	t.Helper()
	var succeeded atomic.Int64
	run(t, n, func(i int) error {
		err := f(i)
		if err == nil {
			succeeded.Add(1)
			return nil
		}
		return expect(err, otherwise)
	})
	return int(succeeded.Load())
}

func run(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
