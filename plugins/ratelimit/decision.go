package ratelimit

import "time"

// Row is the limit's state when the bucket lacks debt of being full: debt is in
// the time that filling takes, 0 for a full bucket and Horizon for an empty one.
// It is not for strict limits.
func (l Limit) Row(debt time.Duration) Row {
	interval := l.Interval()
	horizon := time.Duration(l.Burst) * interval
	debt = min(max(debt, 0), horizon)
	row := Row{Limit: l, Remaining: int64((horizon - debt) / interval), ResetAfter: debt}
	if row.Remaining < l.Burst {
		row.NextAfter = debt - time.Duration(l.Burst-row.Remaining-1)*interval
	}
	return row
}

// Decide sums up the rows of a decision: it is allowed where no row has a
// RetryAfter, and else the wait is the longest of them, with never the longest
// of all.
func Decide(rows []Row) Decision {
	d := Decision{Allowed: true, Blocking: -1, Rows: rows}
	for i, row := range rows {
		switch {
		case row.RetryAfter == 0 || d.RetryAfter < 0:
			continue
		case row.RetryAfter < 0 || row.RetryAfter > d.RetryAfter:
			d.RetryAfter, d.Blocking = row.RetryAfter, i
		}
		d.Allowed = false
	}
	return d
}

// CheckLimits says whether Take can be asked for the limits: one to MaxLimits
// valid ones that don't count in the same place. It allocates only for the
// error, which wraps ErrLimit.
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
