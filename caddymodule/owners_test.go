package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// shownLimit asks a path and returns the limit that the response tells.
func shownLimit(t testing.TB, c *caddyharness.Caddy, path string, headers ...string) string {
	t.Helper()
	got := c.Get(path, headers...)
	if got.Status != 200 {
		t.Fatalf("%s: got %d %s", path, got.Status, got.Body)
	}
	return got.Header.Get("X-RateLimit-Limit")
}

// Limits are those of the first that has some: the key, the owner, the route,
// the tier.
func TestPrecedenceOfLimits(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(`
		tier free 10/1h
		tier pro 11/1h
		owner limited {
			limit 20/1h
		}
		owner promoted {
			tier pro
		}
		owner both {
			tier pro
			limit 21/1h
		}`), `
	gateway_errors
	gateway_auth
	handle /route {
		gateway_limit {
			limit 30/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		gateway_limit
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	for _, tc := range []struct {
		owner       string
		tier, route string
		userTier    string
	}{
		{"nobody", "10", "30", "free"},
		{"limited", "20", "20", "free"},
		{"promoted", "11", "30", "pro"},
		{"both", "21", "21", "pro"},
	} {
		own := createKey(t, c, `"owner":"`+tc.owner+`","limits":["40/1h"]`).APIKey
		plain := createKey(t, c, `"owner":"`+tc.owner+`"`).APIKey
		token := []string{"Authorization", bearer(t, "sub", tc.owner)}
		for name, headers := range map[string][]string{"token": token, "key": {"X-API-Key", plain}} {
			if got := shownLimit(t, c, "/", headers...); got != tc.tier {
				t.Errorf("%s by %s: got %s, want %s", tc.owner, name, got, tc.tier)
			}
			if got := up.last().Header.Get("X-User-Tier"); got != tc.userTier {
				t.Errorf("%s by %s: the upstream is told the tier %s, want %s", tc.owner, name, got, tc.userTier)
			}
			if got := shownLimit(t, c, "/route", headers...); got != tc.route {
				t.Errorf("%s by %s on the route: got %s, want %s", tc.owner, name, got, tc.route)
			}
		}
		for _, path := range []string{"/", "/route"} {
			if got := shownLimit(t, c, path, "X-API-Key", own); got != "40" {
				t.Errorf("%s by a key with limits on %s: got %s, want 40", tc.owner, path, got)
			}
		}
	}
	wantRows(t, usageOf(t, c, "/gateway/limits/default/limited"),
		"default key 40/1h 38", "default owner 20/1h 16")
}

// Concurrency has the same order, and is independent of where the limits are from.
func TestPrecedenceOfConcurrency(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(`
		tier free {
			limit 1000/1h
			concurrency 1
		}
		owner u3 {
			concurrency 3
		}`), `
	gateway_errors
	gateway_auth
	handle /two {
		gateway_limit {
			concurrency 2
		}
		reverse_proxy $UPSTREAM
	}
	handle /limited {
		gateway_limit {
			limit 900/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		gateway_limit
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	entered, leave := make(chan struct{}), make(chan struct{})
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-leave
	})
	for _, tc := range []struct {
		path, owner string
		want        int
		limit       string
	}{
		{"/", "u1", 1, "1000"},
		{"/two", "u1", 2, "1000"},
		{"/limited", "u1", 1, "900"},
		{"/", "u3", 3, "1000"},
		{"/two", "u3", 3, "1000"},
		{"/limited", "u3", 3, "900"},
	} {
		key := createKey(t, c, `"owner":"`+tc.owner+`","limits":["800/1h"]`).APIKey
		auth := bearer(t, "sub", tc.owner)
		done := make(chan caddyharness.Response)
		for i := range tc.want {
			go func() {
				headers := []string{"Authorization", auth}
				if i%2 == 1 {
					// A key with limits of its own does not get around it.
					headers = []string{"X-API-Key", key}
				}
				answer, _ := c.Try(http.MethodGet, tc.path, "", headers...)
				done <- answer
			}()
			<-entered
		}
		for _, headers := range [][]string{{"Authorization", auth}, {"X-API-Key", key}} {
			got := c.Get(tc.path, headers...)
			wantLimited(t, got)
		}
		shown := ""
		for range tc.want {
			leave <- struct{}{}
			if answer := <-done; answer.Status != 200 {
				t.Errorf("%s of %s: got %d", tc.path, tc.owner, answer.Status)
			} else if limit := answer.Header.Get("X-RateLimit-Limit"); limit != "800" {
				shown = limit
			}
		}
		if shown != tc.limit {
			t.Errorf("%s of %s: got the limit %s, want %s", tc.path, tc.owner, shown, tc.limit)
		}
	}
}

