package caddymodule_test

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestServerTiming(t *testing.T) {
	up := newUpstream(t)
	slow := 30 * time.Millisecond
	c := start(t, gatewayOptions(""), `
	handle /off {
		gateway_errors
		reverse_proxy $UPSTREAM
	}
	@on not path /off
	gateway_errors @on {
		server_timing
	}
	@private path /private
	gateway_auth @private
	respond /here ok
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(slow)
		w.Header().Set("Server-Timing", "db;dur=5")
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	proxied := regexp.MustCompile(`^gateway;dur=(\d+\.\d\d), upstream;dur=(\d+\.\d\d)$`)
	alone := regexp.MustCompile(`^gateway;dur=\d+\.\d\d$`)
	for _, tc := range []struct {
		path string
		// own says that the upstream's own comes first.
		own  bool
		want *regexp.Regexp
	}{
		{"/", true, proxied},
		{"/broken", true, proxied},
		{"/private", false, alone},
		{"/here", false, alone},
		{"/off", true, nil},
	} {
		got := c.Get(tc.path).Header.Values("Server-Timing")
		if tc.own {
			if len(got) == 0 || got[0] != "db;dur=5" {
				t.Errorf("%s: got %q, want the upstream's own first", tc.path, got)
				continue
			}
			got = got[1:]
		}
		if tc.want == nil {
			if len(got) != 0 {
				t.Errorf("%s: got %q, want none of ours", tc.path, got)
			}
			continue
		}
		if len(got) != 1 || !tc.want.MatchString(got[0]) {
			t.Errorf("%s: got %q, want one like %s", tc.path, got, tc.want)
			continue
		}
		if m := tc.want.FindStringSubmatch(got[0]); len(m) == 3 {
			here, _ := strconv.ParseFloat(m[1], 64)
			there, _ := strconv.ParseFloat(m[2], 64)
			if least := slow.Seconds() * 1e3; there < least || here < 0 {
				t.Errorf("%s: got %s, want the upstream to have taken %v ms or more", tc.path, got[0], least)
			}
		}
	}
	if got := c.Get("/").Header.Values("Server-Timing"); !slices.Contains(got, "db;dur=5") {
		t.Errorf("got %q", got)
	}
}
