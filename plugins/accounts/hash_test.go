package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestHasher(t *testing.T) {
	h := NewHasher(HasherOptions{Cost: Cost{Time: 1, Memory: 64, Threads: 1}})
	password := plugins.NewSecret(goodPassword)
	hash, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash.Reveal(), "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("got %q", hash.Reveal())
	}
	again, err := h.Hash(t.Context(), password)
	if err != nil || again == hash {
		t.Errorf("two hashes of a password are the same: no salt; %v", err)
	}
	for _, tc := range []struct {
		name           string
		hash, password plugins.Secret
		want           bool
	}{
		{"right", hash, password, true},
		{"wrong", hash, plugins.NewSecret("x"), false},
		{"nobody", plugins.Secret{}, password, false},
		// By Caddy's `hash-password --algorithm argon2id`, for "antitiming".
		{"Caddy's own", plugins.NewSecret("$argon2id$v=19$m=47104,t=1,p=1$P2nzckEdTZ3bxCiBCkRTyA$xQL3Z32eo5jKl7u5tcIsnEKObYiyNZQQf5/4sAau6Pg"), plugins.NewSecret("antitiming"), true},
	} {
		got, err := h.Verify(t.Context(), tc.hash, tc.password)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %t, %v", tc.name, got, err)
		}
	}
	for _, broken := range []string{
		"x", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=16$m=64,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4000000000,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=1,p=1$$",
	} {
		if _, err := h.Verify(t.Context(), plugins.NewSecret(broken), password); !errors.Is(err, errHash) {
			t.Errorf("%s: got %v", broken, err)
		}
	}
}

// However many come, few are worked on and few wait; the others hear at once
// that it is too much.
func TestHasherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		working, most := 0, 0
		h := NewHasher(HasherOptions{Slots: 2, Queue: 10, Patience: 5 * time.Second, Derive: func(_, _ []byte, _, _ uint32, _ uint8, n uint32) []byte {
			mu.Lock()
			working++
			most = max(most, working)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			working--
			mu.Unlock()
			return make([]byte, n)
		}})
		start := time.Now()
		var done, busy, late int
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() {
				_, err := h.Verify(t.Context(), plugins.Secret{}, plugins.NewSecret("x"))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case !errors.Is(err, ErrBusy):
					t.Errorf("got %v", err)
				case time.Since(start) == 0:
					busy++
				default:
					late++
				}
			})
		}
		group.Wait()
		if most != 2 {
			t.Errorf("%d at once, want 2", most)
		}
		// Two at once, and those of the ten who waited that came within 5 seconds.
		if done < 10 || done > 12 || busy != 1000-12 || done+late != 12 {
			t.Errorf("%d were checked, %d sent away at once, %d after waiting", done, busy, late)
		}
	})
}

func TestHasherLetsGoOfWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := NewHasher(HasherOptions{Slots: 1, Derive: func(_, _ []byte, _, _ uint32, _ uint8, n uint32) []byte {
			<-release
			return make([]byte, n)
		}})
		go func() { _, _ = h.Hash(context.Background(), plugins.NewSecret("x")) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan error)
		go func() { _, err := h.Hash(ctx, plugins.NewSecret("x")); left <- err }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(release)
		synctest.Wait()
		if n := h.waiting.Load(); n != 0 || len(h.slots) != 0 {
			t.Errorf("%d wait and %d are worked on", n, len(h.slots))
		}
	})
}
