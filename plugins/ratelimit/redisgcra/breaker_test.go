package redisgcra

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	probes := 0
	var edges []bool
	b := breaker{probe: func() { probes++ }, edge: func(open bool) { edges = append(edges, open) }}
	now := time.Unix(1000, 0)
	down := errors.New("down")
	for range breakAfter - 1 {
		b.failed(down, now)
	}
	b.succeeded()
	for range breakAfter - 1 {
		b.failed(down, now)
	}
	if !b.ready() || probes != 0 {
		t.Fatal("it opened although there was a success in between")
	}
	b.failed(down, now)
	b.failed(down, now)
	if b.ready() || probes != 1 {
		t.Fatalf("ready %v with %d probes, want it open with one", b.ready(), probes)
	}
	for i, want := range []time.Duration{1, 2, 4, 5, 5} {
		want *= time.Second
		if got := b.next(); got < want*4/5 || got > want*6/5 {
			t.Errorf("wait %d is %s, want %s and a fifth", i, got, want)
		}
		b.probed(down, now)
	}
	if s := b.state(); !s.open || !s.since.Equal(now) || s.opened != 1 || !errors.Is(s.lastErr, down) || !s.failed.Equal(now) {
		t.Errorf("got %+v", s)
	}
	b.probed(nil, now)
	if !b.ready() {
		t.Error("it stays open after a good probe")
	}
	for range breakAfter {
		b.failed(down, now)
	}
	if got := b.next(); got > 2*probeFirst {
		t.Errorf("the first wait of the next outage is %s", got)
	}
	if want := []bool{true, false, true}; !slices.Equal(edges, want) {
		t.Errorf("told of %v, want %v", edges, want)
	}
}
