package ratelimit

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

func mustPolicy(t testing.TB, name string, limits ...string) *Policy {
	t.Helper()
	var parsed []Limit
	for _, s := range limits {
		parsed = append(parsed, MustParseLimit(s))
	}
	p, err := NewPolicy(name, parsed, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSetHeaders(t *testing.T) {
	free := mustPolicy(t, "free", "60/1m")
	pro := mustPolicy(t, "pro", "300/1m burst 20", "100000/1d", "10/1d window strict")
	for _, tc := range []struct {
		name     string
		policy   *Policy
		decision Decision
		mode     HeaderMode
		want     map[string]string
	}{
		{
			"first request of the free tier", free,
			Decision{Allowed: true, Blocking: -1, Rows: []Row{
				{Limit: free.Limits[0], Remaining: 59, ResetAfter: time.Second, NextAfter: time.Second},
			}},
			HeadersAll,
			map[string]string{
				HeaderPolicy:    `"free";q=60;w=60`,
				HeaderRateLimit: `"free";r=59;t=1`,
				HeaderLimit:     "60", HeaderRemaining: "59", HeaderReset: "1",
			},
		},
		{
			"refused: the next unit, the full bucket and the wait", free,
			Decision{RetryAfter: 400 * time.Millisecond, Blocking: 0, Rows: []Row{
				{Limit: free.Limits[0], ResetAfter: 59400 * time.Millisecond, NextAfter: 400 * time.Millisecond, RetryAfter: 400 * time.Millisecond},
			}},
			HeadersAll,
			map[string]string{
				HeaderPolicy:    `"free";q=60;w=60`,
				HeaderRateLimit: `"free";r=0;t=1`,
				HeaderLimit:     "60", HeaderRemaining: "0", HeaderReset: "60", HeaderRetryAfter: "1",
			},
		},
		{
			"allowed: the limit with the smallest share", pro,
			Decision{Allowed: true, Blocking: -1, Rows: []Row{
				{Limit: pro.Limits[0], Remaining: 19, ResetAfter: 200 * time.Millisecond, NextAfter: 200 * time.Millisecond},
				{Limit: pro.Limits[1], Remaining: 500, ResetAfter: 23 * time.Hour, NextAfter: time.Millisecond},
				{Limit: pro.Limits[2], Remaining: 9, ResetAfter: 24 * time.Hour, NextAfter: 24 * time.Hour},
			}},
			HeadersAll,
			map[string]string{
				HeaderPolicy:    `"pro";q=300;w=60, "pro-1d";q=100000;w=86400, "pro-1d-strict";q=10;w=86400`,
				HeaderRateLimit: `"pro";r=19;t=1, "pro-1d";r=500;t=1, "pro-1d-strict";r=9;t=86400`,
				HeaderLimit:     "100000", HeaderRemaining: "500", HeaderReset: "82800",
			},
		},
		{
			"refused: the limit that blocks", pro,
			Decision{RetryAfter: time.Hour, Blocking: 1, Rows: []Row{
				{Limit: pro.Limits[0]}, {Limit: pro.Limits[1], Remaining: 3, ResetAfter: time.Hour, NextAfter: time.Minute}, {Limit: pro.Limits[2], Remaining: 1},
			}},
			HeadersAll,
			map[string]string{
				HeaderPolicy:    `"pro";q=300;w=60, "pro-1d";q=100000;w=86400, "pro-1d-strict";q=10;w=86400`,
				HeaderRateLimit: `"pro";r=0;t=0, "pro-1d";r=3;t=60, "pro-1d-strict";r=1;t=0`,
				HeaderLimit:     "100000", HeaderRemaining: "3", HeaderReset: "3600", HeaderRetryAfter: "3600",
			},
		},
		{
			"only retry_after", free,
			Decision{RetryAfter: 2*time.Second + 1, Blocking: 0, Rows: []Row{{Limit: free.Limits[0]}}},
			HeadersRetryAfter,
			map[string]string{HeaderRetryAfter: "3"},
		},
		{
			"only retry_after, allowed", free,
			Decision{Allowed: true, Blocking: -1, Rows: []Row{{Limit: free.Limits[0]}}},
			HeadersRetryAfter,
			map[string]string{},
		},
		{
			"never: waiting does not help", free,
			Decision{RetryAfter: -1, Blocking: 0, Rows: []Row{{Limit: free.Limits[0], RetryAfter: -1}}},
			HeadersRetryAfter,
			map[string]string{},
		},
		{
			"none", free,
			Decision{RetryAfter: time.Second, Blocking: 0, Rows: []Row{{Limit: free.Limits[0]}}},
			HeadersNone,
			map[string]string{},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			SetHeaders(h, tc.policy, &tc.decision, tc.mode)
			got := map[string]string{}
			for name, values := range h {
				if len(values) != 1 {
					t.Errorf("%s has %d values", name, len(values))
				}
				if http.CanonicalHeaderKey(name) != name {
					t.Errorf("%s is not canonical", name)
				}
				got[name] = values[0]
			}
			if !maps.Equal(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

func TestSetHeadersReplacesAndSharesNothing(t *testing.T) {
	p := mustPolicy(t, "free", "60/1m")
	d := Decision{Allowed: true, Blocking: -1, Rows: []Row{{Limit: p.Limits[0], Remaining: 59}}}
	h := http.Header{HeaderLimit: {"5000", "6000"}}
	SetHeaders(h, p, &d, HeadersAll)
	if got := h.Values(HeaderLimit); len(got) != 1 || got[0] != "60" {
		t.Errorf("got %v, want [60]", got)
	}
	h[HeaderPolicy][0] = "changed in place"
	h.Add(HeaderRateLimit, "more")
	other := http.Header{}
	SetHeaders(other, p, &d, HeadersAll)
	if got := other.Get(HeaderPolicy); got != `"free";q=60;w=60` {
		t.Errorf("another response got %q", got)
	}
	if got := h.Get(HeaderLimit); got != "60" {
		t.Errorf("adding to one header changed another to %q", got)
	}
	RemoveHeaders(h)
	if len(h) != 0 {
		t.Errorf("left %v", h)
	}
}

// TestRemoveHeaders has the dialects of other gateways and APIs, and names that
// only look like one.
func TestRemoveHeaders(t *testing.T) {
	for _, name := range []string{
		"RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
		"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Used", "X-RateLimit-Resource",
		"X-RateLimit-Reset-After", "X-RateLimit-Bucket", "X-RateLimit-Scope", "X-RateLimit-Global", "X-RateLimit-Policy",
		"X-RateLimit-Limit-Second", "X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Hour",
		"X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Tokens", "X-RateLimit-Reset-Tokens",
		"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "X-Rate-Limit", "Rate-Limit-Remaining",
	} {
		for _, spelled := range []string{http.CanonicalHeaderKey(name), name, strings.ToLower(name)} {
			h := http.Header{spelled: {"1"}, "Content-Type": {"text/plain"}}
			RemoveHeaders(h)
			if len(h) != 1 || h.Get("Content-Type") == "" {
				t.Errorf("%s: left %v", spelled, h)
			}
		}
	}
	for _, name := range []string{
		"Retry-After", "X-Retry-After", "R", "X-", "X-R", "X-Rate", "X-Rate-", "Rate", "Rate-", "Ratelimi", "Ratelimits", "X-Ratelimited", "Rating", "X-Rate-Limits-Page",
		"X-Rate-Card", "Referrer-Policy", "X-Corporate-Limit", "Exchange-Rate-Limit",
	} {
		h := http.Header{name: {"1"}}
		RemoveHeaders(h)
		if len(h) != 1 {
			t.Errorf("%s was removed: it is no rate-limit header", name)
		}
	}
}

func TestPolicyNamesAreDistinctAndQuoted(t *testing.T) {
	p := mustPolicy(t, "a\"b\\c\nö", "60/1m", "5/500ms", "100/1h30m", "5/1m window strict")
	want := `"a\"b\\c__";q=60;w=60, "a\"b\\c__-500ms";q=5, "a\"b\\c__-1h30m";q=100;w=5400, "a\"b\\c__-1m";q=5;w=60`
	if p.header != want {
		t.Errorf("got  %s\nwant %s", p.header, want)
	}
	if got, want := p.MaxCost(), int64(5); got != want {
		t.Errorf("MaxCost() = %d, want %d", got, want)
	}
}

func TestNewPolicyRefuses(t *testing.T) {
	minute := MustParseLimit("60/1m")
	for _, tc := range []struct {
		name        string
		limits      []Limit
		concurrency int
		want        string
	}{
		{"pro", nil, 0, "needs a limit"},
		{"", []Limit{minute}, 0, "must have a name"},
		{"pro", []Limit{minute, MustParseLimit("300/1m")}, 0, "two limits over 1m"},
		{"pro", []Limit{{}}, 0, "count must be 1 or more"},
		{"pro", []Limit{minute}, -1, "concurrency must be"},
		{"pro", make([]Limit, MaxLimits+1), 0, "9 limits"},
	} {
		_, err := NewPolicy(tc.name, tc.limits, tc.concurrency)
		if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestDefaultTiers(t *testing.T) {
	want := []string{`"free";q=60;w=60`, `"pro";q=300;w=60`, `"enterprise";q=1000;w=60`}
	for i, tier := range DefaultTiers() {
		if tier.header != want[i] {
			t.Errorf("got %s, want %s", tier.header, want[i])
		}
	}
}

func TestHeaderModes(t *testing.T) {
	for _, mode := range []HeaderMode{HeadersAll, HeadersRetryAfter, HeadersNone} {
		if got, err := ParseHeaderMode(mode.String()); err != nil || got != mode {
			t.Errorf("%s: got %v, %v", mode, got, err)
		}
	}
	if _, err := ParseHeaderMode("some"); err == nil {
		t.Error("some: no error")
	}
}

func BenchmarkSetHeaders(b *testing.B) {
	p := mustPolicy(b, "free", "60/1m")
	d := Decision{Allowed: true, Blocking: -1, Rows: []Row{{Limit: p.Limits[0], Remaining: 59, ResetAfter: time.Second, NextAfter: time.Second}}}
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		SetHeaders(h, p, &d, HeadersAll)
	}
}

// What a limit tolerates is told in no header, not even when it is all that is left.
func TestToleranceIsNotTold(t *testing.T) {
	p, err := NewPolicy("free", []Limit{MustParseLimit("60/1m tolerance 1")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name            string
		left            int64
		remaining, rate string
	}{
		{"after the first", 60, "59", `"free";r=59;t=1`},
		{"the last that is told of", 2, "1", `"free";r=1;t=1`},
		{"only what is tolerated is left", 1, "0", `"free";r=0;t=1`},
		{"nothing is left", 0, "0", `"free";r=0;t=1`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			d := Decision{Allowed: true, Blocking: -1, Rows: []Row{{Limit: p.Limits[0], Remaining: tc.left, NextAfter: time.Second, ResetAfter: time.Minute}}}
			SetHeaders(h, p, &d, HeadersAll)
			got := [4]string{h[HeaderPolicy][0], h[HeaderLimit][0], h[HeaderRemaining][0], h[HeaderRateLimit][0]}
			if want := [4]string{`"free";q=60;w=60`, "60", tc.remaining, tc.rate}; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
