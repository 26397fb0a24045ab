package limithandler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/store"
)

// Usage lists what an owner has left of the limits of a zone, or of all zones if zone is
// empty. It covers the limits that count by owner or credential, and charges nothing. The
// limits are those that hold for the principal. If p is nil, they are those of the owner's
// API keys, or of the default tier if the owner has no key.
func Usage(ctx context.Context, app *gateway.App, zone, owner string, p *plugins.Principal) ([]adminapi.Usage, error) {
	list := []adminapi.Usage{}
	err := eachCount(ctx, app, zone, owner, p, func(c count) error {
		rows, err := c.usage(ctx)
		list = append(list, rows...)
		return err
	})
	return list, err
}

// count is the count of one caller in one zone, to which a request would be charged.
type count struct {
	zone string
	by   string
	charge
}

// eachCount calls f once for every count of an owner, zone by zone.
func eachCount(ctx context.Context, app *gateway.App, zone, owner string, p *plugins.Principal, f func(count) error) error {
	principals := []*plugins.Principal{p}
	if p == nil {
		var err error
		if principals, err = principalsOf(ctx, app, owner); err != nil {
			return err
		}
	}
	type counted struct {
		key    ratelimit.Key
		limits string
	}
	seen := map[counted]bool{}
	for _, l := range limitsByZone(app) {
		if zone != "" && l.Zone != zone {
			continue
		}
		for _, p := range principals {
			c := count{zone: l.Zone}
			switch {
			case l.By == byOwner:
				c.by, c.charge = byOwner, l.limitsOf(p, ratelimit.KindOwner, owner)
			case l.By == byCredential && p.Credential != "":
				c.by, c.charge = byCredential+" "+p.Credential, l.limitsOf(p, ratelimit.KindCredential, p.Credential)
			default:
				continue
			}
			id := counted{c.key, c.policy.LimitsText() + strconv.Itoa(c.concurrency)}
			if seen[id] {
				continue
			}
			seen[id] = true
			if err := f(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// principalsOf are the principals of the owner's API keys that work.
func principalsOf(ctx context.Context, app *gateway.App, owner string) ([]*plugins.Principal, error) {
	opened, err := app.Store(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := opened.Keys(ctx, store.KeyFilter{Owner: owner})
	if err != nil {
		return nil, err
	}
	var principals []*plugins.Principal
	now := time.Now()
	for _, k := range keys {
		if k.Works(now) {
			principals = append(principals, &plugins.Principal{Owner: owner, Tier: k.Tier, Limits: k.Limits, KeyID: k.ID, Credential: k.ID})
		}
	}
	if len(principals) == 0 {
		principals = append(principals, &plugins.Principal{Owner: owner})
	}
	return principals, nil
}

// usage asks the limiter and charges nothing.
func (c *count) usage(ctx context.Context) ([]adminapi.Usage, error) {
	var list []adminapi.Usage
	if len(c.policy.Limits) != 0 {
		d, err := c.charge.zone.Limiter.Take(ctx, c.key, c.policy.Limits, 0, nil)
		if err != nil {
			return nil, fmt.Errorf("looking at the counts of zone %s: %w", c.zone, err)
		}
		var share *float64
		if d.Share != 0 {
			share = &d.Share
		}
		for i, row := range d.Rows {
			list = append(list, adminapi.Usage{
				Zone: c.zone, Name: c.policy.LimitName(i), By: c.by, Limit: row.Limit.String(),
				Remaining: row.Remaining, Reset: ratelimit.ResetSeconds(row.ResetAfter), Share: share,
			})
		}
	}
	if most := c.concurrency; most != 0 {
		list = append(list, adminapi.Usage{
			Zone: c.zone, Name: c.concurrencySource, By: c.by, Limit: "concurrency " + strconv.Itoa(most),
			Remaining: int64(max(0, most-c.charge.zone.InFlight.Held(c.inFlightKey))),
		})
	}
	return list, nil
}

// limitsByZone are the gateway_limit handlers of the configuration, sorted by zone.
func limitsByZone(app *gateway.App) []*RateLimit {
	return slices.SortedStableFunc(slices.Values(gateway.Handlers[*RateLimit](app)), func(x, y *RateLimit) int { return strings.Compare(x.Zone, y.Zone) })
}

// ErrNoZone says that no gateway_limit has the zone.
var ErrNoZone = errors.New("no zone")

// CheckZone returns an ErrNoZone that lists the zones, where no gateway_limit has this one.
func CheckZone(app *gateway.App, zone string) error {
	var names []string
	for _, l := range limitsByZone(app) {
		names = append(names, l.Zone)
	}
	names = slices.Compact(names)
	switch {
	case slices.Contains(names, zone):
		return nil
	case len(names) == 0:
		return fmt.Errorf("%w %s: no gateway_limit is configured", ErrNoZone, zone)
	}
	return fmt.Errorf("%w %s: use one of %s", ErrNoZone, zone, strings.Join(names, ", "))
}

// ResetCounts resets the counts of an owner in a zone, for every limit that may hold for
// the owner, with any credential. Requests in flight stay counted.
func ResetCounts(ctx context.Context, app *gateway.App, zone, owner string) error {
	principals, err := principalsOf(ctx, app, owner)
	if err != nil {
		return err
	}
	type place struct {
		limiter ratelimit.Limiter
		key     ratelimit.Key
	}
	limits := map[place][]ratelimit.Limit{}
	add := func(l *RateLimit, kind, subject string, source *ratelimit.Source) {
		at := place{l.zone.Limiter, source.Key(l.Zone, kind, subject)}
		for _, limit := range source.Policy.Limits {
			if !slices.ContainsFunc(limits[at], limit.SameState) {
				limits[at] = append(limits[at], limit)
			}
		}
	}
	for _, l := range gateway.Handlers[*RateLimit](app) {
		if l.Zone != zone {
			continue
		}
		for _, p := range principals {
			kind, subject := ratelimit.KindOwner, owner
			switch l.By {
			case byOwner:
			case byCredential:
				kind, subject = ratelimit.KindCredential, p.Credential
			default:
				continue
			}
			for _, level := range l.precedence(p) {
				if level.Limits != nil {
					add(l, kind, subject, level.Limits)
				}
			}
			for tier := range app.TierSources() {
				add(l, kind, subject, tier)
			}
		}
	}
	for at, limits := range limits {
		// A limiter takes MaxLimits at once, as in a decision.
		for part := range slices.Chunk(limits, ratelimit.MaxLimits) {
			if err := app.ResetCount(ctx, zone, at.limiter, at.key, part); err != nil {
				return err
			}
		}
	}
	return nil
}
