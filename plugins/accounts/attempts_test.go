package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// The default of gateway_accounts.
var fiveAMinute = Rate{Count: 5, Period: time.Minute, Burst: 5}

func newLimited(t testing.TB) *bench {
	t.Helper()
	b := newBench()
	b.register(t, "victim@example.com")
	b.LoginLimit = fiveAMinute
	b.pass(time.Hour)
	return b
}

// wantIn checks that the right password gets in.
func (b *bench) wantIn(t testing.TB, what, network string) {
	t.Helper()
	grant, refusal, err := b.tryFrom(t, network, "victim@example.com", goodPassword)
	if grant == nil || refusal != nil || err != nil {
		t.Errorf("%s: got %+v, %v, want a token", what, refusal, err)
	}
}

// guess tries a wrong password and reports whether it was looked at.
func (b *bench) guess(t testing.TB, network string) bool {
	t.Helper()
	hashes := b.hashes.Load()
	grant, refusal, err := b.tryFrom(t, network, "victim@example.com", "Wrong1234")
	if grant != nil || refusal == nil || err != nil {
		t.Fatalf("a guess: got %+v, %+v, %v", grant, refusal, err)
	}
	looked := b.hashes.Load() != hashes
	if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[looked]; refusal.Denial.Status != want {
		t.Fatalf("a guess: got %d, hashed %t", refusal.Denial.Status, looked)
	}
	return looked
}

// Issue 11: at the default, one wrong log-in a second from one address kept the victim
// out from every address.
func TestOneAddressDoesNotLockAnAccount(t *testing.T) {
	b := newLimited(t)
	for second := range 100 {
		b.guess(t, "203.0.113.66")
		if second%10 == 9 {
			b.wantIn(t, fmt.Sprint("second ", second), fmt.Sprint("198.51.100.", second))
		}
		b.pass(time.Second)
	}
}

func TestManyAddressesDoNotLockAnAccount(t *testing.T) {
	b := newLimited(t)
	b.wantIn(t, "before", "192.0.2.1")
	b.guess(t, "192.0.2.1")
	for i := range 1000 {
		b.guess(t, fmt.Sprintf("2001:db8:%x::/64", i))
		b.guess(t, fmt.Sprintf("2001:db8:%x::/64", i))
	}
	b.wantIn(t, "an address that has not failed", "198.51.100.1")
	b.wantIn(t, "an address that has failed, from which the password was right before", "192.0.2.1")
	// An address that has failed and never was right is one among the attacker's.
	if b.guess(t, "198.51.100.2"); b.guess(t, "198.51.100.2") {
		t.Error("an address that has failed goes past what all such share")
	}
	b.pass(15 * time.Second)
	b.wantIn(t, "when some of it has come back", "198.51.100.2")
}

func TestOneAddressIsBounded(t *testing.T) {
	b := newLimited(t)
	looked := 0
	for range 3600 {
		if b.guess(t, "203.0.113.66") {
			looked++
		}
		b.pass(time.Second)
	}
	if looked < 300 || looked > 305 {
		t.Errorf("%d guesses in an hour, want 5 a minute and 5 at once", looked)
	}
	// It is over the limit at other accounts too, and its right password is not looked
	// at either.
	for b.guess(t, "203.0.113.66") {
	}
	_, refusal, err := b.tryFrom(t, "203.0.113.66", "other@example.com", "x")
	wantNo(t, "another account", refusal, err, http.StatusTooManyRequests, plugins.ReasonLoginLimited)
	_, refusal, err = b.tryFrom(t, "203.0.113.66", "victim@example.com", goodPassword)
	wantNo(t, "the right password", refusal, err, http.StatusTooManyRequests, plugins.ReasonLoginLimited)
	if wait := refusal.Denial.RetryAfter; wait <= 0 || wait > 12*time.Second {
		t.Errorf("got %s to wait, want up to 12s", wait)
	}
}

