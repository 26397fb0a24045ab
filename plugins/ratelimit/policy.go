package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxLimits is how many limits one policy may have.
const MaxLimits = 8

// Policy is the limits of a tier, a key, an owner or a route under one name. Use
// NewPolicy: it also prepares the headers.
type Policy struct {
	// Name is what RateLimit and RateLimit-Policy call the first limit.
	Name string
	// Limits are charged all together, or none of them if one refuses.
	Limits []Limit
	// Concurrency is how many requests may be in flight at once; 0 is no limit.
	Concurrency int

	// header is the value of RateLimit-Policy.
	header string
	// names are the quoted names of the limits, for RateLimit.
	names []string
}

// NewPolicy makes a policy of limits with different states, MaxLimits at most, and of a
// concurrency, 0 for none. It needs one of the two. The limits are copied.
func NewPolicy(name string, limits []Limit, concurrency int) (*Policy, error) {
	switch {
	case name == "":
		return nil, fmt.Errorf("%w: a policy must have a name", ErrLimit)
	case len(limits) > MaxLimits:
		return nil, fmt.Errorf("%w: %s has %d limits, %d is the most", ErrLimit, name, len(limits), MaxLimits)
	case concurrency < 0:
		return nil, fmt.Errorf("%w: concurrency must be a whole number of 1 or more, like 50; got %d", ErrLimit, concurrency)
	case len(limits) == 0 && concurrency == 0:
		return nil, fmt.Errorf("%w: %s needs a limit, like 60/1m", ErrLimit, name)
	}
	for i, limit := range limits {
		if err := limit.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, other := range limits[:i] {
			if limit.SameState(other) {
				return nil, fmt.Errorf("%w: %s has two limits over %s, %s and %s; keep one",
					ErrLimit, name, FormatDuration(limit.Period), other, limit)
			}
		}
	}
	p := &Policy{Name: name, Limits: append([]Limit(nil), limits...), Concurrency: concurrency}
	p.names = make([]string, len(limits))
	for i, limit := range limits {
		p.names[i] = quote(p.LimitName(i))
		if i > 0 {
			p.header += ", "
		}
		told, _ := limit.Told()
		p.header += p.names[i] + ";q=" + strconv.FormatInt(told, 10)
		if limit.Period%time.Second == 0 {
			p.header += ";w=" + strconv.FormatInt(int64(limit.Period/time.Second), 10)
		}
	}
	return p, nil
}

// LimitName is the name of the limit at index i in RateLimit and RateLimit-Policy, without
// quotes: the policy's name for the first limit, and the name with the period for the
// others: `pro`, `pro-1d`, `pro-1d-strict`.
func (p *Policy) LimitName(i int) string {
	if i == 0 {
		return p.Name
	}
	name := p.Name + "-" + FormatDuration(p.Limits[i].Period)
	for _, other := range p.Limits[1:] {
		if p.Limits[i].Strict && !other.Strict && other.Period == p.Limits[i].Period {
			return name + "-strict"
		}
	}
	return name
}

// MaxCost is the highest cost that can ever pass: the smallest burst of the
// limits. Without limits there is no bound and it is the largest int64.
func (p *Policy) MaxCost() int64 {
	lowest := int64(1<<63 - 1)
	for _, limit := range p.Limits {
		lowest = min(lowest, limit.Burst)
	}
	return lowest
}

// Text is the limits of a policy in the Caddyfile's own syntax, without its name.
func (p *Policy) Text() string {
	parts := make([]string, 0, len(p.Limits)+1)
	for _, limit := range p.Limits {
		parts = append(parts, limit.String())
	}
	if p.Concurrency != 0 {
		parts = append(parts, "concurrency "+strconv.Itoa(p.Concurrency))
	}
	return strings.Join(parts, ", ")
}

// quote makes an sf-string (RFC 9651, section 3.3.3). Invalid characters become
// underscores.
func quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r > 0x7e:
			b = append(b, '_')
		default:
			b = append(b, byte(r))
		}
	}
	return string(append(b, '"'))
}

// The names of the default tiers.
const (
	TierFree       = "free"
	TierPro        = "pro"
	TierEnterprise = "enterprise"
)

// DefaultTiers are the tiers that are there without being configured: free
// 60/1m, pro 300/1m, enterprise 1000/1m, in this order, each with a tolerance of 1.
//
// The class RateLimiter of the API's document notes the time before it sleeps: a call is
// never sent before a period has passed since the answer to the call before the one that
// it waits for, so that it sends N+1 calls in a period and not N. One more is the
// smallest tolerance that never refuses it; a larger burst alone only puts that off.
func DefaultTiers() []*Policy {
	var tiers []*Policy
	for _, tier := range []struct{ name, limit string }{
		{TierFree, "60/1m tolerance 1"}, {TierPro, "300/1m tolerance 1"}, {TierEnterprise, "1000/1m tolerance 1"},
	} {
		policy, err := NewPolicy(tier.name, []Limit{MustParseLimit(tier.limit)}, 0)
		if err != nil {
			panic(err)
		}
		tiers = append(tiers, policy)
	}
	return tiers
}
