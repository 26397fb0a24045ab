package ratelimit

import "time"

// Callers of one key that are refused together, the threads of one owner for
// instance, must not all come back for the same unit: one of them would get it,
// and the others would have waited for nothing. So each is told to come one
// interval later than the one before. What is kept for that is one time for each
// limit of a key, its last turn.
//
// A turn is advice. It holds no unit back, gives nobody more, and who comes
// earlier and finds a unit gets it. A caller that waits as it is told finds that no
// turn is left to come, so that a single one is told the same as without turns.

const (
	// SpreadTurns is how many turns there are at least, where MaxSpread has room for
	// them.
	SpreadTurns = 64
	// MaxSpread is by how much a turn may be later than the first unit. Limits that
	// take longer for one unit have no turns: all are told of the first unit.
	MaxSpread = 5 * time.Minute

	// turnGrain is by how much a caller may come before its turn and be in time: the
	// clocks of a limiter and of its store are not one.
	turnGrain = time.Millisecond
	// turnPatience is how long after its turn a caller may come: Retry-After is
	// rounded up to a second, and a request is on its way for a while.
	turnPatience = 2 * time.Second
)

// Spread is by how much the last turn may be later than the first unit, at the
// interval in which the limiter brings a unit back: one period or SpreadTurns
// intervals, whichever is longer, and MaxSpread at most.
func (l Limit) Spread(interval time.Duration) time.Duration {
	if interval > MaxSpread {
		return 0
	}
	return min(MaxSpread, max(l.Period, SpreadTurns*interval))
}

// Turn is when a caller that is refused at now should come back for cost units.
// They are free at ready if nobody else comes; last is the last turn that was
// given to somebody, any time in the past where there is none. The turn is from
// ready to the end of the spread, and within it never before last.
func (l Limit) Turn(last, now, ready time.Duration, cost int64, interval time.Duration) time.Duration {
	if !TurnAhead(last, now) {
		return ready
	}
	latest := ready + l.Spread(interval)
	if last > latest+time.Duration(l.Burst)*interval {
		// No cost can have had this turn: units came back, the limit was changed, or
		// the clock went back.
		return ready
	}
	return max(ready, min(latest, last+time.Duration(cost)*interval))
}

// TurnAhead reports whether a turn is still to come.
func TurnAhead(turn, now time.Duration) bool { return turn > now+turnGrain }

// TurnsUnused reports whether callers do not come at their turns, so that the
// turns up to last should be forgotten: when a charge of cost, of which the row is
// the outcome, found units that had been free for longer than it takes to come,
// and for a quarter of the time up to the last turn.
func (r *Row) TurnsUnused(last, now time.Duration, cost int64, interval time.Duration) bool {
	free := time.Duration(r.Remaining+cost-1) * interval
	return free > turnPatience && free >= (last-now)/4
}
