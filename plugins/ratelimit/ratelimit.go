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
}

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
	// RetryAfter is the time until the same cost can pass every limit; 0 where
	// allowed, -1 where it never can.
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
	// Take charges cost to every limit of the key, or to none of them if one refuses. Cost
	// 0 charges nothing; a negative cost gives back, never past full. Key, Period and
	// Strict identify the state of a limit. Count and Burst are parameters of the call, so
	// that a changed limit holds at once; the debt is then at most an empty bucket of the
	// new limit. Callers must therefore not alternate between two bursts over one period
	// with one key: the smaller one would forgive the debt of the larger one.
	// Rows of the decision are appended to rows[:0], so that a large enough slice avoids an
	// allocation.
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
