package gateway

import (
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// keyLimits caches the parsed limits of API keys that have limits of their own.
type keyLimits struct {
	mu      sync.RWMutex
	sources map[string]*ratelimit.Source
}

// maxKeyLimits is how many sources are cached. A full cache is cleared.
const maxKeyLimits = 10_000

// keySource is the source of a key's own limits; nil if they can't be parsed, so that the
// tier's hold.
func (a *App) keySource(lines []string) *ratelimit.Source {
	key := lines[0]
	if len(lines) > 1 {
		key = strings.Join(lines, ";")
	}
	o := &a.keyLimits
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
	if o.sources == nil || len(o.sources) >= maxKeyLimits {
		o.sources = map[string]*ratelimit.Source{}
	}
	o.sources[key] = source
	return source
}
