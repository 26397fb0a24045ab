package bearer

import (
	"context"
	"time"
)

// keySource is where an issuer's keys come from.
type keySource interface {
	// current returns the keys to use at now, or nil when there are none that may be
	// believed. It never blocks.
	current(now time.Time) *keySet
	// consult asks the source about a kid that current doesn't have, or for any set
	// when there is none, and waits a bounded time. An error means that the source
	// could not be asked; a set without the kid means that it has no such key, asked
	// after the token was issued.
	consult(ctx context.Context, kid string, issued time.Time) (*keySet, error)
	// run keeps the keys fresh until ctx ends. It is nil-safe work for a goroutine of
	// its own; sources that never change return at once.
	run(ctx context.Context)
	// health fills in what the source knows about itself.
	health(h *IssuerHealth)
}

// fixedKeys are keys that never change: a secret or PEM in the configuration.
type fixedKeys struct{ set *keySet }

func newFixedKeys(keys ...*verifyKey) fixedKeys {
	return fixedKeys{set: &keySet{generation: 1, keys: keys}}
}

func (f fixedKeys) current(time.Time) *keySet                                   { return f.set }
func (f fixedKeys) consult(context.Context, string, time.Time) (*keySet, error) { return f.set, nil }
func (f fixedKeys) run(context.Context)                                         {}
func (f fixedKeys) health(h *IssuerHealth)                                      { h.fill(f.set) }
