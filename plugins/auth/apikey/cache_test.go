package apikey

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

var errDown = errors.New("store is down")

func TestCacheAges(t *testing.T) {
	cases := []struct {
		name          string
		config        CacheConfig
		ttl, negative time.Duration
	}{
		{"default", CacheConfig{}, 30 * time.Second, 10 * time.Second},
		{"shorter", CacheConfig{TTL: 5 * time.Second, NegativeTTL: 2 * time.Second}, 5 * time.Second, 2 * time.Second},
		{"never longer", CacheConfig{TTL: time.Hour, NegativeTTL: time.Hour}, 30 * time.Second, 10 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, func(config *Config) { config.Cache = c.config })
			value := mustGenerate(t, true)
			f.add(t, value, 2, nil)
			f.wantGood(t, value)
			f.advance(c.ttl - 1)
			f.wantGood(t, value)
			f.wantLookups(t, 1)
			f.advance(1)
			f.wantGood(t, value)
			f.wantLookups(t, 2)
			f.wantGood(t, value)
			f.wantLookups(t, 2)

			f = newFixture(t, func(config *Config) { config.Cache = c.config })
			f.wantDenied(t, value, plugins.ReasonKeyUnknown)
			f.wantLookups(t, 2) // one for each pepper
			f.advance(c.negative - 1)
			f.wantDenied(t, value, plugins.ReasonKeyUnknown)
			f.wantLookups(t, 2)
			f.advance(1)
			f.wantDenied(t, value, plugins.ReasonKeyUnknown)
			f.wantLookups(t, 4)
		})
	}
}

// Above all the sizes: without one the library below does not bound anything.
func TestCacheDefaults(t *testing.T) {
	defaults := CacheConfig{TTL: 30 * time.Second, NegativeTTL: 10 * time.Second, StaleTTL: 5 * time.Minute, Size: 100_000, NegativeSize: 10_000, Timeout: time.Second}
	own := CacheConfig{TTL: 1, NegativeTTL: 2, StaleTTL: 3, Size: 4, NegativeSize: 5, Timeout: 6}
	for _, c := range []struct {
		name         string
		config, want CacheConfig
	}{
		{"zero", CacheConfig{}, defaults},
		{"negative", CacheConfig{TTL: -1, NegativeTTL: -1, StaleTTL: -1, Size: -1, NegativeSize: -1, Timeout: -1}, defaults},
		{"own", own, own},
	} {
		if got := c.config.withDefaults(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	f := newFixture(t, func(config *Config) { config.Cache = CacheConfig{Size: 4, NegativeSize: 5} })
	if got := f.cache.known.(otterMap[*entry]).m.GetMaximum(); got != 4 {
		t.Errorf("at most %d records, want 4", got)
	}
	if got := f.cache.unknown.(otterMap[int64]).m.GetMaximum(); got != 5 {
		t.Errorf("at most %d unknown keys, want 5", got)
	}
}

// A clock that is set back must not make records live longer.
func TestCacheDistrustsAClockSetBack(t *testing.T) {
	f := newFixture(t, nil)
	value, unknown := mustGenerate(t, true), mustGenerate(t, true)
	f.add(t, value, 2, nil)
	f.wantGood(t, value)
	f.wantDenied(t, unknown, plugins.ReasonKeyUnknown)
	f.wantLookups(t, 3)
	f.advance(-time.Hour)
	f.wantGood(t, value)
	f.wantDenied(t, unknown, plugins.ReasonKeyUnknown)
	f.wantLookups(t, 6)

	// Nor may a record from the future stand in for a store that fails.
	f.store.fail(errDown)
	f.advance(time.Minute)
	f.wantGood(t, value)
	f.advance(-time.Hour)
	f.wantUnavailable(t, value)
	f.wantUnavailable(t, value)
}

// keepsNothing is a full cache of keys that are used more than the new one.
type keepsNothing[V any] struct{ bounded[V] }

func (keepsNothing[V]) set(Hash, V) {}

// A record that the cache has no room for is not looked up again and again.
func TestLookupThatIsNotKept(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	f.add(t, value, 2, nil)
	f.cache.known = keepsNothing[*entry]{f.cache.known}
	f.wantGood(t, value)
	f.wantLookups(t, 1)
	if got := f.Stats().Lookups; got != 1 {
		t.Errorf("%d look-ups counted, want 1", got)
	}
}

// A dry run tells what would be and is no use of the key.
func TestDryRunIsNoUse(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	key := f.add(t, value, 2, nil)
	dry := auth.Credential{Source: auth.FromKeyHeader, Value: value, DryRun: true}
	if p, denial, err := f.Authenticate(t.Context(), dry); p == nil {
		t.Fatalf("got %+v, %v", denial, err)
	}
	if _, used := f.usedAt(key.ID); used {
		t.Error("it is told as a use")
	}
	f.wantGood(t, value)
	if _, used := f.usedAt(key.ID); !used {
		t.Error("the use after it is not told")
	}
	if got := f.Stats().Hits; got != 1 {
		t.Errorf("%d hits counted, want 1", got)
	}
}

// What another request found meanwhile is not looked up.
func TestLookFindsWhatCameMeanwhile(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	f.add(t, value, 2, nil)
	f.wantGood(t, value)
	e, err := f.cache.look(t.Context(), f.peppers.Sum(value), f.now.Load(), func(context.Context) (*entry, error) {
		t.Error("looked up")
		return nil, nil
	})
	if e == nil || err != nil {
		t.Errorf("got %v, %v, want the record", e, err)
	}
}

// A look-up that was overtaken ends without taking the place of the one that
// overtook it.
func TestOvertakenLookupLeavesTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		value := mustGenerate(t, true)
		f.add(t, value, 2, nil)
		releases := []chan struct{}{make(chan struct{}), make(chan struct{})}
		var began atomic.Int64
		f.store.before = func(context.Context, Hash) {
			if n := began.Add(1); n <= 2 {
				<-releases[n-1]
			}
		}
		var group sync.WaitGroup
		ask := func() {
			group.Go(func() {
				if p, denial, err := f.ask(value); p == nil {
					t.Errorf("got %+v, %v", denial, err)
				}
			})
			synctest.Wait()
		}
		ask()
		f.Invalidate()
		ask() // asks anew
		close(releases[0])
		synctest.Wait()
		ask()
		close(releases[1])
		group.Wait()
		f.wantLookups(t, 2)
	})
}

