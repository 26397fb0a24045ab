package rolehandler

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
)

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_roles [<matcher>] <role>... {
//	    scopes any|all <scope>...
//	    owner  <placeholder>
//	    bypass <role>...|none
//	    shadow
//	}
func (h *Roles) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	h.AnyOf = d.RemainingArgs()
	return caddyfiletext.Block(d, map[string]func() error{
		"scopes": func() error {
			var all []string
			if err := caddyfiletext.Words(d, &all); err != nil {
				return err
			}
			if (all[0] != "any" && all[0] != "all") || len(all) == 1 {
				return d.Err("scopes: write `scopes any SCOPE...` or `scopes all SCOPE...`")
			}
			h.ScopeMode, h.Scopes = all[0], all[1:]
			return nil
		},
		"owner": func() error { return caddyfiletext.Word(d, &h.Owner) },
		"bypass": func() error {
			if err := caddyfiletext.Words(d, &h.Bypass); err != nil {
				return err
			}
			if len(h.Bypass) == 1 && h.Bypass[0] == "none" {
				h.Bypass, h.BypassNone = nil, true
			}
			return nil
		},
		"shadow": func() error { return caddyfiletext.Flag(d, &h.Shadow) },
	})
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Roles)(nil)
