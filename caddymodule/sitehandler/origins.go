package sitehandler

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Origins is gateway_cors, which gives responses the headers that let pages read them.
type Origins interface {
	caddyhttp.MiddlewareHandler
	// Allows reports whether a request is of a page that may read the response.
	Allows(r *http.Request) bool
}

// originsOf returns the gateway_cors that stands around a refusal of the guard, nil where
// the sites of the host have none. No matcher can be asked about a path that has two
// readings: it is the first that allows the page, and the first of all where none
// does.
func (g *Guard) originsOf(r *http.Request) (first Origins) {
	for _, s := range g.sites {
		if len(s.origins) == 0 || !s.matchesHost(r) {
			continue
		}
		for _, o := range s.origins {
			if o.Allows(r) {
				return o
			}
		}
		if first == nil {
			first = s.origins[0]
		}
	}
	return first
}
