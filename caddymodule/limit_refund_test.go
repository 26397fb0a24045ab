package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// refundSite has several limits in a row, and a place to ask what is left of the
// first: cost 0 charges nothing, and the same limits of one zone count together.
const refundSite = `
	gateway_errors
	gateway_auth {
		optional
	}
	handle /two {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
			anonymous 100/1h
		}
		gateway_limit {
			zone narrow
			limit 2/1h
			anonymous 2/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /three {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
		}
		gateway_limit {
			zone middle
			limit 50/1h window strict
		}
		gateway_limit {
			zone narrowest
			limit 2/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /cost {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
			cost {http.request.header.Price}
			cost_header X-Cost
		}
		gateway_limit {
			zone costly
			limit 2/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /too-dear {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
		}
		gateway_limit {
			zone dear
			limit 2/1h
			cost {http.request.header.Price}
		}
		reverse_proxy $UPSTREAM
	}
	handle /nothing-to-count-by {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
		}
		gateway_limit {
			zone tenants
			limit 2/1h
			by {http.request.header.X-Tenant}
		}
		reverse_proxy $UPSTREAM
	}
	handle /shadow-last {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
		}
		gateway_limit {
			zone shadow
			limit 2/1h
			shadow
		}
		reverse_proxy $UPSTREAM
	}
	handle /shadow-first {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
			shadow
		}
		gateway_limit {
			zone behind
			limit 2/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /busy {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
		}
		gateway_limit {
			zone busy
			limit 100/1h
			concurrency 1
		}
		reverse_proxy $UPSTREAM
	}
	handle /same {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
			cost 30
		}
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
			cost 40
		}
		reverse_proxy $UPSTREAM
	}
	handle /left {
		gateway_limit {
			zone wide
			limit 100/1h
			limit 1000/1d
			anonymous 100/1h
			cost 0
		}
		reverse_proxy $UPSTREAM
	}
	handle /left-of-middle {
		gateway_limit {
			zone middle
			limit 50/1h window strict
			cost 0
		}
		reverse_proxy $UPSTREAM
	}`

