// Package caddymodule makes the gateway's policies Caddy modules. It is all that a build
// needs to name: it brings in the rooms, each of which registers its own modules, and
// says in which order Caddy runs their directives. The rooms hold no policy: they read
// configuration, call the packages under plugins and write what those decide.
package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/ainative/portcullis/caddymodule/accounthandler"
	_ "github.com/ainative/portcullis/caddymodule/admin"
	_ "github.com/ainative/portcullis/caddymodule/authhandler"
	_ "github.com/ainative/portcullis/caddymodule/command"
	_ "github.com/ainative/portcullis/caddymodule/corshandler"
	_ "github.com/ainative/portcullis/caddymodule/errorhandler"
	_ "github.com/ainative/portcullis/caddymodule/gateway"
	_ "github.com/ainative/portcullis/caddymodule/limiters"
	_ "github.com/ainative/portcullis/caddymodule/limithandler"
	_ "github.com/ainative/portcullis/caddymodule/proxyhandler"
	_ "github.com/ainative/portcullis/caddymodule/rolehandler"
	_ "github.com/ainative/portcullis/caddymodule/stores"
)

// Caddy puts directives into the pipeline in the order in which this says so.
func init() {
	// Inside `header`, so that the site's CORS headers are on refusals too, and
	// outside everything that can answer: `request_body` refuses what is too long.
	httpcaddyfile.RegisterDirectiveOrder("gateway_site", httpcaddyfile.Before, "tracing")
	httpcaddyfile.RegisterDirectiveOrder("gateway_errors", httpcaddyfile.Before, "request_body")
	httpcaddyfile.RegisterDirectiveOrder("gateway_cors", httpcaddyfile.Before, "request_body")
	// After rewrites, so that policies see the path that the upstream sees; accounts
	// before authentication, which would refuse a caller that wants to log in.
	httpcaddyfile.RegisterDirectiveOrder("gateway_accounts", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_auth", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_roles", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_limit", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_proxy", httpcaddyfile.Before, "reverse_proxy")
}
