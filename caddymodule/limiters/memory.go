// Package limiters has the modules of the namespace gateway.limiters.
package limiters

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

func init() { caddy.RegisterModule(MemoryLimiter{}) }

// MemoryLimiter counts in the memory of this process; each process counts alone. Counts
// survive a reload. Those of a period of an hour or more also survive a restart: they are
// written to the store every two seconds.
type MemoryLimiter struct {
	// MaxKeys is how many counts one zone may have, one for each caller and period. A
	// change takes effect at the next restart. Default: 1,000,000.
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

// Zone implements LimiterProvider. The first configuration sets MaxKeys: a change of it
// must not drop the counts.
func (m *MemoryLimiter) Zone(name string) (ratelimit.Limiter, func(), error) {
	return gateway.AcquireMemory(name, m.MaxKeys)
}

// Health implements LimiterProvider. Memory always works.
func (*MemoryLimiter) Health(context.Context) gateway.LimiterHealth {
	return gateway.LimiterHealth{Name: "memory"}
}

// Interface guards.
var (
	_ gateway.LimiterProvider = (*MemoryLimiter)(nil)
	_ caddyfile.Unmarshaler   = (*MemoryLimiter)(nil)
)