// What many addresses can guess of one account in an hour: once for each, and 20 a
// minute.
func TestOneAccountIsBounded(t *testing.T) {
	b := newLimited(t)
	const addresses = 500
	looked, next := 0, 0
	for range 3600 {
		for range 50 {
			if b.guess(t, fmt.Sprint("203.0.", next/100, ".", next%100)) {
				looked++
			}
			next = (next + 1) % addresses
		}
		b.pass(time.Second)
	}
	t.Logf("%d guesses in an hour from %d addresses", looked, addresses)
	if most := addresses + 20*60 + 20; looked > most {
		t.Errorf("%d guesses in an hour, want %d at most", looked, most)
	}
	if looked < addresses+19*60 {
		t.Errorf("%d guesses: the test does not reach the bound", looked)
	}
}

// Log-ins cost nothing of the limit, however many come from one address.
func TestRightPasswordsDoNotCount(t *testing.T) {
	b := newLimited(t)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { b.wantIn(t, "one of many at once", "192.0.2.1") })
	}
	group.Wait()
	b.guess(t, "192.0.2.7")
	failures := b.counts["account victim@example.com"]
	for range 50 {
		b.wantIn(t, "after a failure", "192.0.2.7")
	}
	if got := b.counts["account victim@example.com"]; !got.Equal(failures) {
		t.Errorf("right passwords were charged to the account: %s, want %s", got, failures)
	}
	if len(b.turns.each) != 0 {
		t.Errorf("%d addresses are remembered", len(b.turns.each))
	}
}

// Guesses that come at once are no more than those that come one by one.
func TestGuessesAtOnce(t *testing.T) {
	b := newLimited(t)
	hashes := b.hashes.Load()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			_, _, _ = b.LogIn(context.Background(), Origin{Network: "203.0.113.66"}, body(t, `{"username":"victim@example.com","password":"x"}`))
		})
	}
	group.Wait()
	if got := b.hashes.Load() - hashes; got != 5 {
		t.Errorf("%d passwords were looked at, want 5", got)
	}
}

// Where the address is not known, there is only the account to count by.
func TestLogInLimitWithoutAddress(t *testing.T) {
	b := newLimited(t)
	for i := range 7 {
		if looked := b.guess(t, ""); looked != (i < 5) {
			t.Errorf("guess %d: looked at: %t", i+1, looked)
		}
	}
	if _, refusal, err := b.tryFrom(t, "", "other@example.com", "x"); err != nil || refusal.Denial.Status != http.StatusUnauthorized {
		t.Errorf("another account: got %+v, %v", refusal, err)
	}
	b.wantIn(t, "an address", "192.0.2.1")
}

