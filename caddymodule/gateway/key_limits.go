package gateway

import (
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// overrides remembers the policies of keys that have limits of their own, so
// that they are parsed once and not on each request.
type overrides struct {
	mu      sync.RWMutex
	sources map[string]*ratelimit.Source
}

// maxOverrides bounds what is remembered; past it everything is forgotten.
const maxOverrides = 10_000

// override is the source of a key's own limits; nil where they can't be read, so
// that the tier's hold.
func (a *App) override(lines []string) *ratelimit.Source {
	key := lines[0]
	if len(lines) > 1 {
		key = strings.Join(lines, ";")
	}
	o := &a.overrides
	o.mu.RLock()
	source, known := o.sources[key]
	o.mu.RUnlock()
	if known {
		return source
	}
	policy, err := ratelimit.ParsePolicy("key", lines, 0)
	if err == nil {
		source = ratelimit.NewSource(string(ratelimit.LevelKey), policy)
	} else {
		a.logger.Error("limits of an API key can't be read, those of its tier hold", zap.Strings("limits", lines), zap.Error(err))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sources == nil || len(o.sources) >= maxOverrides {
		o.sources = map[string]*ratelimit.Source{}
	}
	o.sources[key] = source
	return source
}
