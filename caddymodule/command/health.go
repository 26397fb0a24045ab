package command

import (
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
	switch unhealthy := ok && refused.text == ""; {
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

func (c *client) tellHealth(h adminapi.Health) {
	c.out.linef("%s: %s, %d revocations", h.Status, h.Store.Name, h.Store.Revocations)
	if h.Store.Error != nil {
		c.out.linef("store %s: error %s", h.Store.Name, *h.Store.Error)
	}
	if redis := h.Limiter.Redis; redis != nil {
		c.out.linef("limiter redis at %s: breaker %s, %s", redis.Target, redis.Breaker, redis.Bound)
	} else {
		c.out.linef("limiter %s", h.Limiter.Name)
	}
	for _, i := range h.Issuers {
		c.out.linef("issuer %s (%s): usable %t, %d keys, error %s", i.Name, i.Source, i.Usable, i.Keys, textOr(i.Error))
	}
}
