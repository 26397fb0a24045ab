package decision

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)

func TestShadows(t *testing.T) {
	var s Shadows
	s.Add("gateway_auth", "no_credential", "/v1", 401, "r1", noon)
	s.Add("gateway_roles", "role_missing", "/v1", 403, "r2", noon.Add(time.Hour))
	s.Add("gateway_roles", "role_missing", "/v1", 403, "r3", noon.Add(3*time.Hour))
	now := noon.Add(3*time.Hour + time.Minute)

	rows, from := s.Report(time.Time{}, now)
	if len(rows) != 2 || !from.Equal(noon) {
		t.Fatalf("got %v from %v, want two rows from %v", rows, from, noon)
	}
	want := ShadowRow{"gateway_roles", "role_missing", "/v1", 403, 2, noon.Add(time.Hour), noon.Add(3 * time.Hour), "r3"}
	if rows[0] != want {
		t.Errorf("got %+v, want %+v", rows[0], want)
	}
	rows, from = s.Report(now.Add(-time.Hour), now)
	if len(rows) != 1 || rows[0].Count != 1 || !from.Equal(noon.Add(90*time.Minute)) {
		t.Errorf("the last hour: got %+v from %v, want one of one from 14:00", rows, from)
	}
	s.Reset(now)
	if rows, from = s.Report(time.Time{}, now); len(rows) != 0 || !from.Equal(now) {
		t.Errorf("after a reset: got %v from %v", rows, from)
	}
}

// The sum of any time is what was counted in its hours, whatever came when.
func TestShadowHours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Shadows
		at := noon
		var times []time.Time
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 100), 1, 40).Draw(t, "hours") {
			at = at.Add(time.Duration(step) * time.Hour)
			times = append(times, at)
			s.Add("p", "r", "/", 401, "", at)
		}
		now := at.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "later")) * time.Hour)
		since := now.Add(-time.Duration(rapid.IntRange(0, shadowHours-1).Draw(t, "since")) * time.Hour)
		want := uint64(0)
		for _, tm := range times {
			if hourOf(tm) >= hourOf(since) {
				want++
			}
		}
		rows, _ := s.Report(since, now)
		got := uint64(0)
		for _, row := range rows {
			got += row.Count
		}
		if got != want {
			t.Fatalf("since %v: got %d, want %d of %v", since, got, want, times)
		}
	})
}

// However many routes and reasons come, the table stays small and the sum right.
func TestShadowsAreBounded(t *testing.T) {
	var s Shadows
	const reasons, routes = 40, 200
	for reason := range reasons {
		for route := range routes {
			s.Add("p", strconv.Itoa(reason), "/"+strconv.Itoa(route), 401, "", noon)
		}
	}
	rows, _ := s.Report(time.Time{}, noon)
	if len(rows) > maxRows+reasons {
		t.Errorf("got %d rows", len(rows))
	}
	total, others := uint64(0), 0
	for _, row := range rows {
		total += row.Count
		if row.Route == OtherRoutes {
			others++
		}
	}
	if total != reasons*routes || others != reasons {
		t.Errorf("got a sum of %d with %d rows for others, want %d and %d", total, others, reasons*routes, reasons)
	}
}

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"/":                      "/",
		"":                       "/",
		"/v1":                    "/v1",
		"/v1/":                   "/v1",
		"/v1/users":              "/v1/users",
		"/v1/users/17":           "/v1/users/*",
		"/v1/users/17/x":         "/v1/users/*",
		"/users/17":              "/users/*",
		"/users/8c1f03ab/orders": "/users/*/*",
		"/users/2f1d7c4e-9d1b-4f0e-8a51-1f1c6a0b7a11": "/users/*",
		"/a b/c":           "/*/c",
		"//x":              "/*/x",
		"/oauth2/token":    "/oauth2/token",
		"/f/" + longWord(): "/f/*",
		"/\x00/\xff":       "/*/*",
	} {
		if got := Route(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func longWord() string { return "averyveryveryveryverylongwordwithoutanydigits" }