// What is known is not remembered as unknown too.
func TestKnownIsNotUnknown(t *testing.T) {
	f := newFixture(t, nil)
	value, other := mustGenerate(t, true), mustGenerate(t, true)
	f.wantDenied(t, value, plugins.ReasonKeyUnknown)
	f.add(t, value, 2, nil)
	f.advance(maxNegativeTTL)
	f.wantGood(t, value)
	if got := f.Stats(); got.Entries != 1 || got.Unknown != 0 {
		t.Errorf("Stats = %+v, want one entry alone", got)
	}
	// A purge forgets what was unknown too.
	f.wantDenied(t, other, plugins.ReasonKeyUnknown)
	f.add(t, other, 2, nil)
	f.Purge()
	f.wantGood(t, other)
}

func TestInvalidateActsAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	value, other, later := mustGenerate(t, true), mustGenerate(t, true), mustGenerate(t, true)
	key := f.add(t, value, 2, nil)
	f.add(t, other, 2, nil)
	f.wantGood(t, value)
	f.wantGood(t, other)
	f.wantDenied(t, later, plugins.ReasonKeyUnknown)
	f.wantLookups(t, 4)

	key.RevokedAt = testNow
	f.store.put(key)
	f.Invalidate(key.ID)
	f.wantDenied(t, value, plugins.ReasonKeyRevoked)
	f.wantLookups(t, 5)
	f.wantGood(t, other)
	f.wantLookups(t, 5)

	// Made after it was unknown.
	f.add(t, later, 2, nil)
	f.Invalidate()
	f.wantGood(t, later)

	f.store.remove(key)
	f.Purge()
	f.wantDenied(t, value, plugins.ReasonKeyUnknown)
	if got := f.Stats(); got.Entries != 0 || got.Unknown != 1 {
		t.Errorf("Stats = %+v after a purge and one unknown key", got)
	}
}

// The worst moment: the look-up has read the good record, and before it is cached
// the key is revoked.
func TestInvalidateOvertakesALookup(t *testing.T) {
	for _, how := range []string{"Invalidate", "Purge"} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t, nil)
			value := mustGenerate(t, true)
			key := f.add(t, value, 2, nil)
			var once sync.Once
			f.store.before = func(context.Context, Hash) {
				once.Do(func() {
					revoked := key
					revoked.RevokedAt = testNow
					f.store.put(revoked)
					if how == "Purge" {
						f.Purge()
					} else {
						f.Invalidate(key.ID)
					}
				})
			}
			f.wantDenied(t, value, plugins.ReasonKeyRevoked)
			f.wantDenied(t, value, plugins.ReasonKeyRevoked)
			f.wantLookups(t, 2)
		})
	}
}

