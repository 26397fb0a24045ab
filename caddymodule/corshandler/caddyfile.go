package corshandler

import (
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_cors [<matcher>] [<origin>...] {
//	    origins         <origin>...
//	    origin_regexp   <expression>...
//	    methods         <method>...
//	    headers         <name>...|*
//	    expose          <name>...|*|none
//	    credentials
//	    max_age         <duration>
//	    private_network
//	}
func (h *CORS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	h.Origins = d.RemainingArgs()
	return caddyfiletext.Block(d, map[string]func() error{
		"origins": func() error {
			var more []string
			err := caddyfiletext.Words(d, &more)
			h.Origins = append(h.Origins, more...)
			return err
		},
		"origin_regexp": func() error {
			var more []string
			err := caddyfiletext.Words(d, &more)
			h.OriginRegexp = append(h.OriginRegexp, more...)
			return err
		},
		"methods":     func() error { return caddyfiletext.Words(d, &h.Methods) },
		"headers":     func() error { return caddyfiletext.Words(d, &h.Headers) },
		"expose":      func() error { return caddyfiletext.Words(d, &h.Expose) },
		"credentials": func() error { return caddyfiletext.Flag(d, &h.Credentials) },
		"max_age": func() error {
			h.MaxAge = new(caddy.Duration)
			return caddyfiletext.Duration(d, h.MaxAge)
		},
		"private_network": func() error { return caddyfiletext.Flag(d, &h.PrivateNetwork) },
	}, "origins", "origin_regexp")
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*CORS)(nil)
