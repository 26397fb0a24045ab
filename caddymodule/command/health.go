package command

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Shows whether the gateway can decide",
		Args:  cobra.NoArgs,
		RunE: withClient(func(c *client, _ []string) error {
			raw, err := c.ask(http.MethodGet, pathTo("health"), nil)
			refused, unhealthy := errors.AsType[*refusal](err)
			switch {
			case unhealthy && refused.text == "":
				// 503 with the state of each part: print it, and fail.
				raw = refused.body
			case err != nil:
				return err
			}
			if err := tellAnswer(c, raw, c.tellHealth); err != nil || !unhealthy {
				return err
			}
			return errors.New("the gateway can't decide")
		}),
	}
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
