package redisgcra_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// Three gateways know of each other, and when Redis is gone they grant a third
// each: all of them together the whole limit.
func TestShareIsThatOfTheKnownGateways(t *testing.T) {
	for _, engine := range engines {
		t.Run(string(engine), func(t *testing.T) {
			s := startServer(t)
			var nodes []*redisgcra.Limiter
			for n := range 3 {
				l := newLimiter(t, redisgcra.Options{Engine: engine, Node: fmt.Sprint("node", n)}, s.url())
				if got := l.Health().Share; got != 0.5 {
					t.Errorf("the share before Redis was asked is %v, want 0.5", got)
				}
				l.Join()
				nodes = append(nodes, l)
			}
			for n, l := range nodes {
				s.awaitThat(fmt.Sprintf("node %d knows of three", n), func() bool { return l.Health().Gateways == 3 })
				l.Join() // a second time does nothing
			}
			s.kill()
			admitted := 0
			for _, l := range nodes {
				for range 60 {
					d := take(t, l, owner(1), "60/1h", 1)
					if d.Allowed {
						admitted++
					}
					if got, want := d.Share, 1.0/3; got != want {
						t.Fatalf("the decision is by a share of %v, want %v", got, want)
					}
				}
			}
			if admitted != 60 {
				t.Errorf("%d admitted of 60, want all of them and no more", admitted)
			}
		})
	}
}

// Without knowing of anybody the share follows what is configured.
func TestShareWithoutKnownGateways(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    redisgcra.Options
		want float64
	}{
		{"nothing is known", redisgcra.Options{}, 0.5},
		{"nodes", redisgcra.Options{Nodes: 5}, 0.2},
		{"share", redisgcra.Options{Nodes: 5, Share: 0.7}, 0.7},
	} {
		l := newLimiter(t, tc.o, "redis://127.0.0.1:1")
		l.Join()
		if got := l.Health().Share; got != tc.want {
			t.Errorf("%s: share = %v, want %v", tc.name, got, tc.want)
		}
		if d := take(t, l, owner(1), "100/1h", 1); d.Share != tc.want || d.Rows[0].Remaining != int64(100*tc.want)-1 {
			t.Errorf("%s: the decision is by %v with %d left, want %v", tc.name, d.Share, d.Rows[0].Remaining, tc.want)
		}
	}
}

// A decision of Redis is by the whole limit.
func TestShareOfRedisIsWhole(t *testing.T) {
	l := newLimiter(t, redisgcra.Options{}, startServer(t).url())
	if d := take(t, l, owner(1), "60/1m", 1); d.Share != 0 {
		t.Errorf("share = %v, want 0 where Redis decided", d.Share)
	}
}

// Gateways that end are forgotten, limiters of one process are one gateway, and what
// else stands at the key is removed.
func TestGatewaysAreCounted(t *testing.T) {
	s := startServer(t)
	check := func(l *redisgcra.Limiter) int {
		t.Helper()
		if err := l.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l.Health().Gateways
	}
	var now time.Duration
	clock := func() time.Duration { return now }
	one := newLimiter(t, redisgcra.Options{Clock: clock}, s.url())
	same := newLimiter(t, redisgcra.Options{}, s.url())
	if check(one); check(same) != 1 {
		t.Error("two limiters of this process are not one gateway")
	}
	other := newLimiter(t, redisgcra.Options{Node: "other"}, s.url())
	check(other)
	if got := check(one); got != 2 {
		t.Errorf("%d gateways, want 2", got)
	}

	// What Redis forgets is believed only after a while.
	s.do("flushdb")
	if got := check(one); got != 2 {
		t.Errorf("%d gateways right after a loss of data, want 2 still", got)
	}
	now += 10 * time.Second
	if got := check(one); got != 1 {
		t.Errorf("%d gateways after a while, want 1", got)
	}

	for _, put := range [][]any{{"lpush", "rate:rl:{gateways}", "x"}, {"set", "rate:rl:{gateways}", "nonsense=12;=;a=99999999999999999999999;"}} {
		s.do("del", "rate:rl:{gateways}")
		s.do(put...)
		if got := check(same); got < 1 || got > 2 {
			t.Errorf("%d gateways after %v, want it removed or passed over", got, put)
		}
	}
	if ttl := s.do("pttl", "rate:rl:{gateways}").(int64); ttl <= 0 || ttl > 10_000 {
		t.Errorf("the list goes after %d ms, want it to go by itself", ttl)
	}
	if _, err := redisgcra.New(redisgcra.Options{Target: mustTarget(t, s.url()), Node: "a;b"}); err == nil {
		t.Error("a node with a semicolon was taken")
	}
}

func mustTarget(t *testing.T, url string) *redisgcra.Target {
	t.Helper()
	target, err := redisgcra.ParseURLs([]string{url})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// awaitThat waits until it holds.
func (s *server) awaitThat(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			s.t.Fatalf("%s: not within 30s", what)
		case <-tick.C:
		}
	}
}
