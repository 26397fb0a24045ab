package errorhandler

import (
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
)

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_errors [<matcher>] {
//	    format          fastapi|problem|custom <template>
//	    format custom {
//	        template    <template>
//	    }
//	    max_body        <size>
//	    body_timeout    <idle> [<total>]
//	    server_messages hide|show
//	    server_timing
//	    shadow
//	    text            <status> <text>
//	    rule [status <status>] [contains <text>] {
//	        status      <status>
//	        retry_after <seconds or duration>
//	        detail      <text>|keep
//	    }
//	}
//
// text and rule may be given several times.
func (e *Errors) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "gateway_errors takes a matcher and a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"format":          func() error { return e.formatLine(d) },
		"max_body":        func() error { return caddyfiletext.Size(d, &e.MaxBody) },
		"body_timeout":    func() error { return e.bodyTimeoutLine(d) },
		"server_messages": func() error { return caddyfiletext.Word(d, &e.ServerMessages) },
		"server_timing":   func() error { return caddyfiletext.Flag(d, &e.ServerTiming) },
		"shadow":          func() error { return caddyfiletext.Flag(d, &e.Shadow) },
		"text":            func() error { return e.textLine(d) },
		"rule":            func() error { return e.ruleBlock(d) },
	}, "text", "rule")
}

func (e *Errors) formatLine(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 2 && args[0] == "custom":
		e.Template = args[1]
	case len(args) == 1:
	default:
		return d.Err(formatUsage)
	}
	e.Format = args[0]
	if len(args) == 1 && e.Format == "custom" {
		err := caddyfiletext.Block(d, map[string]func() error{"template": func() error { return caddyfiletext.Word(d, &e.Template) }})
		if err == nil && e.Template == "" {
			err = d.Err(formatUsage)
		}
		return err
	}
	return caddyfiletext.NoBlock(d, "format")
}

const formatUsage = "format: write `format fastapi`, `format problem`, or `format custom TEMPLATE` with the JSON template in backquotes"

func (e *Errors) bodyTimeoutLine(d *caddyfile.Dispenser) error {
	const usage = "body_timeout: write `body_timeout 1s 5s`, the time to wait for the next byte and for the whole body"
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 2 {
		return d.Err(usage)
	}
	for i, into := range []*caddy.Duration{&e.BodyIdleTimeout, &e.BodyTimeout}[:len(args)] {
		wait, err := caddy.ParseDuration(args[i])
		if err != nil || wait <= 0 {
			return d.Errf("%s is no duration above zero. %s", args[i], usage)
		}
		*into = caddy.Duration(wait)
	}
	return caddyfiletext.NoBlock(d, "body_timeout")
}

func (e *Errors) textLine(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("text: write `text STATUS \"TEXT\"`")
	}
	status, err := statusOf(d, args[0])
	if err != nil {
		return err
	}
	if _, twice := e.Texts[status]; twice {
		return d.Errf("text for status %d is given twice: keep one", status)
	}
	if e.Texts == nil {
		e.Texts = map[int]string{}
	}
	e.Texts[status] = args[1]
	return nil
}

func (e *Errors) ruleBlock(d *caddyfile.Dispenser) error {
	const usage = "rule: write `rule status 500 contains \"TEXT\" { status 503 retry_after 5 detail \"TEXT\" }`"
	var rule ErrorRule
	match := d.RemainingArgs()
	if len(match) == 0 || len(match)%2 != 0 {
		return d.Err(usage)
	}
	seen := map[string]bool{}
	for i := 0; i < len(match); i += 2 {
		name, value := match[i], match[i+1]
		if seen[name] {
			return d.Errf("rule: %s is given twice: keep one", name)
		}
		seen[name] = true
		switch name {
		case "status":
			var err error
			if rule.Status, err = statusOf(d, strings.TrimSuffix(value, "xx")); err != nil {
				return err
			}
		case "contains":
			rule.Contains = value
		default:
			return d.Errf("rule: unknown word %s. %s", name, usage)
		}
	}
	seen = map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		// Several pairs may stand on one line.
		pairs := append([]string{d.Val()}, d.RemainingArgs()...)
		if len(pairs)%2 != 0 {
			return d.Err(usage)
		}
		for i := 0; i < len(pairs); i += 2 {
			if seen[pairs[i]] {
				return d.Errf("rule: %s is given twice: keep one", pairs[i])
			}
			seen[pairs[i]] = true
			if err := rule.set(d, pairs[i], pairs[i+1]); err != nil {
				return err
			}
		}
	}
	e.Rules = append(e.Rules, rule)
	return nil
}

// set sets what the rule answers with.
func (rule *ErrorRule) set(d *caddyfile.Dispenser, name, value string) (err error) {
	switch name {
	case "status":
		rule.NewStatus, err = statusOf(d, value)
	case "retry_after":
		rule.RetryAfter, err = secondsOf(d, value)
	case "detail":
		if value == "keep" {
			rule.KeepDetail = true
		} else {
			rule.Detail = value
		}
	default:
		err = d.Errf("rule: unknown subdirective %s: write status, retry_after or detail", name)
	}
	return err
}

// statusOf reads an error status, or its first digit as a class.
func statusOf(d *caddyfile.Dispenser, text string) (int, error) {
	status, err := strconv.Atoi(text)
	if err != nil || (status != 4 && status != 5 && (status < 400 || status > 599)) {
		return 0, d.Errf("status %s: write an error status from 400 to 599", text)
	}
	return status, nil
}

// secondsOf reads a number of seconds, or a duration, rounded up.
func secondsOf(d *caddyfile.Dispenser, text string) (int, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n, nil
	}
	wait, err := caddy.ParseDuration(text)
	if err != nil || wait <= 0 {
		return 0, d.Errf("retry_after %s: write a number of seconds, or a duration like 5s", text)
	}
	return int((wait + time.Second - 1) / time.Second), nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Errors)(nil)
