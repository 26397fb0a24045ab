package caddymodule_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// costly answers with the costs in the request's header Say, each as a line of
// its own.
func costly(w http.ResponseWriter, r *http.Request) {
	for _, cost := range r.Header.Values("Say") {
		w.Header().Add("x-cost", cost)
	}
	if status := r.Header.Get("Status"); status == "500" {
		w.WriteHeader(http.StatusInternalServerError)
	}
	fmt.Fprint(w, "{}")
}

const costSite = `
	gateway_errors
	gateway_auth {
		optional
	}
	handle /free {
		gateway_limit {
			zone free
			limit 20/1h
			cost 0
			cost_header X-Cost
		}
		reverse_proxy $UPSTREAM
	}
	handle /none {
		gateway_limit {
			zone none
			concurrency 5
			cost_header X-Cost
		}
		reverse_proxy $UPSTREAM
	}
	handle /shadow {
		gateway_limit {
			zone shadow
			limit 20/1h
			cost_header X-Cost
			shadow
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		gateway_limit {
			limit 20/1h
			limit 100/1d
			cost 5
			cost_header x-cost
			anonymous 20/1h
		}
		reverse_proxy $UPSTREAM
	}`

func TestCostHeader(t *testing.T) {
	up := newUpstream(t)
	up.answer(costly)
	c := start(t, gatewayOptions("tier free 60/1h"), costSite, "$UPSTREAM", up.addr())
	for _, tc := range []struct {
		name string
		path string
		says []string
		left string
	}{
		{"the same", "/", []string{"5"}, "15 95"},
		{"more", "/", []string{"12"}, "8 88"},
		{"less", "/", []string{"2"}, "18 98"},
		{"nothing", "/", []string{"0"}, "20 100"},
		{"all of it", "/", []string{"20"}, "0 80"},
		{"a debt", "/", []string{"25"}, "0 75"},
		{"spaces", "/", []string{" 7 "}, "13 93"},
		{"zeros", "/", []string{"007"}, "13 93"},
		{"no header", "/", nil, "15 95"},
		{"empty", "/", []string{""}, "15 95"},
		{"a word", "/", []string{"many"}, "15 95"},
		{"negative", "/", []string{"-3"}, "15 95"},
		{"a sign", "/", []string{"+3"}, "15 95"},
		{"minus nothing", "/", []string{"-0"}, "15 95"},
		{"a fraction", "/", []string{"1.5"}, "15 95"},
		{"hexadecimal", "/", []string{"0x3"}, "15 95"},
		{"huge", "/", []string{"1000000001"}, "15 95"},
		{"beyond numbers", "/", []string{"99999999999999999999999"}, "15 95"},
		{"two values", "/", []string{"3", "3"}, "15 95"},
		{"two in one", "/", []string{"3, 4"}, "15 95"},
		{"free at first", "/free", []string{"6"}, "14"},
		{"free", "/free", nil, "20"},
		{"in shadow", "/shadow", []string{"6"}, "14"},
		{"the tier's limits", "/none", []string{"6"}, "54"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			owner := strings.NewReplacer(" ", "_", "'", "").Replace(tc.name)
			for _, status := range []string{"200", "500"} {
				owner += status
				headers := []string{"Authorization", bearer(t, "sub", owner), "Status", status}
				for _, cost := range tc.says {
					headers = append(headers, "Say", cost)
				}
				got := c.Get(tc.path, headers...)
				if fmt.Sprint(got.Status) != status {
					t.Fatalf("got %d, want %s", got.Status, status)
				}
				if len(got.Header.Values("X-Cost")) != 0 {
					t.Errorf("the header reached the client: %q", got.Header.Values("X-Cost"))
				}
				zone := strings.Trim(tc.path, "/")
				if zone == "" {
					zone = "default"
				}
				var left []string
				for _, row := range usageOf(t, c, "/gateway/limits/"+zone+"/"+owner) {
					if !strings.Contains(row, "concurrency") {
						left = append(left, row[strings.LastIndex(row, " ")+1:])
					}
				}
				if strings.Join(left, " ") != tc.left {
					t.Errorf("got %s left, want %s", left, tc.left)
				}
				// What the client is told is what is.
				if shown := got.Header.Get("X-RateLimit-Remaining"); tc.path == "/" && shown != left[0] {
					t.Errorf("the client is told %s, want %s", shown, left[0])
				}
			}
		})
	}

	t.Run("a debt is waited for", func(t *testing.T) {
		auth := bearer(t, "sub", "debtor")
		if got := c.Get("/", "Authorization", auth, "Say", "30"); got.Status != 200 {
			t.Fatalf("got %d", got.Status)
		}
		got := c.Get("/", "Authorization", auth)
		wantLimited(t, got)
		// Ten of debt and the five that it costs, at three minutes each.
		if wait := got.Header.Get("Retry-After"); wait != "2700" {
			t.Errorf("got a wait of %s, want 2700", wait)
		}
	})
	t.Run("anonymous", func(t *testing.T) {
		if got := c.Get("/", "Say", "9"); got.Header.Get("X-RateLimit-Remaining") != "11" {
			t.Errorf("got %v", got.Header)
		}
	})
	t.Run("an upstream that is gone leaves the charge", func(t *testing.T) {
		up.Close()
		if got := c.Get("/", "Authorization", bearer(t, "sub", "late")); got.Status != 502 || got.Header.Get("X-RateLimit-Remaining") != "15" {
			t.Errorf("got %d %v, want 502 and 15 left", got.Status, got.Header)
		}
	})
}

