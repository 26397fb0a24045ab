package ratelimit

import "time"

// Row is the limit's state at a debt, which is the time until the bucket is full: 0 for a
// full bucket, Horizon for an empty one, and up to twice Horizon for one that Adjust has
// charged past empty. It is not for strict limits.
func (l Limit) Row(debt time.Duration) Row {
	interval := l.Interval()
	row := Row{Limit: l}
	row.SetDebt(debt, interval, time.Duration(l.Burst)*interval)
	return row
}

// SetDebt sets Remaining, ResetAfter and NextAfter from the debt of a bucket. Interval and
// horizon are those of the row's limit.
func (r *Row) SetDebt(debt, interval, horizon time.Duration) {
	debt = min(max(debt, 0), 2*horizon)
	r.Remaining = max(0, int64((horizon-debt)/interval))
	r.ResetAfter = debt
	r.NextAfter = 0
	if left := r.Limit.Burst - r.Remaining; left > 0 {
		r.NextAfter = debt - time.Duration(left-1)*interval
	}
}

// Age updates a row by the time that passed since it was made. The limit must bring back
// one unit in each interval, and nothing must have been charged in between. RetryAfter
// stays as it is.
func (r *Row) Age(passed, interval time.Duration) {
	if r.NextAfter == 0 || passed <= 0 {
		return
	}
	r.ResetAfter = max(0, r.ResetAfter-passed)
	if passed >= r.NextAfter {
		units := 1 + int64((passed-r.NextAfter)/interval)
		r.NextAfter += time.Duration(min(units, r.Limit.Burst)) * interval
		r.Remaining = min(r.Limit.Burst, r.Remaining+units)
	}
	r.NextAfter -= passed
	if r.Remaining == r.Limit.Burst {
		r.NextAfter, r.ResetAfter = 0, 0
		return
	}
	r.NextAfter = max(1, r.NextAfter)
	r.ResetAfter = max(r.ResetAfter, r.NextAfter)
}

// Decide makes the decision of rows. It is allowed if no row has a RetryAfter. Otherwise
// its wait is the longest of them, where never is the longest.
func Decide(rows []Row) Decision {
	var d Decision
	d.Settle(rows)
	return d
}

// Settle sets the decision to what Decide returns, without copying it.
func (d *Decision) Settle(rows []Row) {
	d.Rows = rows
	d.Blocking = -1
	d.RetryAfter = 0
	for i := range rows {
		retry := rows[i].RetryAfter
		if retry == 0 || d.RetryAfter < 0 || retry > 0 && retry <= d.RetryAfter {
			continue
		}
		d.RetryAfter, d.Blocking = retry, i
	}
	d.Allowed = d.Blocking < 0
}

// CheckLimits checks the limits of a Take: one to MaxLimits valid ones with different
// states. It allocates only for the error, which wraps ErrLimit.
func CheckLimits(limits []Limit) error {
	if len(limits) == 0 || len(limits) > MaxLimits {
		return Limit{}.errorf("a decision is about 1 to %d limits, got %d", MaxLimits, len(limits))
	}
	for i := range limits {
		if err := limits[i].Validate(); err != nil {
			return err
		}
		for j := range i {
			if limits[i].SameState(limits[j]) {
				return limits[i].errorf("two limits over %s in one decision", FormatDuration(limits[i].Period))
			}
		}
	}
	return nil
}
