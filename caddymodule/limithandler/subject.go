package limithandler

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// subject finds the count of the caller, and the limits that hold.
func (l *RateLimit) subject(r *http.Request, x *request.Exchange) (charge, *plugins.Denial) {
	p := x.Principal
	switch l.By {
	case byOwner:
		if p != nil {
			return l.limitsOf(p, ratelimit.KindOwner, p.Owner), nil
		}
	case byCredential:
		if p != nil {
			return l.limitsOf(p, ratelimit.KindCredential, p.Credential), nil
		}
	case byIP:
		if p != nil || l.route != nil {
			address, ok := ratelimit.AnonymousSubject(request.ClientIP(r))
			if !ok {
				return charge{}, ratelimit.KeyMissing("client address")
			}
			return l.limitsOf(p, ratelimit.KindIP, address), nil
		}
	default:
		value := ""
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			value = repl.ReplaceAll(l.By, "")
		}
		switch {
		case value == "" && l.Missing == missingDeny:
			return charge{}, ratelimit.KeyMissing(l.By)
		case value != "" && (p != nil || l.route != nil):
			return l.limitsOf(p, ratelimit.KindPlaceholder+" "+l.By, value), nil
		}
	}
	key, ok := ratelimit.AnonymousKey(l.Zone, request.ClientIP(r))
	if !ok {
		return charge{}, ratelimit.KeyMissing("client address")
	}
	return charge{policy: l.anonymous, zone: &l.anonymousZone, key: key}, nil
}

// limitsOf is the charge of a caller that is counted by kind and subject, with the limits
// that hold for the principal.
func (l *RateLimit) limitsOf(p *plugins.Principal, kind, subject string) charge {
	levels := l.precedence(p)
	source := levels.Limits()
	c := charge{policy: source.Policy, zone: &l.zone, key: source.Key(l.Zone, kind, subject)}
	if level := levels.Concurrency(); level != nil {
		c.concurrency, c.concurrencySource = level.Concurrency, level.ConcurrencyName
		c.inFlightKey = level.InFlightKey(l.Zone, kind, subject)
	}
	return c
}

// precedence has the limits of each level for a principal in this handler; nil is an
// anonymous caller.
func (l *RateLimit) precedence(p *plugins.Principal) ratelimit.Precedence {
	levels := l.app.Precedence(p)
	if l.route != nil {
		route := levels.Route()
		if len(l.route.Limits) != 0 {
			route.Limits = l.source()
		}
		route.Concurrency, route.ConcurrencyName = l.route.Concurrency, l.route.Name
	}
	return levels
}
