package caddymodule

import (
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// overrides remembers the policies of keys that have limits of their own, so
// that they are parsed once and not on each request.
type overrides struct {
	mu       sync.RWMutex
	policies map[string]*ratelimit.Policy
}

// maxOverrides bounds what is remembered; past it everything is forgotten.
const maxOverrides = 10_000

// override is the policy of a key's own limits; nil where they can't be read,
// so that the tier's hold.
func (a *App) override(lines []string) *ratelimit.Policy {
	key := lines[0]
	if len(lines) > 1 {
		key = strings.Join(lines, ";")
	}
	o := &a.overrides
	o.mu.RLock()
	policy, known := o.policies[key]
	o.mu.RUnlock()
	if known {
		return policy
	}
	policy, err := parsePolicy("key", lines, 0)
	if err != nil {
		a.logger.Error("limits of an API key can't be read, those of its tier hold", zap.Strings("limits", lines), zap.Error(err))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.policies == nil || len(o.policies) >= maxOverrides {
		o.policies = map[string]*ratelimit.Policy{}
	}
	o.policies[key] = policy
	return policy
}
