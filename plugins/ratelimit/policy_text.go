package ratelimit

import (
	"strconv"
	"strings"
)

// Text is the limits of a policy in the Caddyfile's own syntax, without its name.
func (p *Policy) Text() string {
	parts := make([]string, 0, len(p.Limits)+1)
	for _, limit := range p.Limits {
		parts = append(parts, limit.String())
	}
	if p.Concurrency != 0 {
		parts = append(parts, "concurrency "+strconv.Itoa(p.Concurrency))
	}
	return strings.Join(parts, ", ")
}