// The header comes with the response header: a stream is corrected when it
// begins, and so is a connection that changes its protocol.
func TestCostHeaderOfStreams(t *testing.T) {
	up := newUpstream(t)
	leave := make(chan struct{})
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Cost", "9")
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				<-leave
				_ = conn.Close()
			}
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-leave
	})
	c := start(t, gatewayOptions(""), costSite, "$UPSTREAM", up.addr())
	defer close(leave)
	for owner, upgrade := range map[string]string{"streams": "", "upgrades": "Connection: Upgrade\r\nUpgrade: echo\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\n%s\r\n", bearer(t, "sub", owner), upgrade)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Header.Get("X-Cost") != "" || answer.Header.Get("X-RateLimit-Remaining") != "11" {
			t.Errorf("%s: got %s %v", owner, answer.Status, answer.Header)
		}
		wantRows(t, usageOf(t, c, "/gateway/limits/default/"+owner), "default default 20/1h 11", "default default-1d 100/1d 91")
	}
}

// Handlers around each other each correct their own charge, and the client sees
// the last.
func TestCostHeaderOfTwoLimits(t *testing.T) {
	up := newUpstream(t)
	up.answer(costly)
	for name, errors := range map[string]string{"with errors": "gateway_errors", "without": ""} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), errors+`
	gateway_auth
	route {
		gateway_limit {
			zone outer
			limit 50/1h
			cost_header X-Cost
		}
		gateway_limit {
			zone middle
			limit 40/1h
			cost_header X-Cost
		}
		gateway_limit {
			zone inner
			limit 30/1h
			cost 2
		}
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
			got := c.Get("/", "Authorization", bearer(t), "Say", "11")
			if got.Status != 200 || got.Header.Get("X-Cost") != "" || got.Header.Get("X-RateLimit-Remaining") != "28" {
				t.Errorf("got %d %v, want the inner limit's", got.Status, got.Header)
			}
			wantRows(t, usageOf(t, c, "/gateway/usage/u1"), "inner inner 30/1h 28", "middle middle 40/1h 29", "outer outer 50/1h 39")
		})
	}
}

// Redis keeps corrected charges as memory does.
func TestCostHeaderWithRedis(t *testing.T) {
	url, _ := redisServer(t)
	up := newUpstream(t)
	up.answer(costly)
	for _, engine := range []string{"redis_rate", "native"} {
		t.Run(engine, func(t *testing.T) {
			c := start(t, gatewayOptions("limiter redis "+url+" {\n engine "+engine+"\n timeout 5s\n }"), costSite, "$UPSTREAM", up.addr())
			var got []string
			ask := func(owner, says string) caddyharness.Response {
				return c.Get("/", "Authorization", bearer(t, "sub", owner+engine), "Say", says)
			}
			for _, says := range []string{"2", "12", "-1"} {
				got = append(got, ask("u", says).Header.Get("X-RateLimit-Remaining"))
			}
			if strings.Join(got, " ") != "18 6 1" {
				t.Errorf("got %v left, want 18, 6 and 1", got)
			}
			ask("debtor", "30")
			refused := ask("debtor", "0")
			wantLimited(t, refused)
			if wait := refused.Header.Get("Retry-After"); wait != "2700" && wait != "2699" {
				t.Errorf("got a wait of %s, want 2700", wait)
			}
			wantRows(t, usageOf(t, c, "/gateway/limits/default/debtor"+engine), "default default 20/1h 0", "default default-1d 100/1d 70")
			if reset := admin(t, c, http.MethodDelete, "/gateway/limits/default/debtor"+engine, ""); reset.Status != 200 {
				t.Fatal(reset.Body)
			}
			if got := ask("debtor", "5"); got.Status != 200 {
				t.Errorf("after a reset: got %d", got.Status)
			}
		})
	}
}
