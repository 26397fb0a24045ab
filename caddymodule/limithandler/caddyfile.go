package limithandler

import (
	"strconv"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_limit [<matcher>] {
//	    zone        <name>
//	    limit       <count>/<duration> [burst <count>] [window strict] [tolerance <count>]
//	    concurrency <count>
//	    upstream_concurrency <count> [<wait>]
//	    by          owner|credential|ip|<placeholder>
//	    missing     deny|anonymous
//	    anonymous   <count>/<duration> [burst <count>]
//	    cost        <number>|<placeholder>
//	    cost_header <name>
//	    headers     all|retry_after|none
//	    shadow
//	}
//
// limit may be given several times.
func (l *RateLimit) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "gateway_limit takes a matcher and a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"zone":                 func() error { return caddyfiletext.Word(d, &l.Zone) },
		"limit":                func() error { return caddyfiletext.Limit(d, &l.Limits) },
		"concurrency":          func() error { return caddyfiletext.Number(d, &l.Concurrency) },
		"upstream_concurrency": func() error { return l.upstreamLine(d) },
		"by":                   func() error { return caddyfiletext.Word(d, &l.By) },
		"missing":              func() error { return caddyfiletext.Word(d, &l.Missing) },
		"anonymous": func() error {
			var lines []string
			if err := caddyfiletext.Limit(d, &lines); err != nil {
				return err
			}
			l.Anonymous = lines[0]
			return nil
		},
		"cost":        func() error { return caddyfiletext.Word(d, &l.Cost) },
		"cost_header": func() error { return caddyfiletext.Word(d, &l.CostHeader) },
		"headers":     func() error { return caddyfiletext.Word(d, &l.Headers) },
		"shadow":      func() error { return caddyfiletext.Flag(d, &l.Shadow) },
	}, "limit")
}

// upstreamLine reads a count and how long to wait for a place.
func (l *RateLimit) upstreamLine(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	usage := "upstream_concurrency: write `upstream_concurrency 30`, or `upstream_concurrency 30 5s` with the time to wait for a place"
	if len(args) == 0 || len(args) > 2 {
		return d.Err(usage)
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return d.Errf("%s is no whole number of 1 or more. %s", args[0], usage)
	}
	l.UpstreamConcurrency = n
	if len(args) == 2 {
		wait, err := caddy.ParseDuration(args[1])
		if err != nil || wait <= 0 {
			return d.Errf("%s is no duration above zero. %s", args[1], usage)
		}
		l.UpstreamWait = caddy.Duration(wait)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*RateLimit)(nil)