// A request that comes after the revocation does not wait for the answer of a
// look-up from before.
func TestNobodyJoinsAnOvertakenLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		value := mustGenerate(t, true)
		key := f.add(t, value, 2, nil)
		release := make(chan struct{})
		var first atomic.Bool
		f.store.before = func(context.Context, Hash) {
			if first.CompareAndSwap(false, true) {
				<-release
			}
		}
		done := make(chan *plugins.Denial)
		go func() {
			_, denial, _ := f.ask(value)
			done <- denial
		}()
		synctest.Wait()
		key.RevokedAt = testNow
		f.store.put(key)
		f.Invalidate(key.ID)
		f.wantDenied(t, value, plugins.ReasonKeyRevoked)
		close(release)
		if denial := <-done; denial == nil || denial.Reason != plugins.ReasonKeyRevoked {
			t.Errorf("the overtaken request got %+v, want a denial", denial)
		}
		f.wantDenied(t, value, plugins.ReasonKeyRevoked)
	})
}

// A store that changes all the time must not keep a request for ever, nor may the
// old answer be kept.
func TestLookupOvertakenAgainAndAgainEnds(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	f.add(t, value, 2, nil)
	f.store.before = func(context.Context, Hash) { f.Invalidate() }
	f.wantGood(t, value)
	f.wantLookups(t, 4)
	if got := f.Stats().Entries; got != 0 {
		t.Errorf("%d entries, want none of an overtaken look-up", got)
	}
}

func TestRequestsShareALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		value := mustGenerate(t, true)
		f.add(t, value, 2, nil)
		release := make(chan struct{})
		f.store.before = func(context.Context, Hash) { <-release }
		var good atomic.Int64
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if p, _, _ := f.ask(value); p != nil {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		close(release)
		group.Wait()
		f.wantLookups(t, 1)
		if got := good.Load(); got != 50 {
			t.Errorf("%d of 50 requests were let in", got)
		}
	})
}

// The client that happened to ask first goes away; the others get their answer.
func TestClientThatLeavesDoesNotEndTheLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		value := mustGenerate(t, true)
		f.add(t, value, 2, nil)
		release := make(chan struct{})
		f.store.before = func(context.Context, Hash) { <-release }
		leaving, leave := context.WithCancel(t.Context())
		ask := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, _, err := f.Authenticate(ctx, auth.Credential{Source: auth.FromKeyHeader, Value: value})
				done <- err
			}()
			synctest.Wait()
			return done
		}
		first := ask(leaving)
		staying := ask(t.Context())
		also, alsoLeave := context.WithCancel(t.Context())
		joined := ask(also)
		leave()
		alsoLeave()
		var unavailable *plugins.Unavailable
		if err := <-joined; !errors.As(err, &unavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("the request that joined and left got %v", err)
		}
		close(release)
		if err := <-staying; err != nil {
			t.Errorf("the request that stayed got %v", err)
		}
		if err := <-first; err != nil {
			t.Errorf("the request that asked got %v", err)
		}
		f.wantLookups(t, 1)
	})
}

func TestHangingStoreIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.store.before = func(ctx context.Context, _ Hash) { <-ctx.Done() }
		begin := time.Now()
		f.wantUnavailable(t, mustGenerate(t, true))
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v, want the time-out of 1s", took)
		}
	})
}

func TestPanicInALookupFreesTheOthers(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	f.add(t, value, 2, nil)
	f.store.before = func(context.Context, Hash) { panic("boom") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_, _, _ = f.ask(value)
	}()
	f.store.before = nil
	f.wantGood(t, value)
}

