package ratelimit

import (
	"net/netip"
	"strings"
	"testing"
)

func TestKeysDoNotRunTogether(t *testing.T) {
	long := strings.Repeat("x", partMax)
	seen := map[Key][3]string{}
	for _, parts := range [][3]string{
		{"default", "owner", "u1"},
		{"default", "owner", "u2"},
		{"default", "credential", "u1"},
		{"other", "owner", "u1"},
		{"defaulto", "wner", "u1"},
		{"default", "owneru", "1"},
		{"default", "", "owneru1"},
		{"", "", ""},
		{"", "", "\x00"},
		{"\x00", "", ""},
		{"default", "owner", long},
		{"default", "owner", long + "x"},
		{"default", "owner", long + "y"},
		{long + "x", "owner", "default"},
		{"default", "owner", strings.Repeat("x", 1<<16)},
	} {
		k := NewKey(parts[0], parts[1], parts[2])
		if other, found := seen[k]; found {
			t.Errorf("%.40q and %.40q have the same key", other, parts)
		}
		seen[k] = parts
		if back, ok := ParseKey(k.String()); !ok || back != k {
			t.Errorf("%s reads back as %s, %v", k, back, ok)
		}
	}
}

// TestKeyIsTheSameOnEveryNode pins the encoding: nodes of different versions
// share a Redis.
func TestKeyIsTheSameOnEveryNode(t *testing.T) {
	if got, want := NewKey("default", KindOwner, "u1").String(), "r6dweefv753ltqo5n5oumajvve"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	good := NewKey("z", "k", "s").String()
	for _, s := range []string{"", "a", strings.ToUpper(good), good + "a", good[:25], good[:25] + "b", strings.Repeat("a", 1000)} {
		if k, ok := ParseKey(s); ok && k.String() != s {
			t.Errorf("%q was read as %s", s, k)
		}
	}
}

func TestAnonymousSubject(t *testing.T) {
	for _, tc := range []struct{ addr, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::", "2001:db8:1:3::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"::1", "::/64"},
	} {
		addr := netip.MustParseAddr(tc.addr)
		got, ok := AnonymousSubject(addr)
		if !ok || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.addr, got, ok, tc.want)
		}
		key, ok := AnonymousKey("z", addr)
		if want := NewKey("z", KindIP, tc.want); !ok || key != want {
			t.Errorf("%s: key is %s, %v, want %s", tc.addr, key, ok, want)
		}
	}
	if got, ok := AnonymousSubject(netip.Addr{}); ok {
		t.Errorf("the zero address got %q", got)
	}
	if key, ok := AnonymousKey("z", netip.Addr{}); ok {
		t.Errorf("the zero address got %s", key)
	}
}

func TestKeysDoNotAllocate(t *testing.T) {
	subject := strings.Repeat("s", 300)
	addr := netip.MustParseAddr("2001:db8::1")
	for name, f := range map[string]func(){
		"short":     func() { NewKey("default", KindOwner, "u1") },
		"long":      func() { NewKey("default", KindOwner, subject) },
		"anonymous": func() { AnonymousKey("default", addr) },
	} {
		// A long subject is copied once for the hash; the bound is what matters.
		if got := testing.AllocsPerRun(100, f); got > 0 && name != "long" || got > 1 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkNewKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewKey("default", KindOwner, "0195d0a2-9c1e-7bb0-8a55-3f2f6a1c9d11")
	}
}
