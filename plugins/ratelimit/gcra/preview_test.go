package gcra

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A look at the limits and what is worked out from it is what the charge then
// gets, and the look changes nothing.
func TestPreview(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Hour
		limiter := New(Options{Clock: func() time.Duration { return now }})
		defer func() { _ = limiter.Close() }()
		limits := []ratelimit.Limit{{Count: 10, Period: time.Minute, Burst: 10}}
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 1:
			limits = append(limits, ratelimit.Limit{Count: 30, Period: time.Hour, Burst: 40})
		case 2:
			limits = append(limits, ratelimit.Limit{Count: 12, Period: 2 * time.Minute, Burst: 12, Strict: true})
		}
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			now += time.Duration(rapid.IntRange(0, 20_000).Draw(t, "pause")) * time.Millisecond
			cost := rapid.Int64Range(0, 12).Draw(t, "cost")
			key := ratelimit.NewKey("z", ratelimit.KindOwner, "u")
			preview, err := limiter.Take(t.Context(), key, limits, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			preview.Preview(cost)
			got, err := limiter.Take(t.Context(), key, limits, cost, nil)
			if err != nil {
				t.Fatal(err)
			}
			if preview.Allowed != got.Allowed {
				t.Fatalf("cost %d: foreseen %+v, got %+v", cost, preview, got)
			}
			for i, want := range got.Rows {
				foreseen := preview.Rows[i]
				if want.Limit.Strict {
					// Its waits are upper bounds.
					if foreseen.RetryAfter < want.RetryAfter || (foreseen.RetryAfter > 0) != (want.RetryAfter > 0) {
						t.Fatalf("cost %d: foreseen a wait of %v, got %v", cost, foreseen.RetryAfter, want.RetryAfter)
					}
					foreseen.RetryAfter, foreseen.ResetAfter, foreseen.NextAfter = want.RetryAfter, want.ResetAfter, want.NextAfter
				}
				if foreseen != want {
					t.Fatalf("cost %d, limit %d: foreseen %+v, got %+v", cost, i, foreseen, want)
				}
			}
		}
	})
}
