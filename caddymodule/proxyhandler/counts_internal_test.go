package proxyhandler

import (
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func TestRequestCountIsCaddys(t *testing.T) {
	host := new(reverseproxy.Host)
	count := requestCount(host)
	if count == nil {
		t.Fatal("this Caddy has no counter: least_conn, random_choose and max_requests lose the fast way")
	}
	count.Add(3)
	if host.NumRequests() != 3 || host.Fails() != 0 {
		t.Errorf("got %d requests and %d fails, want 3 and 0", host.NumRequests(), host.Fails())
	}
	if requestCount(nil) != nil {
		t.Error("got a counter of no host")
	}
}

// A field of another name or type is not taken for the counter.
func TestInt64Field(t *testing.T) {
	var host struct {
		count atomic.Int64
		other atomic.Int32
		plain int64
	}
	for name, want := range map[string]bool{"count": true, "other": false, "plain": false, "none": false} {
		if got := int64Field(&host, name); (got != nil) != want {
			t.Errorf("%s: got %v, want a counter: %v", name, got, want)
		}
	}
	int64Field(&host, "count").Add(2)
	if got := host.count.Load(); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}
