package ratelimit

import "testing"

// The first level that has limits holds, and apart from that the first that has a
// concurrency.
func TestPrecedence(t *testing.T) {
	source := func(kind string) *Source { return NewSource(kind, mustPolicy(t, "policy of "+kind, "60/1m")) }
	key, owner, route, tier := source("key"), source("owner"), source("route"), source("")
	for _, tc := range []struct {
		name        string
		fill        func(*Precedence)
		limits      *Source
		concurrency LevelName
	}{
		{"nothing", func(*Precedence) {}, nil, ""},
		{"tier", func(p *Precedence) { p.Tier().Limits, p.Tier().Concurrency = tier, 1 }, tier, LevelTier},
		{"route before tier", func(p *Precedence) { p.Tier().Limits, p.Route().Limits = tier, route }, route, ""},
		{"owner before route", func(p *Precedence) { p.Route().Limits, p.Owner().Limits = route, owner }, owner, ""},
		{"key before all", func(p *Precedence) {
			p.Key().Limits, p.Owner().Limits, p.Route().Limits, p.Tier().Limits = key, owner, route, tier
		}, key, ""},
		{"concurrency from another level", func(p *Precedence) {
			p.Key().Limits, p.Tier().Limits = key, tier
			p.Route().Concurrency, p.Tier().Concurrency = 2, 3
		}, key, LevelRoute},
	} {
		p := NewPrecedence()
		tc.fill(&p)
		if got := p.Limits(); got != tc.limits {
			t.Errorf("%s: limits of %v, want %v", tc.name, got, tc.limits)
		}
		level := p.Concurrency()
		if (level == nil) != (tc.concurrency == "") || level != nil && level.Name != tc.concurrency {
			t.Errorf("%s: concurrency of %v, want %s", tc.name, level, tc.concurrency)
		}
	}
}

// Counts in a shared Redis and in the store are named by these keys: a new release
// must find those of the old one.
func TestKeysOfSourcesAreTheOldOnes(t *testing.T) {
	routes := Routes{}
	narrow, wide := mustPolicy(t, "z", "10/1s burst 20"), mustPolicy(t, "z", "60/1m")
	routes.Add("one", narrow)
	routes.Add("two", narrow)
	routes.Add("two", wide)
	level := Level{Name: LevelOwner}
	for _, tc := range []struct {
		name      string
		got, want Key
	}{
		{"tier", NewSource("", wide).Key("z", KindOwner, "u"), NewKey("z", KindOwner, "u")},
		{"burst", NewSource("", narrow).Key("z", KindOwner, "u"), NewKey("z\x001s in 2s", KindOwner, "u")},
		{"owner", NewSource("owner", wide).Key("z", KindOwner, "u"), NewKey("z\x00owner", KindOwner, "u")},
		{"key", NewSource("key", narrow).Key("z", KindOwner, "u"), NewKey("z\x00key\x001s in 2s", KindOwner, "u")},
		{"only route", routes.Source("one", narrow).Key("one", KindOwner, "u"), NewKey("one\x00route\x001s in 2s", KindOwner, "u")},
		{"one of two routes", routes.Source("two", wide).Key("two", KindOwner, "u"), NewKey("two\x00route 60/1m;", KindOwner, "u")},
		{"in flight", level.InFlightKey("z", KindOwner, "u"), NewKey("z\x00busy owner", KindOwner, "u")},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: another key than before", tc.name)
		}
	}
}

func TestPrecedenceDoesNotAllocate(t *testing.T) {
	tier := NewSource("", mustPolicy(t, "free", "60/1m"))
	if got := testing.AllocsPerRun(100, func() {
		p := NewPrecedence()
		p.Tier().Limits = tier
		p.Limits().Key("default", KindOwner, "u1")
		p.Concurrency()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
