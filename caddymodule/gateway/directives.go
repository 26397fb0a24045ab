package gateway

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// policyHandler is a handler of ours that can be checked against the app before
// it is provisioned.
type policyHandler[T any] interface {
	*T
	caddyhttp.MiddlewareHandler
	caddyfile.Unmarshaler
	Check(app *App) error
}

// ParseHandler reads a directive and checks it against the global gateway block,
// so that a role or tier that is not defined is refused with file and line. What
// is checked is a copy that has gone through JSON, as the running one will: the
// adapted configuration holds what was written and no default.
func ParseHandler[T any, P policyHandler[T]](h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler, probe := P(new(T)), P(new(T))
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	app, err := draftApp(h)
	if err != nil {
		return nil, err
	}
	h.Reset()
	h.Next()
	encoded, err := json.Marshal(handler)
	if err == nil {
		err = json.Unmarshal(encoded, probe)
	}
	if err == nil {
		err = probe.Check(app)
	}
	if err != nil {
		return nil, h.WrapErr(err)
	}
	return handler, nil
}

// draftApp is the app as the global options have it, with its policies worked
// out and nothing else.
func draftApp(h httpcaddyfile.Helper) (*App, error) {
	app := new(App)
	if option, ok := h.Option("gateway").(httpcaddyfile.App); ok {
		if err := json.Unmarshal(option.Value, app); err != nil {
			return nil, h.WrapErr(err)
		}
	}
	if err := app.definePolicies(); err != nil {
		return nil, err
	}
	return app, nil
}