func TestStoreDown(t *testing.T) {
	f := newFixture(t, func(config *Config) { config.Foreign = true })
	known, unknown, never := mustGenerate(t, true), mustGenerate(t, true), mustGenerate(t, true)
	f.add(t, known, 2, func(k *plugins.APIKey) { k.ExpiresAt = testNow.Add(4 * time.Minute) })
	long := mustGenerate(t, true)
	f.add(t, long, 2, nil)
	f.wantGood(t, known)
	f.wantGood(t, long)
	f.wantDenied(t, unknown, plugins.ReasonKeyUnknown)
	f.store.fail(errDown)
	before := f.store.lookups.Load()

	// Nothing is different while the cache is fresh.
	f.advance(5 * time.Second)
	f.wantGood(t, known)
	f.wantDenied(t, unknown, plugins.ReasonKeyUnknown)
	f.wantLookups(t, before)

	// What nobody has seen can't be told: not a no.
	f.wantUnavailable(t, never)
	_, _, err := f.Authenticate(t.Context(), auth.Credential{Source: auth.FromAuthorization, Value: "could-be-an-imported-key"})
	var unavailable *plugins.Unavailable
	if !errors.As(err, &unavailable) || !errors.Is(err, errDown) {
		t.Errorf("err = %v, want Unavailable by %v", err, errDown)
	}
	f.advance(5 * time.Second)
	f.wantUnavailable(t, unknown)

	// A stale record is served, and the store asked once a second and no more.
	f.advance(20 * time.Second)
	before = f.store.lookups.Load()
	for range 10 {
		f.wantGood(t, known)
	}
	f.wantLookups(t, before+1)
	f.advance(time.Second)
	f.wantGood(t, known)
	f.wantLookups(t, before+2)
	if got := f.Stats().Stale; got != 11 {
		t.Errorf("%d stale answers counted, want 11", got)
	}

	// Its own end still holds, and so does the end of staleness, counted from when
	// the record was read.
	f.now.Store(testNow.Add(4 * time.Minute).UnixNano())
	f.wantDenied(t, known, plugins.ReasonKeyExpired)
	f.now.Store(testNow.Add(5*time.Minute - 1).UnixNano())
	f.wantGood(t, long)
	f.advance(1)
	f.wantUnavailable(t, long)

	// Back again.
	f.store.fail(nil)
	f.wantGood(t, long)
	f.wantDenied(t, unknown, plugins.ReasonKeyUnknown)
}

// What was invalidated is not served stale, even if the look-up that fails began
// before.
func TestInvalidatedIsNeverServedStale(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	key := f.add(t, value, 2, nil)
	f.wantGood(t, value)
	f.store.fail(errDown)
	f.advance(time.Minute)
	f.store.before = func(context.Context, Hash) { f.Invalidate(key.ID) }
	before := f.store.lookups.Load()
	f.wantUnavailable(t, value)
	f.wantLookups(t, before+1) // a failing store is not asked again

	f.store.fail(nil)
	f.store.before = nil
	f.wantGood(t, value)
	f.store.fail(errDown)
	f.Purge()
	f.wantUnavailable(t, value)
}

// A record that is gone does not come back when the store fails.
func TestDeletedIsNeverServedStale(t *testing.T) {
	f := newFixture(t, nil)
	value := mustGenerate(t, true)
	key := f.add(t, value, 2, nil)
	f.wantGood(t, value)
	f.store.remove(key)
	f.advance(30 * time.Second)
	f.wantDenied(t, value, plugins.ReasonKeyUnknown)
	f.store.fail(errDown)
	f.wantDenied(t, value, plugins.ReasonKeyUnknown)
	f.advance(10 * time.Second)
	f.wantUnavailable(t, value)
}

// A flood of well-formed keys that nobody knows costs bounded memory and pushes no
// good key out.
func TestGarbagePushesOutNothing(t *testing.T) {
	f := newFixture(t, func(config *Config) { config.Cache = CacheConfig{Size: 100, NegativeSize: 100} })
	var good []string
	for range 50 {
		value := mustGenerate(t, true)
		f.add(t, value, 2, nil)
		f.wantGood(t, value)
		good = append(good, value)
	}
	for range 5000 {
		f.wantDenied(t, mustGenerate(t, true), plugins.ReasonKeyUnknown)
	}
	before := f.store.lookups.Load()
	for _, value := range good {
		f.wantGood(t, value)
	}
	f.wantLookups(t, before)
	known := f.cache.known.(otterMap[*entry])
	unknown := f.cache.unknown.(otterMap[int64])
	known.m.CleanUp()
	unknown.m.CleanUp()
	if got := f.Stats(); got.Entries != 50 || got.Unknown > 100 {
		t.Errorf("Stats = %+v, want 50 entries and at most 100 unknown", got)
	}
	if got := len(f.cache.flights); got != 0 {
		t.Errorf("%d look-ups are remembered as under way", got)
	}
}

// Under any interleaving: once Invalidate has returned after a revocation, nobody
// gets in.
func TestRevocationUnderLoad(t *testing.T) {
	f := newFixture(t, nil)
	stop := make(chan struct{})
	var group sync.WaitGroup
	var current atomic.Pointer[string]
	value := mustGenerate(t, true)
	current.Store(&value)
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _, _ = f.ask(*current.Load())
			}
		})
	}
	for range 200 {
		value := mustGenerate(t, true)
		key := f.add(t, value, 2, nil)
		f.Invalidate()
		current.Store(&value)
		f.wantGood(t, value)
		key.RevokedAt = testNow
		f.store.put(key)
		f.Invalidate(key.ID)
		for range 3 {
			f.wantDenied(t, value, plugins.ReasonKeyRevoked)
		}
	}
	close(stop)
	group.Wait()
}
