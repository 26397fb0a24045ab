package proxyhandler

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("gateway_proxy", parseCaddyfile)
}

// parseCaddyfile reads the directive. Its syntax is that of reverse_proxy, word
// for word, because the same code reads it:
//
//	gateway_proxy [<matcher>] [<upstreams...>] {
//	    # as in reverse_proxy
//	}
func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	if err := h.FinalizeUnmarshalCaddyfile(helper); err != nil {
		return nil, err
	}
	return h, nil
}
