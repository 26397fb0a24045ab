package caddymodule

import (
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// limitSource is where a caller's limits come from, and which counts are theirs.
type limitSource struct {
	policy *ratelimit.Policy
	// apart is added to the zone's name, so that limits that must not share a count
	// do not. A limiter keeps its state as the time that a bucket takes to fill up:
	// limits with the same period and another burst would forgive each other's
	// debts.
	apart string
}

// newLimitSource names the counts of a policy from one kind of source. Buckets
// that fill in just their period need no name of their own, so that a changed
// count goes on with what was used.
func newLimitSource(kind string, p *ratelimit.Policy) *limitSource {
	s := &limitSource{policy: p}
	if kind != "" {
		s.apart = "\x00" + kind
	}
	for _, limit := range p.Limits {
		if limit.Burst != limit.Count {
			s.apart += "\x00" + ratelimit.FormatDuration(limit.Period) + " in " + limit.Horizon().String()
		}
	}
	return s
}

// zones knows the limits of every route of a configuration, by zone. It is
// written while handlers are provisioned and only read from then on.
type zones map[string]map[string]bool

func (z zones) add(zone string, route *ratelimit.Policy) {
	if z[zone] == nil {
		z[zone] = map[string]bool{}
	}
	z[zone][limitsText(route)] = true
}

// routeSource is the source of a route's limits. Routes of one zone with the same
// limits count together; those with different ones each for themselves.
func (z zones) routeSource(zone string, route *ratelimit.Policy) *limitSource {
	kind := "route"
	if len(z[zone]) > 1 {
		kind += " " + limitsText(route)
	}
	return newLimitSource(kind, route)
}

func limitsText(p *ratelimit.Policy) string {
	var text strings.Builder
	for _, limit := range p.Limits {
		text.WriteString(limit.String())
		text.WriteByte(';')
	}
	return text.String()
}

// overrides remembers the policies of keys that have limits of their own, so
// that they are parsed once and not on each request.
type overrides struct {
	mu      sync.RWMutex
	sources map[string]*limitSource
}

// maxOverrides bounds what is remembered; past it everything is forgotten.
const maxOverrides = 10_000

// override is the source of a key's own limits; nil where they can't be read, so
// that the tier's hold.
func (a *App) override(lines []string) *limitSource {
	key := lines[0]
	if len(lines) > 1 {
		key = strings.Join(lines, ";")
	}
	o := &a.overrides
	o.mu.RLock()
	source, known := o.sources[key]
	o.mu.RUnlock()
	if known {
		return source
	}
	policy, err := parsePolicy("key", lines, 0)
	if err == nil {
		source = newLimitSource("key", policy)
	} else {
		a.logger.Error("limits of an API key can't be read, those of its tier hold", zap.Strings("limits", lines), zap.Error(err))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sources == nil || len(o.sources) >= maxOverrides {
		o.sources = map[string]*limitSource{}
	}
	o.sources[key] = source
	return source
}
