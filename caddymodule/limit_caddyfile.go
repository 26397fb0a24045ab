package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_limit [<matcher>] {
//	    zone        <name>
//	    limit       <count>/<duration> [burst <count>] [window strict]
//	    concurrency <count>
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
		return surplus(d, "gateway_limit takes a matcher and a block only")
	}
	return block(d, map[string]func() error{
		"zone":        func() error { return word(d, &l.Zone) },
		"limit":       func() error { return limitLine(d, &l.Limits) },
		"concurrency": func() error { return number(d, &l.Concurrency) },
		"by":          func() error { return word(d, &l.By) },
		"missing":     func() error { return word(d, &l.Missing) },
		"anonymous": func() error {
			var lines []string
			if err := limitLine(d, &lines); err != nil {
				return err
			}
			l.Anonymous = lines[0]
			return nil
		},
		"cost":        func() error { return word(d, &l.Cost) },
		"cost_header": func() error { return word(d, &l.CostHeader) },
		"headers":     func() error { return word(d, &l.Headers) },
		"shadow":      func() error { return flag(d, &l.Shadow) },
	}, "limit")
}

// limitLine reads and checks the words of one limit and appends them as a line.
func limitLine(d *caddyfile.Dispenser, into *[]string) error {
	var limit []string
	if err := words(d, &limit); err != nil {
		return err
	}
	line := strings.Join(limit, " ")
	if _, err := ratelimit.ParseLimits([]string{line}); err != nil {
		return d.WrapErr(err)
	}
	*into = append(*into, line)
	return nil
}

// number reads a whole number of 1 or more.
func number(d *caddyfile.Dispenser, into *int) error {
	name := d.Val()
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("%s %s: write a whole number of 1 or more", name, text)
	}
	*into = n
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*RateLimit)(nil)