// What is set for an owner holds for the next request here, and within a second
// for other processes.
func TestOwnersInTheStore(t *testing.T) {
	up := newUpstream(t)
	options := gatewayOptions("tier free 1000/1h\n owner u2 {\n limit 5000/1h\n }")
	site := "gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM"
	c := start(t, options, site, "$UPSTREAM", up.addr())
	other := otherGateway(t, c, options+"\nhttp://127.0.0.1:$PORT {\n"+site+"\n}\n")
	u1, u2 := []string{"Authorization", bearer(t)}, []string{"Authorization", bearer(t, "sub", "u2")}
	gateway := func(args ...string) string {
		t.Helper()
		out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin, "limit"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errOut)
		}
		return out
	}
	fastest := time.Hour
	elsewhere := func(want string, headers ...string) {
		t.Helper()
		began := time.Now()
		until(t, "telling "+want+" in the other process", func() bool { return shownLimit(t, c, other+"/", headers...) == want })
		fastest = min(fastest, time.Since(began))
	}
	if got := shownLimit(t, c, "/", u1...); got != "1000" {
		t.Fatalf("got %s, want 1000", got)
	}
	gateway("set", "u1", "2000/1h", "burst", "2500", "40000/1d", "--concurrency", "3")
	if got := shownLimit(t, c, "/", u1...); got != "2500" {
		t.Errorf("got %s, want 2500", got)
	}
	elsewhere("2500", u1...)
	// The store goes before the configuration, and what it does not say of an owner
	// nobody does.
	gateway("set", "u2", "--tier", "pro")
	if got := shownLimit(t, c, "/", u2...); got != "300" {
		t.Errorf("got %s, want 300", got)
	}
	elsewhere("300", u2...)
	if out := gateway("list"); !strings.Contains(out, "2000/1h burst 2500, 40000/1d") || !strings.Contains(out, "store") {
		t.Errorf("got %s", out)
	}
	if err := c.Restart(options + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"); err != nil {
		t.Fatal(err)
	}
	if got := shownLimit(t, c, "/", u1...); got != "2500" {
		t.Errorf("after a restart: got %s, want 2500", got)
	}
	gateway("unset", "u1")
	gateway("unset", "u2")
	if got := shownLimit(t, c, "/", u1...); got != "1000" {
		t.Errorf("got %s, want 1000", got)
	}
	if got := shownLimit(t, c, "/", u2...); got != "5000" {
		t.Errorf("got %s, want what the configuration has, 5000", got)
	}
	elsewhere("1000", u1...)
	// The fastest tells of the gateway, the slowest of the machine.
	if fastest > time.Second {
		t.Errorf("it took %s at best until the other process told a change, want a second", fastest)
	}
	if out := gateway("list", "--json"); !strings.Contains(out, `"source": "config"`) {
		t.Errorf("got %s", out)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"set", "u1"}, "changes nothing"},
		{[]string{"set", "u1", "0/1h"}, "limits: "},
		{[]string{"set", "u1", "burst"}, "limits: "},
		{[]string{"set", "u1", "5/1m", "6/1m"}, "keep one"},
		{[]string{"set", "u1", "--tier", "gold"}, "unknown tier gold"},
		{[]string{"set", "u1", "--concurrency", "-1"}, "whole number"},
		{[]string{"set", "u\n1", "5/1m"}, "control characters"},
		{[]string{"unset", "u1"}, "Not found"},
	} {
		_, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin, "limit"}, tc.args...)...)
		if err == nil || !strings.Contains(errOut, tc.want) {
			t.Errorf("%v: got %v %s, want %q", tc.args, err, errOut, tc.want)
		}
	}

	// A tier that is gone leaves the owner as the configuration has them.
	gateway("set", "u2", "--tier", "pro")
	changed := strings.Replace(options, "tier free 1000/1h", "tier free 1000/1h\n tier gold 70/1h", 1)
	reload := func(options string) {
		t.Helper()
		if err := c.Reload(options + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"); err != nil {
			t.Fatal(err)
		}
	}
	reload(changed)
	gateway("set", "u2", "--tier", "gold")
	if got := shownLimit(t, c, "/", u2...); got != "70" {
		t.Errorf("got %s, want 70", got)
	}
	reload(options)
	if got := shownLimit(t, c, "/", u2...); got != "5000" {
		t.Errorf("got %s, want 5000", got)
	}
	if got := fmt.Sprint(usageOf(t, c, "/gateway/usage/u2")); !strings.Contains(got, "5000/1h") {
		t.Errorf("got %s", got)
	}
}
