package ratelimit

import "time"

// Preview turns a decision about cost 0 into the decision of a Take of cost at the same
// moment, without a charge. It is exact, with one exception: if a strict limit lacks more
// than one unit, its wait is the time until the limit is full.
func (d *Decision) Preview(cost int64) {
	for i := range d.Rows {
		row := &d.Rows[i]
		interval := row.Limit.Interval()
		horizon := time.Duration(row.Limit.Burst) * interval
		row.RetryAfter = 0
		switch {
		case cost > row.Limit.Burst:
			row.RetryAfter = -1
		case row.Limit.Strict:
			if cost > row.Remaining {
				row.RetryAfter = row.ResetAfter
				if cost == row.Remaining+1 {
					row.RetryAfter = row.NextAfter
				}
			}
		default:
			row.RetryAfter = max(0, row.ResetAfter+time.Duration(cost)*interval-horizon)
		}
	}
	d.Settle(d.Rows)
	if !d.Allowed || cost == 0 {
		return
	}
	for i := range d.Rows {
		row := &d.Rows[i]
		if !row.Limit.Strict {
			interval := row.Limit.Interval()
			row.SetDebt(row.ResetAfter+time.Duration(cost)*interval, interval, time.Duration(row.Limit.Burst)*interval)
			continue
		}
		row.Remaining -= cost
		row.ResetAfter = row.Limit.Period
		if row.NextAfter == 0 {
			row.NextAfter = row.Limit.Period
		}
	}
}
