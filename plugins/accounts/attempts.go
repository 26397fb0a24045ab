package accounts

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Rate is how often something may happen: Count times in Period, Burst times at
// once. Strict is never more than Count in any Period.
type Rate struct {
	Count  int64
	Period time.Duration
	Burst  int64
	Strict bool
	// Tolerance is the part of Count and Burst that nobody is told of.
	Tolerance uint32
}

// Count is what a Throttle answers.
type Count struct {
	// Allowed tells whether the cost was charged.
	Allowed bool
	// Left is how many more of cost 1 could be charged now.
	Left int64
	// Wait is how long it takes until one more can be.
	Wait time.Duration
}

// Throttle counts attempts.
type Throttle interface {
	// Take charges cost to the count of a subject of this kind, or nothing if it does
	// not fit. Cost 0 reads the count, a negative cost gives back.
	Take(ctx context.Context, kind, subject string, rate Rate, cost int64) (Count, error)
}

// What a Throttle counts.
const (
	// ThrottleRegistration are the registrations of an address.
	ThrottleRegistration = "registration"
	// ThrottleAddress are the failed attempts of an address, at whichever account.
	ThrottleAddress = "address"
	// ThrottleAccount are the failed attempts at an account, by whichever address.
	ThrottleAccount = "account"
	// ThrottleFailed marks an address that has failed, ThrottleKnown an account and an
	// address from which its password was right.
	ThrottleFailed = "failed address"
	ThrottleKnown  = "known address"
)

// How guessing is bounded. Only failed attempts count, and a refusal is
// decided before the password is looked at:
//
//   - An address that has failed LoginLimit times is refused until some of it comes
//     back.
//   - An address that has not failed for a day is never refused, nor is one from which
//     the password of this account was right in the last month.
//   - All other addresses share accountFactor times LoginLimit at one account.
//
// So nobody can lock an account for addresses but their own. Of N addresses, an
// attacker has N guesses a day, and on top of them accountFactor times LoginLimit at
// each account, whatever N is.
const (
	accountFactor = 4
	failedFor     = 24 * time.Hour
	knownFor      = 30 * 24 * time.Hour
)

// once is the rate of a mark: after a charge nothing is left until it ends.
func once(lasts time.Duration) Rate { return Rate{Count: 1, Period: lasts, Burst: 1} }

// ofAccount is the limit that addresses which have failed share at one account. A limit
// that is too high to be multiplied bounds nothing anyway.
func (r Rate) ofAccount() Rate {
	if most := min(int64(r.Period/time.Microsecond), 1<<30); r.Count <= most/accountFactor {
		r.Count, r.Burst = accountFactor*r.Count, accountFactor*r.Burst
	}
	return r
}

// attempt is one try at the password of an account.
type attempt struct {
	*Service
	account string
	// address is the subject that the attempt is counted by, pair the account and the
	// address. Where no address is known, address is the account, and counts as one that
	// has failed.
	address, pair string
	unknown       bool
	// prepaid tells that the account's count has been charged already.
	prepaid bool
}

// try calls check with the password of an account unless there were too many failures,
// and counts a wrong one. The attempts of one address take turns, so that many at once
// can't get around the count or fill the queue of the hasher.
func (s *Service) try(ctx context.Context, o Origin, account string, check func() (right bool, err error)) (right bool, refusal *Refusal, err error) {
	if s.LoginLimit.Count == 0 {
		right, err = check()
		return right, nil, err
	}
	a := &attempt{Service: s, account: account, address: o.Network, pair: account + "\x00" + o.Network}
	if o.Network == "" {
		a.address, a.unknown = "\x00"+account, true
	}
	// An address that is over its limit does not wait for its turn.
	if refusal, err := a.exhausted(ctx); refusal != nil || err != nil {
		return false, refusal, err
	}
	done, err := s.turns.wait(ctx, a.address, s.Hasher.options.Patience)
	if err != nil {
		return false, nil, s.undecided(ctx, err)
	}
	defer done()
	if refusal, err := a.admit(ctx); refusal != nil || err != nil {
		return false, refusal, err
	}
	right, err = check()
	if err != nil || right {
		return right, nil, a.unfailed(ctx, err)
	}
	return false, nil, a.failed(ctx)
}

