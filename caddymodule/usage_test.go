package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// usageOf asks the admin API what is left, and prints each row as
// `zone name limit remaining`.
func usageOf(t testing.TB, c *caddyharness.Caddy, path string) []string {
	t.Helper()
	got := admin(t, c, http.MethodGet, path, "")
	if got.Status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, got.Status, got.Body)
	}
	return rowsOf(t, got.Body)
}

func rowsOf(t testing.TB, body string) []string {
	t.Helper()
	var rows []struct {
		Zone, Name, By, Limit string
		Remaining, Reset      *int64
	}
	if err := json.Unmarshal([]byte(body), &rows); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, r := range rows {
		if r.Remaining == nil || r.Reset == nil || *r.Reset < 0 {
			t.Errorf("a row without remaining or reset in %s", body)
			continue
		}
		list = append(list, fmt.Sprintf("%s %s %s %d", r.Zone, r.Name, r.Limit, *r.Remaining))
	}
	return list
}

func wantRows(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUsage(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(`
		tier free 10/1h
		tier pro {
			limit 20/1h
			limit 100/1d
			concurrency 5
		}`), `
	gateway_errors
	gateway_auth {
		optional
	}
	handle /search {
		gateway_limit {
			zone search
			limit 3/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /each {
		gateway_limit {
			zone each
			limit 7/1h
			by credential
		}
		reverse_proxy $UPSTREAM
	}
	handle /address {
		gateway_limit {
			zone address
			limit 7/1h
			by ip
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		gateway_limit
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1","tier":"pro"`)
	for range 3 {
		for _, path := range []string{"/", "/search", "/each", "/address"} {
			if got := c.Get(path, "X-API-Key", key.APIKey); got.Status != 200 {
				t.Fatalf("%s: got %d", path, got.Status)
			}
		}
	}
	used := []string{
		"default pro 20/1h 17", "default pro-1d 100/1d 97", "default pro concurrency 5 5",
		"each each 7/1h 4", "each pro concurrency 5 5", "search search 3/1h 0", "search pro concurrency 5 5",
	}
	// It charges nothing, however often it is asked.
	for range 3 {
		wantRows(t, usageOf(t, c, "/gateway/usage/u1"), used...)
	}
	wantRows(t, usageOf(t, c, "/gateway/limits/search/u1"), used[5:]...)
	wantRows(t, usageOf(t, c, "/gateway/limits/default/u1"), used[:3]...)
	wantRows(t, usageOf(t, c, "/gateway/usage/nobody"), "default free 10/1h 10", "search search 3/1h 3")
	wantLimited(t, c.Get("/search", "X-API-Key", key.APIKey))

	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if got := admin(t, c, method, "/gateway/limits/nowhere/u1", ""); got.Status != 404 || detail(t, got.Body) != "no zone nowhere: use one of address, default, each, search" {
			t.Errorf("%s: got %d %s", method, got.Status, got.Body)
		}
	}

	// A reset is of one zone and one owner, and holds for the next request.
	other := createKey(t, c, `"owner":"u2"`).APIKey
	c.Get("/search", "X-API-Key", other)
	reset := admin(t, c, http.MethodDelete, "/gateway/limits/search/u1", "")
	wantRows(t, rowsOf(t, reset.Body), "search search 3/1h 3", "search pro concurrency 5 5")
	wantRows(t, usageOf(t, c, "/gateway/limits/search/u2"), "search search 3/1h 2")
	wantRows(t, usageOf(t, c, "/gateway/limits/default/u1"), used[:3]...)
	if got := c.Get("/search", "X-API-Key", key.APIKey); got.Status != 200 {
		t.Errorf("after a reset: got %d, want 200", got.Status)
	}

	gateway := func(args ...string) string {
		t.Helper()
		out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin, "limit"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errOut)
		}
		return out
	}
	if out := gateway("show", "u1"); !strings.Contains(out, "ZONE") || !strings.Contains(out, "100/1d") {
		t.Errorf("got %s", out)
	}
	wantRows(t, rowsOf(t, gateway("show", "u1", "--zone", "default", "--json")), used[:3]...)
	wantRows(t, rowsOf(t, gateway("reset", "u1", "--json")),
		"default pro 20/1h 20", "default pro-1d 100/1d 100", "default pro concurrency 5 5", "each each 7/1h 7", "each pro concurrency 5 5", "search search 3/1h 3", "search pro concurrency 5 5")
	if _, errOut, err := command(t, "gateway", "--address", c.Admin, "limit", "show", "u1", "--zone", "x"); err == nil || !strings.Contains(errOut, "no zone x") {
		t.Errorf("got %v %s", err, errOut)
	}
	// Names with anything in them are names.
	wantRows(t, rowsOf(t, gateway("show", "a/b ?%", "--zone", "search", "--json")), "search search 3/1h 3")
}

// Limits that hold for another credential of the owner are reset too.
func TestResetOfEveryLimit(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 2/1h\n tier pro 3/1h burst 5"), `
	gateway_errors
	gateway_auth
	gateway_limit
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	free, pro := bearer(t), bearer(t, "tier", "pro")
	own := createKey(t, c, `"owner":"u1","limits":["1/1h"]`).APIKey
	statuses := func() string {
		var list []int
		for range 2 {
			list = append(list, c.Get("/", "Authorization", free).Status)
		}
		for range 5 {
			list = append(list, c.Get("/", "Authorization", pro).Status)
		}
		return fmt.Sprint(append(list, c.Get("/", "X-API-Key", own).Status))
	}
	want := "[200 200 200 200 200 200 200 200]"
	if got := statuses(); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if got := statuses(); got != strings.ReplaceAll(want, "200", "429") {
		t.Errorf("got %s, want all of them refused", got)
	}
	if got := admin(t, c, http.MethodDelete, "/gateway/limits/default/u1", ""); got.Status != 200 {
		t.Fatal(got.Body)
	}
	if got := statuses(); got != want {
		t.Errorf("after a reset: got %s, want %s", got, want)
	}
}
