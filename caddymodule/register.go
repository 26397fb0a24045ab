// Package caddymodule makes the gateway's policies Caddy modules: the app
// `gateway`, the handlers gateway_errors, gateway_accounts, gateway_auth,
// gateway_roles and gateway_limit, the matcher gateway_role, the admin API and the command
// `caddy gateway`. It is the only package that imports Caddy, and holds no
// policy: it reads configuration, calls the packages under plugins and writes
// what they decide.
package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/ainative/portcullis/caddymodule/command"
	_ "github.com/ainative/portcullis/caddymodule/proxyhandler"
)

// One init for everything: Caddy puts directives into the pipeline in the order
// in which they are registered.
func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(SQLiteStore{})
	caddy.RegisterModule(PostgresStore{})
	caddy.RegisterModule(MemoryLimiter{})
	caddy.RegisterModule(RedisLimiter{})
	caddy.RegisterModule(Errors{})
	caddy.RegisterModule(Accounts{})
	caddy.RegisterModule(Auth{})
	caddy.RegisterModule(Roles{})
	caddy.RegisterModule(RateLimit{})
	caddy.RegisterModule(MatchRole{})
	caddy.RegisterModule(Provider{})
	caddy.RegisterModule(Admin{})

	httpcaddyfile.RegisterGlobalOption("gateway", parseApp)
	httpcaddyfile.RegisterHandlerDirective("gateway_errors", parseHandler[Errors])
	httpcaddyfile.RegisterDirective("gateway_accounts", parseAccounts)
	httpcaddyfile.RegisterHandlerDirective("gateway_auth", parseHandler[Auth])
	httpcaddyfile.RegisterHandlerDirective("gateway_roles", parseHandler[Roles])
	httpcaddyfile.RegisterHandlerDirective("gateway_limit", parseHandler[RateLimit])

	// Inside `header`, so that the site's CORS headers are on refusals too, and
	// outside everything that can answer: `request_body` refuses what is too long.
	httpcaddyfile.RegisterDirectiveOrder("gateway_site", httpcaddyfile.Before, "tracing")
	httpcaddyfile.RegisterDirectiveOrder("gateway_errors", httpcaddyfile.Before, "request_body")
	// After rewrites, so that policies see the path that the upstream sees; accounts
	// before authentication, which would refuse who wants to log in.
	httpcaddyfile.RegisterDirectiveOrder("gateway_accounts", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_auth", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_roles", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_limit", httpcaddyfile.Before, "basicauth")
	httpcaddyfile.RegisterDirectiveOrder("gateway_proxy", httpcaddyfile.Before, "reverse_proxy")
}
