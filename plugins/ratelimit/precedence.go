package ratelimit

import "strings"

// Source is where a caller's limits come from. It also names the counts: limits
// from two sources may differ, and must then not share a count.
type Source struct {
	// Policy has the limits.
	Policy *Policy
	// keySuffix is added to the zone's name. A limiter keeps its state as the time that
	// a bucket takes to fill: limits with one period and different bursts would forgive
	// each other's debts.
	keySuffix string
}

// NewSource makes the source of a policy. Kind tells sources of one zone apart and
// is empty for tiers. A bucket that fills in just its period needs no name of its
// own, so that after a change of the count what was used goes on.
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

// Level is what one level says of a caller.
type Level struct {
	Name LevelName
	// Limits is nil where the level has none.
	Limits *Source
	// Concurrency is 0 where the level has none, and ConcurrencyName what it is called
	// by to people.
	Concurrency     int
	ConcurrencyName string
}

// Precedence is what every level says of one caller in one handler, in order. The
// limits are those of the first level that has some, and so is the concurrency. It is
// the one list of sources: what is shown, charged and reset is read from it.
type Precedence [4]Level

// NewPrecedence makes one whose levels say nothing yet.
func NewPrecedence() Precedence {
	return Precedence{{Name: LevelKey}, {Name: LevelOwner}, {Name: LevelRoute}, {Name: LevelTier}}
}

// Key is the level of the API key's own limits.
func (p *Precedence) Key() *Level { return &p[0] }

// Owner is the level of the limits that the key's owner was given.
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

// InFlightKey names what a caller has under way, by the level that bounds it.
func (l *Level) InFlightKey(zone, kind, subject string) Key {
	return NewKey(zone+"\x00busy "+string(l.Name), kind, subject)
}

// Routes knows the limits of every route of a configuration, by zone. It is filled
// first and only read from then on.
type Routes map[string]map[string]bool

// Add notes the limits of a route.
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