// take is Throttle.Take; the error is one to answer with.
func (s *Service) take(ctx context.Context, kind, subject string, rate Rate, cost int64) (Count, error) {
	c, err := s.Throttle.Take(ctx, kind, subject, rate, cost)
	if err != nil {
		return c, &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err}
	}
	return c, nil
}

// limited refuses an attempt.
func limited(kind string, wait time.Duration) *Refusal {
	r := refuse(http.StatusTooManyRequests, plugins.ReasonLoginLimited, "", "too many attempts by "+kind, "login_limit")
	r.Denial.RetryAfter = max(wait, time.Nanosecond)
	return r
}

// exhausted refuses an address that has failed too often.
func (a *attempt) exhausted(ctx context.Context) (*Refusal, error) {
	c, err := a.take(ctx, ThrottleAddress, a.address, a.LoginLimit, 0)
	if err != nil || c.Left > 0 {
		return nil, err
	}
	return limited(ThrottleAddress, c.Wait), nil
}

// admit decides whether the password may be looked at.
func (a *attempt) admit(ctx context.Context) (*Refusal, error) {
	if refusal, err := a.exhausted(ctx); refusal != nil || err != nil {
		return refusal, err
	}
	if !a.unknown {
		mark, err := a.take(ctx, ThrottleFailed, a.address, once(failedFor), 0)
		if err != nil || mark.Left > 0 {
			return nil, err
		}
		known, err := a.take(ctx, ThrottleKnown, a.pair, once(knownFor), 0)
		if err != nil || known.Left == 0 {
			return nil, err
		}
	}
	// Charged ahead and given back if the password is right: many addresses at once
	// can't look before each other's failures are counted.
	c, err := a.take(ctx, ThrottleAccount, a.account, a.LoginLimit.ofAccount(), 1)
	if err != nil || c.Allowed {
		a.prepaid = err == nil
		return nil, err
	}
	return limited(ThrottleAccount, c.Wait), nil
}

// failed counts a wrong password.
func (a *attempt) failed(ctx context.Context) error {
	// The caller may have gone to avoid it.
	ctx = context.WithoutCancel(ctx)
	_, err := a.take(ctx, ThrottleAddress, a.address, a.LoginLimit, 1)
	if err == nil && !a.unknown {
		_, err = a.take(ctx, ThrottleFailed, a.address, once(failedFor), 1)
	}
	if err == nil && !a.prepaid {
		_, err = a.take(ctx, ThrottleAccount, a.account, a.LoginLimit.ofAccount(), 1)
	}
	return err
}

// unfailed refunds an attempt that was charged ahead and ended with err, and marks the
// address if the password was right. A right password logs in even where the limiter
// can't note it.
func (a *attempt) unfailed(ctx context.Context, err error) error {
	ctx = context.WithoutCancel(ctx)
	if a.prepaid {
		_, _ = a.take(ctx, ThrottleAccount, a.account, a.LoginLimit.ofAccount(), -1)
	}
	if err == nil && !a.unknown {
		_, _ = a.take(ctx, ThrottleKnown, a.pair, once(knownFor), 1)
	}
	return err
}

// maxWaiting bounds the attempts of one address that wait for each other.
const maxWaiting = 64

// turns makes the attempts of one address wait for each other.
type turns struct {
	mu   sync.Mutex
	each map[string]*turn
}

// turn is the turn of one address. It exists while an attempt has it or waits for it.
type turn struct {
	taken   chan struct{}
	waiting int
}

// wait waits for the turn of an address, until done is called. Too many waiting, or
// too long a wait, is ErrBusy.
func (t *turns) wait(ctx context.Context, address string, patience time.Duration) (done func(), err error) {
	t.mu.Lock()
	mine := t.each[address]
	if mine == nil {
		mine = &turn{taken: make(chan struct{}, 1)}
		t.each[address] = mine
	}
	if mine.waiting > maxWaiting {
		t.mu.Unlock()
		return nil, ErrBusy
	}
	mine.waiting++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.each, address)
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case mine.taken <- struct{}{}:
		return func() { <-mine.taken; leave() }, nil
	case <-timer.C:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	leave()
	return nil, err
}
