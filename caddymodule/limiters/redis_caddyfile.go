package limiters

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// UnmarshalCaddyfile reads the limiter. Syntax:
//
//	redis <url>... {
//	    mode       exact
//	    mode       bounded {
//	        error  <percent>
//	    }
//	    engine     redis_rate|native
//	    timeout    <duration>
//	    on_failure local|open|closed
//	    share      <fraction>
//	    nodes      <count>
//	}
func (l *RedisLimiter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // limiter name
	l.URLs = d.RemainingArgs()
	if len(l.URLs) == 0 {
		return d.Err("limiter redis needs a server: write `limiter redis redis://localhost:6379`")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"mode": func() error {
			if err := caddyfiletext.OneOf(d, &l.Mode, string(redisgcra.ModeExact), string(redisgcra.ModeBounded)); err != nil {
				return err
			}
			err := caddyfiletext.Block(d, map[string]func() error{"error": func() error { return caddyfiletext.Word(d, &l.Error) }})
			if err == nil {
				_, err = l.errorPart()
			}
			if err != nil {
				return d.WrapErr(err)
			}
			return nil
		},
		"engine": func() error {
			return caddyfiletext.OneOf(d, &l.Engine, string(redisgcra.EngineRedisRate), string(redisgcra.EngineNative))
		},
		"on_failure": func() error {
			return caddyfiletext.OneOf(d, &l.OnFailure, string(redisgcra.FailLocal), string(redisgcra.FailOpen), string(redisgcra.FailClosed))
		},
		"timeout": func() error { return caddyfiletext.Duration(d, &l.Timeout) },
		"nodes":   func() error { return caddyfiletext.Number(d, &l.Nodes) },
		"share": func() error {
			var text string
			if err := caddyfiletext.Word(d, &text); err != nil {
				return err
			}
			share, err := strconv.ParseFloat(text, 64)
			if err != nil || !(share > 0 && share <= 1) {
				return d.Errf("share %s: write a fraction above 0 and up to 1, like 0.5", text)
			}
			l.Share = share
			return nil
		},
	})
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*RedisLimiter)(nil)