func TestLogInLimitOff(t *testing.T) {
	b := newLimited(t)
	b.LoginLimit = Rate{}
	for range 50 {
		if !b.guess(t, "203.0.113.66") {
			t.Fatal("refused")
		}
	}
	if _, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"a@example.com","password":"SecurePass123!"}`)); refusal != nil || err != nil {
		t.Errorf("registering: %+v, %v", refusal, err)
	}
}

func TestChangePasswordIsLimited(t *testing.T) {
	b := newLimited(t)
	_, p := b.logIn(t, "victim@example.com")
	from := Origin{Address: "203.0.113.66", Network: "203.0.113.66"}
	for i := range 6 {
		_, refusal, err := b.ChangePassword(t.Context(), from, p.Principal, body(t, `{"current_password":"x","new_password":"AnotherPass456"}`))
		want, reason := http.StatusUnauthorized, plugins.ReasonLoginFailed
		if i == 5 {
			want, reason = http.StatusTooManyRequests, plugins.ReasonLoginLimited
		}
		wantNo(t, fmt.Sprint("attempt ", i+1), refusal, err, want, reason)
	}
	if grant, refusal, err := b.ChangePassword(t.Context(), here, p.Principal, body(t, `{"current_password":"`+goodPassword+`","new_password":"AnotherPass456"}`)); grant == nil {
		t.Errorf("the owner: got %+v, %v", refusal, err)
	}
}

func TestRegistrationsAreLimited(t *testing.T) {
	b := newLimited(t)
	for i := range 6 {
		_, refusal, err := b.Register(t.Context(), here, body(t, fmt.Sprintf(`{"email":"u%d@example.com","password":"SecurePass123!"}`, i)))
		if i < 5 && (refusal != nil || err != nil) {
			t.Errorf("registration %d: got %+v, %v", i+1, refusal, err)
		}
		if i == 5 {
			wantNo(t, "the sixth", refusal, err, http.StatusTooManyRequests, plugins.ReasonLoginLimited)
		}
	}
}

// failingThrottle can't count from the given charge on.
type failingThrottle struct {
	Throttle
	from, calls int
}

func (f *failingThrottle) Take(ctx context.Context, kind, subject string, rate Rate, cost int64) (Count, error) {
	if f.calls++; f.calls >= f.from {
		return Count{}, errors.New("gone")
	}
	return f.Throttle.Take(ctx, kind, subject, rate, cost)
}

// A guess that can't be counted is not answered: could not check is never no.
func TestLogInWithoutLimiter(t *testing.T) {
	for from := 1; from <= 7; from++ {
		b := newLimited(t)
		b.guess(t, "203.0.113.66")
		b.Config.Throttle = &failingThrottle{Throttle: b, from: from}
		_, refusal, err := b.tryFrom(t, "203.0.113.66", "victim@example.com", "x")
		if unavailable, ok := errors.AsType[*plugins.Unavailable](err); refusal != nil || !ok || unavailable.Reason != plugins.ReasonLimiterUnavailable {
			t.Errorf("from question %d on: got %+v, %v", from, refusal, err)
		}
	}
	// The right password gets in though it can't be noted.
	b := newLimited(t)
	b.Config.Throttle = &failingThrottle{Throttle: b, from: 4}
	b.wantIn(t, "the right password", "192.0.2.1")
}

// The attempts of one address wait for each other, those of others do not wait for
// them.
func TestAttemptsOfOneAddressTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLimited(t)
		hold := make(chan struct{})
		var working atomic.Int64
		b.Config.Hasher = NewHasher(HasherOptions{Slots: 8, Derive: func(_, _ []byte, _, _ uint32, _ uint8, n uint32) []byte {
			working.Add(1)
			<-hold
			return make([]byte, n)
		}})
		var group sync.WaitGroup
		var busy, denied atomic.Int64
		ask := func(network string) {
			group.Go(func() {
				_, refusal, err := b.tryFrom(t, network, "victim@example.com", "x")
				unavailable, _ := errors.AsType[*plugins.Unavailable](err)
				switch {
				case unavailable != nil && unavailable.Reason == plugins.ReasonPasswordsBusy:
					busy.Add(1)
				case err == nil && refusal != nil:
					denied.Add(1)
				default:
					t.Errorf("got %+v, %v", refusal, err)
				}
			})
		}
		for range maxWaiting + 11 {
			ask("203.0.113.66")
		}
		ask("198.51.100.1")
		synctest.Wait()
		if working.Load() != 2 || busy.Load() != 10 {
			t.Errorf("%d at work, %d sent away, want 2 and 10", working.Load(), busy.Load())
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if busy.Load() != maxWaiting+10 {
			t.Errorf("%d sent away after their patience, want %d", busy.Load(), maxWaiting+10)
		}
		close(hold)
		group.Wait()
		if denied.Load() != 2 || len(b.turns.each) != 0 {
			t.Errorf("%d refused, %d addresses remembered", denied.Load(), len(b.turns.each))
		}
	})
}

func TestRateOfAccount(t *testing.T) {
	for _, tc := range []struct{ of, want Rate }{
		{fiveAMinute, Rate{Count: 20, Period: time.Minute, Burst: 20}},
		{Rate{Count: 5, Period: time.Minute, Burst: 1}, Rate{Count: 20, Period: time.Minute, Burst: 4}},
		{Rate{Count: 2, Period: time.Hour, Burst: 2, Strict: true}, Rate{Count: 8, Period: time.Hour, Burst: 8, Strict: true}},
		{Rate{Count: 1000, Period: time.Millisecond, Burst: 1}, Rate{Count: 1000, Period: time.Millisecond, Burst: 1}},
	} {
		if got := tc.of.ofAccount(); got != tc.want {
			t.Errorf("%+v: got %+v, want %+v", tc.of, got, tc.want)
		}
	}
}
