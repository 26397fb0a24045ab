package ratelimit

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseLimit(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Limit
		back string
	}{
		{"60/1m", Limit{Count: 60, Period: time.Minute, Burst: 60}, "60/1m"},
		{"300/1m burst 300", Limit{Count: 300, Period: time.Minute, Burst: 300}, "300/1m"},
		{"10/1s burst 20", Limit{Count: 10, Period: time.Second, Burst: 20}, "10/1s burst 20"},
		{"60/1m burst 1", Limit{Count: 60, Period: time.Minute, Burst: 1}, "60/1m burst 1"},
		{"100000/1d", Limit{Count: 100000, Period: 24 * time.Hour, Burst: 100000}, "100000/1d"},
		{"1000000/30d", Limit{Count: 1000000, Period: 720 * time.Hour, Burst: 1000000}, "1000000/30d"},
		{"5/1h30m", Limit{Count: 5, Period: 90 * time.Minute, Burst: 5}, "5/1h30m"},
		{"5/90m", Limit{Count: 5, Period: 90 * time.Minute, Burst: 5}, "5/1h30m"},
		{"5/1.5d", Limit{Count: 5, Period: 36 * time.Hour, Burst: 5}, "5/1d12h"},
		{"5/1d12h", Limit{Count: 5, Period: 36 * time.Hour, Burst: 5}, "5/1d12h"},
		{"5/500ms", Limit{Count: 5, Period: 500 * time.Millisecond, Burst: 5}, "5/500ms"},
		{"5/90.5s", Limit{Count: 5, Period: 90500 * time.Millisecond, Burst: 5}, "5/1m30.5s"},
		{"60/1m window strict", Limit{Count: 60, Period: time.Minute, Burst: 60, Strict: true}, "60/1m window strict"},
		{"60/1m window strict burst 60", Limit{Count: 60, Period: time.Minute, Burst: 60, Strict: true}, "60/1m window strict"},
		{"60/1m tolerance 1", Limit{Count: 61, Period: time.Minute, Burst: 61, Tolerance: 1}, "60/1m tolerance 1"},
		{"60/1m tolerance 2 burst 10", Limit{Count: 62, Period: time.Minute, Burst: 12, Tolerance: 2}, "60/1m burst 10 tolerance 2"},
		{"60/1m window strict tolerance 1", Limit{Count: 61, Period: time.Minute, Burst: 61, Strict: true, Tolerance: 1}, "60/1m window strict tolerance 1"},
		{"1000000/1s", Limit{Count: 1000000, Period: time.Second, Burst: 1000000}, "1000000/1s"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			got, err := ParseLimitString(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if got.String() != tc.back {
				t.Errorf("String() = %q, want %q", got.String(), tc.back)
			}
			if again, err := ParseLimitString(got.String()); err != nil || again != got {
				t.Errorf("reading %q back: got %+v, %v", got, again, err)
			}
		})
	}
}

func TestParseLimitRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "limit must be COUNT/DURATION, like 60/1m; got nothing"},
		{"word", "fast", `limit must be COUNT/DURATION, like 60/1m; got "fast"`},
		{"count only", "60", `limit must be COUNT/DURATION, like 60/1m; got "60"`},
		{"zero count", "0/1m", "whole number of 1 or more"},
		{"negative count", "-60/1m", "whole number of 1 or more"},
		{"signed count", "+60/1m", "whole number of 1 or more"},
		{"fraction of a count", "1.5/1m", "whole number of 1 or more"},
		{"exponent", "1e3/1m", "whole number of 1 or more"},
		{"not a number", "NaN/1m", "whole number of 1 or more"},
		{"infinite", "Inf/1m", "whole number of 1 or more"},
		{"hexadecimal", "0x10/1m", "whole number of 1 or more"},
		{"underscore", "1_000/1m", "whole number of 1 or more"},
		{"other digits", "٦٠/1m", "whole number of 1 or more"},
		{"count overflows", "9223372036854775808/1m", "whole number of 1 or more"},
		{"no duration", "60/", "the duration must be like"},
		{"bare unit", "60/m", "the duration needs a number"},
		{"word for a unit", "60/minute", "the duration needs a number"},
		{"zero duration", "60/0s", "the duration must be like"},
		{"negative duration", "60/-1m", "the duration needs a number"},
		{"hidden negative", "60/1d-1h", "the duration must be like"},
		{"NaN duration", "60/NaNs", "the duration needs a number"},
		{"infinite days", "60/Infd", "the duration needs a number"},
		{"no unit", "60/60", "the duration must be like"},
		{"unknown unit", "60/1w", "the duration must be like"},
		{"days after hours", "60/1h1d", "the duration must be like"},
		{"days twice", "60/1d1d", "the duration must be like"},
		{"overflowing days", "60/9999999999999d", "the duration must be like"},
		{"overflowing sum", "60/106751d24h", "the duration must be like"},
		{"two slashes", "60/1m/1h", "the duration must be like"},
		{"too short", "1/1us", "1ms or more"},
		{"part of a millisecond", "1/1.0005s", "whole number of milliseconds"},
		{"too long", "60/367d", "366d or less"},
		{"faster than the resolution", "2000000/1s", "more than one per microsecond"},
		{"burst without value", "60/1m burst", "burst needs a value"},
		{"zero burst", "60/1m burst 0", "burst must be a whole number"},
		{"negative burst", "60/1m burst -1", "burst must be a whole number"},
		{"burst overflows", "1/1d burst 9223372036854775807", "lower the burst"},
		{"burst that fills in centuries", "1/366d burst 11", "lower the burst"},
		{"burst twice", "60/1m burst 5 burst 5", "burst is given twice"},
		{"window twice", "60/1m window strict window strict", "window is given twice"},
		{"other window", "60/1m window fixed", "`window strict`"},
		{"window without value", "60/1m window", "window needs a value"},
		{"strict with burst", "60/1m burst 5 window strict", "no burst of its own"},
		{"strict too large", "4294967296/2d window strict", "4294967295 or less"},
		{"surplus", "60/1m please", "`burst COUNT` or `window strict`"},
		{"long", strings.Repeat("9", 1<<20), "characters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseLimitString(tc.text)
			if err == nil {
				t.Fatalf("got %+v, want an error", got)
			}
			if !errors.Is(err, ErrLimit) {
				t.Errorf("%v is no ErrLimit", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want it to say %q", err, tc.want)
			}
		})
	}
}

func TestIntervalIsNeverFasterThanAsked(t *testing.T) {
	for _, tc := range []struct {
		text string
		want time.Duration
	}{
		{"60/1m", time.Second},
		{"300/1m", 200 * time.Millisecond},
		{"1000/1m", 60 * time.Millisecond},
		{"7/1m", 8571428572},
		{"3/1s", 333333334},
		{"100000/1d", 864 * time.Millisecond},
		{"1000000/30d", 2592 * time.Millisecond},
	} {
		limit := MustParseLimit(tc.text)
		if got := limit.Interval(); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.text, got, tc.want)
		}
		if got := limit.Interval() * time.Duration(limit.Count); got < limit.Period {
			t.Errorf("%s: %d units pass in %s", tc.text, limit.Count, got)
		}
	}
}

func TestValidateRefusesWhatWasNotParsed(t *testing.T) {
	for name, limit := range map[string]Limit{
		"zero":           {},
		"no burst":       {Count: 1, Period: time.Second},
		"no period":      {Count: 1, Burst: 1},
		"negative":       {Count: -1, Period: time.Second, Burst: 1},
		"negative burst": {Count: 1, Period: time.Second, Burst: -1},
		"largest":        {Count: math.MaxInt64, Period: math.MaxInt64, Burst: math.MaxInt64},
	} {
		if err := limit.Validate(); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: got %v, want ErrLimit", name, err)
		}
	}
}

func FuzzParseLimit(f *testing.F) {
	for _, seed := range []string{"60/1m", "10/1s burst 20", "1/1d window strict", "9/1.5d", "0/0", "1/9223372036854775807ns", "1/1d burst 99999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := ParseLimitString(text)
		if err != nil {
			return
		}
		if limit.Interval() <= 0 || limit.Horizon() <= 0 || limit.Horizon() > MaxHorizon {
			t.Fatalf("%q: interval %d, horizon %d", text, limit.Interval(), limit.Horizon())
		}
		if again, err := ParseLimitString(limit.String()); err != nil || again != limit {
			t.Fatalf("%q: %q reads back as %+v, %v", text, limit, again, err)
		}
	})
}
