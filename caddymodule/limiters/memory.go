// Package limiters has the modules of the namespace gateway.limiters.
package limiters

import (
	"context"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(MemoryLimiter{}) }

// MemoryLimiter counts in the memory of this process; each process counts for
// itself. Counts survive a reload, and those of a period of an hour or more a
// restart too: they are written to the store every two seconds.
type MemoryLimiter struct {
	// MaxKeys bounds the counts of one zone, one for each caller and period. A
	// changed bound holds from the next restart. Default: 1,000,000.
	MaxKeys int `json:"max_keys,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (MemoryLimiter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway.limiters.memory", New: func() caddy.Module { return new(MemoryLimiter) }}
}

// UnmarshalCaddyfile reads the limiter. Syntax:
//
//	memory {
//	    max_keys <count>
//	}
func (m *MemoryLimiter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // limiter name
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "limiter memory takes a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"max_keys": func() error { return caddyfiletext.Number(d, &m.MaxKeys) },
	})
}

// Zone implements LimiterProvider. MaxKeys holds for the first configuration that
// asks: the counts are worth more than a changed bound.
func (m *MemoryLimiter) Zone(name string) (ratelimit.Limiter, func(), error) {
	return gateway.AcquireMemory(name, m.MaxKeys)
}

// Health implements LimiterProvider. Memory is always there.
func (*MemoryLimiter) Health(context.Context) gateway.LimiterHealth {
	return gateway.LimiterHealth{Name: "memory"}
}

// Interface guards.
var (
	_ gateway.LimiterProvider = (*MemoryLimiter)(nil)
	_ caddyfile.Unmarshaler   = (*MemoryLimiter)(nil)
)
