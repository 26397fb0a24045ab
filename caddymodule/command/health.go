package command

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func healthCommand() *cobra.Command {
	return leaf("health", "Shows whether the gateway can decide", cobra.NoArgs, func(c *client, _ []string) error { return c.health() })
}

// errUnhealthy makes the command fail where the answer is 503.
var errUnhealthy = errors.New("the gateway can't decide every request")

// health prints how the parts of the gateway do. An answer of 503 says so too, and
// is printed before the command fails.
func (c *client) health() error {
	raw, err := c.ask(http.MethodGet, pathTo("health"), nil)
	refused, ok := errors.AsType[*refusal](err)
	switch unhealthy := ok && isHealth(refused.body); {
	case unhealthy:
		if err := tellAnswer(c, refused.body, c.tellHealth); err != nil {
			return err
		}
		return errUnhealthy
	case err != nil:
		return err
	}
	return tellAnswer(c, raw, c.tellHealth)
}

// isHealth tells the answer of a gateway that can't decide from that of one that is
// not there: both have a detail.
func isHealth(body json.RawMessage) bool {
	var h adminapi.Health
	return json.Unmarshal(body, &h) == nil && h.Status != ""
}

func (c *client) tellHealth(h adminapi.Health) {
	c.out.linef("%s: %s, %d revocations", h.Status, h.Store.Name, h.Store.Revocations)
	for _, p := range h.Problems {
		if p.Since == nil {
			c.out.linef("%s %s: %s", p.Part, p.Status, p.Why)
		} else {
			c.out.linef("%s %s since %s: %s", p.Part, p.Status, *p.Since, p.Why)
		}
	}
	if redis := h.Limiter.Redis; redis != nil {
		c.out.linef("limiter redis at %s: breaker %s, %s, %d gateways", redis.Target, redis.Breaker, redis.Bound, redis.Gateways)
	} else {
		c.out.linef("limiter %s", h.Limiter.Name)
	}
	for _, i := range h.Issuers {
		c.out.linef("issuer %s (%s): usable %t, %d keys, error %s", i.Name, i.Source, i.Usable, i.Keys, textOr(i.Error))
	}
}