// What a later limit of a request refuses costs nothing in those before it.
func TestRefusalIsChargedToNone(t *testing.T) {
	for _, limiter := range []struct{ name, text string }{
		{"memory", "limiter memory"},
		{"redis_rate", "limiter redis $REDIS {\n timeout 2s\n }"},
		{"native", "limiter redis $REDIS {\n timeout 2s\n engine native\n }"},
		{"bounded", "limiter redis $REDIS {\n timeout 2s\n engine native\n mode bounded\n nodes 1\n }"},
	} {
		t.Run(limiter.name, func(t *testing.T) {
			if strings.Contains(limiter.text, "$REDIS") {
				url, _ := redisServer(t)
				limiter.text = strings.Replace(limiter.text, "$REDIS", url, 1)
			}
			up := newUpstream(t)
			up.answer(costly)
			c := start(t, gatewayOptions(limiter.text), refundSite, "$UPSTREAM", up.addr())
			left := func(path string, headers []string) string {
				t.Helper()
				got := c.Get(path, headers...)
				if got.Status != 200 {
					t.Fatalf("%s: got %d %s", path, got.Status, got.Body)
				}
				return got.Header.Get("X-RateLimit-Remaining")
			}
			for _, tc := range []struct {
				path    string
				headers []string
				// statuses of the requests, and what is left of the first limit's 100 then.
				statuses []int
				left     string
			}{
				{"/two", nil, []int{200, 200, 429, 429, 429, 429}, "98"},
				{"/three", nil, []int{200, 200, 429, 429, 429}, "98"},
				{"/cost", []string{"Price", "10"}, []int{200, 200, 429, 429, 429}, "80"},
				// The upstream reports the cost of those that reach it.
				{"/cost", []string{"Price", "10", "Say", "3"}, []int{200, 200, 429, 429}, "94"},
				{"/cost", []string{"Price", "0"}, []int{200, 200, 429}, "100"},
				{"/too-dear", []string{"Price", "3"}, []int{400, 400, 400}, "100"},
				{"/too-dear", []string{"Price", "-3"}, []int{400, 400}, "100"},
				{"/nothing-to-count-by", nil, []int{400, 400, 400}, "100"},
				// Shadow mode refuses nothing, so that its requests pass and are charged.
				{"/shadow-last", nil, []int{200, 200, 200, 200}, "96"},
				{"/shadow-first", nil, []int{200, 200, 429, 429}, "98"},
				// Both charge one count: what the second refuses the first gives back.
				{"/same", nil, []int{200, 429, 429}, "30"},
			} {
				name := strings.Trim(tc.path+" "+strings.Join(tc.headers, " "), "/")
				t.Run(name, func(t *testing.T) {
					auth := []string{"Authorization", bearer(t, "sub", limiter.name+strings.ReplaceAll(name, " ", "_"))}
					for i, want := range tc.statuses {
						if got := c.Get(tc.path, append(auth, tc.headers...)...); got.Status != want {
							t.Fatalf("request %d: got %d %s, want %d", i+1, got.Status, got.Body, want)
						}
					}
					if got := left("/left", auth); got != tc.left {
						t.Errorf("%s are left of 100 in the first limit, want %s", got, tc.left)
					}
					if tc.path == "/three" {
						if got := left("/left-of-middle", auth); got != "48" {
							t.Errorf("%s are left of 50 in the second limit, want 48", got)
						}
					}
				})
			}
			t.Run("anonymous", func(t *testing.T) {
				for i, want := range []int{200, 200, 429, 429, 429} {
					if got := c.Get("/two"); got.Status != want {
						t.Fatalf("request %d: got %d %s, want %d", i+1, got.Status, got.Body, want)
					}
				}
				if got := left("/left", nil); got != "98" {
					t.Errorf("%s are left of 100, want 98", got)
				}
			})
			t.Run("too many at once", func(t *testing.T) {
				entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan int)
				up.answer(func(w http.ResponseWriter, _ *http.Request) {
					entered <- struct{}{}
					<-leave
				})
				defer up.answer(costly)
				auth := []string{"Authorization", bearer(t, "sub", limiter.name+"busy")}
				go func() { done <- c.Get("/busy", auth...).Status }()
				<-entered
				for range 3 {
					wantLimited(t, c.Get("/busy", auth...))
				}
				close(leave)
				if status := <-done; status != 200 {
					t.Fatalf("got %d, want 200", status)
				}
				up.answer(costly)
				if got := left("/left", auth); got != "99" {
					t.Errorf("%s are left of 100, want 99", got)
				}
			})
			t.Run("many at once", func(t *testing.T) {
				auth := []string{"Authorization", bearer(t, "sub", limiter.name+"many")}
				var passed atomic.Int64
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						for range 8 {
							if c.Get("/two", auth...).Status == 200 {
								passed.Add(1)
							}
						}
					})
				}
				all.Wait()
				if passed.Load() != 2 {
					t.Errorf("%d passed, want 2", passed.Load())
				}
				// The bounded mode gives back with the next charges, all others at once.
				if limiter.name == "bounded" {
					until(t, "giving back", func() bool { return left("/left", auth) == "98" })
				} else if got := left("/left", auth); got != "98" {
					t.Errorf("%s are left of 100, want 98", got)
				}
			})
			t.Run("a dry run", func(t *testing.T) {
				owner := limiter.name + "dry"
				auth := []string{"Authorization", bearer(t, "sub", owner)}
				for range 2 {
					c.Get("/two", auth...)
				}
				for range 3 {
					body := fmt.Sprintf(`{"url":"http://%s/two","as":{"owner":%q}}`, strings.TrimPrefix(c.URL, "http://"), owner)
					if got := admin(t, c, "POST", "/gateway/check", body); got.Status != 200 || !strings.Contains(got.Body, `"status":429`) {
						t.Fatalf("check: %d %s, want a 429", got.Status, got.Body)
					}
				}
				if got := left("/left", auth); got != "98" {
					t.Errorf("%s are left of 100, want 98", got)
				}
			})
		})
	}
}
