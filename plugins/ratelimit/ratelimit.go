// Package ratelimit limits the rate of callers. It stands after roles and before the
// proxy. It defines what a limit means; the packages below it keep the counts: gcra in
// memory, redisgcra in Redis.
package ratelimit

import (
	"context"
	"time"
)

// Limit admits Count requests per Period with bursts up to Burst, by GCRA: in
// any window W at most Burst + floor(Count/Period * W) are admitted.
type Limit struct {
	// Count per Period, 1 or more.
	Count int64
	// Period, a whole number of milliseconds, 1 or more.
	Period time.Duration
	// Burst is how many may come at once, 1 or more; Count unless given.
	Burst int64
	// Strict admits never more than Count in any window of Period.
	Strict bool
	// Tolerance is the part of Count and of Burst that clients are not told of, below
	// both: for clients that count for themselves and are off by as much.
	Tolerance uint32
}

// Told is Count and Burst as clients are told of them.
func (l Limit) Told() (count, burst int64) {
	return l.Count - int64(l.Tolerance), l.Burst - int64(l.Tolerance)
}

// Left is what is left of the limit as clients are told of it, of what is really left.
func (l Limit) Left(remaining int64) int64 { return max(0, remaining-int64(l.Tolerance)) }

// Key names the state of one caller in one zone. It is a hash: nothing of the
// caller can be read from it, and it is the same on every node.
type Key [16]byte

// Row is the state of one limit after a decision.
type Row struct {
	Limit Limit
	// Remaining is how many more of cost 1 could pass now, 0 or more.
	Remaining int64
	// ResetAfter is the time until Burst can pass at once again: Horizon for an empty
	// limit, up to twice that for one in debt.
	ResetAfter time.Duration
	// NextAfter is the time until Remaining is one more; 0 where it is Burst.
	NextAfter time.Duration
	// RetryAfter is the time until the refused cost can pass this limit; 0 where
	// this limit did not refuse, -1 where it never can (cost above Burst).
	RetryAfter time.Duration
}

// Decision is the answer to one Take.
type Decision struct {
	Allowed bool
	// RetryAfter is when the caller should come again: 0 where allowed, -1 where the
	// cost never can pass. It is the time until the same cost can pass every limit,
	// RetryAfter of the row that blocks, and later where others of the same key were
	// refused and told to come then: see Limit.Turn.
	RetryAfter time.Duration
	// Blocking is the index in Rows of the limit with the longest wait; -1 where
	// allowed.
	Blocking int
	// Rows has one element for each limit asked, in the same order.
	Rows []Row
	// Share is the part of each limit that the node granted alone, because the shared
	// counts did not answer. Remaining is then of that part. 0 means the whole limit.
	Share float64
}

// Limiter keeps the counts. Implementations are safe for concurrent use and pass
// the suite of package limitertest.
type Limiter interface {
	// Take charges cost to every limit of the key, or to none of them if one
	// refuses. Cost 0 looks and charges nothing; a negative cost gives back, never
	// past full. The state of a limit is named by key, Period and Strict: Count and
	// Burst are parameters of the call, so that a changed limit holds at once, and
	// no more is owed than an empty bucket of the new limit. Callers must therefore
	// not ask for two bursts over one period by turns with one key: the smaller one
	// would forgive what the larger one is owed.
	// A refusal gives the caller a turn, which is advice and holds nothing back. Cost 0
	// gives none.
	// Rows of the decision are appended to rows[:0], so that a caller who passes a
	// large enough slice allocates nothing.
	//
	// An error means that the limiter could not decide; it is never a denial.
	Take(ctx context.Context, key Key, limits []Limit, cost int64, rows []Row) (Decision, error)
	// Adjust corrects the charge of a request that passed, once its true cost is known. A
	// negative delta gives back, never past full. A positive one charges every limit, even
	// an empty one, which then has a debt: units come back only after it is paid off. The
	// debt is one burst at most, and the rest is forgiven, so that no caller waits longer
	// than two fillings. The decision is always allowed; its rows are the state after it.
	//
	// An error means that probably nothing was corrected.
	Adjust(ctx context.Context, key Key, limits []Limit, delta int64, rows []Row) (Decision, error)
	// Reset removes the key's state for the given limits. Other nodes may refuse for
	// another second.
	Reset(ctx context.Context, key Key, limits []Limit) error
}
