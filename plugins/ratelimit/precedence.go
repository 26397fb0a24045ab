package ratelimit

import "strings"

// Source is a policy and the names of its counts. Limits from two sources may differ, and
// must then not share a count.
type Source struct {
	// Policy has the limits.
	Policy *Policy
	// keySuffix is added to the zone's name. A limiter keeps the time until a bucket is
	// full: limits with one period and different bursts would forgive each other's
	// debts.
	keySuffix string
}

// NewSource makes the source of a policy. Kind distinguishes sources of one zone and is
// empty for tiers. A limit whose burst is its count needs no name of its own, so that its
// state survives a change of the count.
func NewSource(kind string, p *Policy) *Source {
	s := &Source{Policy: p}
	if kind != "" {
		s.keySuffix = "\x00" + kind
	}
	for _, limit := range p.Limits {
		if limit.Burst != limit.Count {
			s.keySuffix += "\x00" + FormatDuration(limit.Period) + " in " + limit.Horizon().String()
		}
	}
	return s
}

// Key names the count of a caller in a zone.
func (s *Source) Key(zone, kind, subject string) Key {
	return NewKey(zone+s.keySuffix, kind, subject)
}

// LevelName names a level of precedence.
type LevelName string

// The levels, first to last.
const (
	LevelKey   LevelName = "key"
	LevelOwner LevelName = "owner"
	LevelRoute LevelName = "route"
	LevelTier  LevelName = "tier"
)

// Level has the limits of one level for a caller.
type Level struct {
	Name LevelName
	// Limits is nil where the level has none.
	Limits *Source
	// Concurrency is 0 where the level has none. ConcurrencyName is its name for people.
	Concurrency     int
	ConcurrencyName string
}

// Precedence has the levels of one caller in one handler, in order. The first level with
// limits sets the limits, and the first with a concurrency sets the concurrency. Limits
// that are shown, charged or reset all come from here.
type Precedence [4]Level

// NewPrecedence makes a Precedence with empty levels.
func NewPrecedence() Precedence {
	return Precedence{{Name: LevelKey}, {Name: LevelOwner}, {Name: LevelRoute}, {Name: LevelTier}}
}

// Key is the level of the API key's own limits.
func (p *Precedence) Key() *Level { return &p[0] }

// Owner is the level of the owner's own limits.
func (p *Precedence) Owner() *Level { return &p[1] }

// Route is the level of the limits of the handler.
func (p *Precedence) Route() *Level { return &p[2] }

// Tier is the level of the limits of the caller's tier.
func (p *Precedence) Tier() *Level { return &p[3] }

// Limits is the source whose limits hold; nil where no level has any.
func (p *Precedence) Limits() *Source {
	for i := range p {
		if p[i].Limits != nil {
			return p[i].Limits
		}
	}
	return nil
}

// Concurrency is the level whose concurrency holds; nil where no level has one.
func (p *Precedence) Concurrency() *Level {
	for i := range p {
		if p[i].Concurrency != 0 {
			return &p[i]
		}
	}
	return nil
}

// InFlightKey makes the key of a caller's requests in flight, for the level that limits
// them.
func (l *Level) InFlightKey(zone, kind, subject string) Key {
	return NewKey(zone+"\x00busy "+string(l.Name), kind, subject)
}

// Routes has the limits of every route of a configuration, by zone. It is filled first and
// only read after that.
type Routes map[string]map[string]bool

// Add adds the limits of a route.
func (r Routes) Add(zone string, route *Policy) {
	if r[zone] == nil {
		r[zone] = map[string]bool{}
	}
	r[zone][route.LimitsText()] = true
}

// Source is the source of a route's limits. Routes of one zone with the same limits
// share a count; routes with different limits each have their own.
func (r Routes) Source(zone string, route *Policy) *Source {
	kind := string(LevelRoute)
	if len(r[zone]) > 1 {
		kind += " " + route.LimitsText()
	}
	return NewSource(kind, route)
}

// LimitsText is the limits as text, each ended by a semicolon. Policies with the
// same text have the same limits.
func (p *Policy) LimitsText() string {
	var text strings.Builder
	for _, limit := range p.Limits {
		text.WriteString(limit.String())
		text.WriteByte(';')
	}
	return text.String()
}
