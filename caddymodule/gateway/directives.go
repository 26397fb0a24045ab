package gateway

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// checkedHandler is a handler that can be checked against the app before it is
// provisioned.
type checkedHandler[T any] interface {
	*T
	caddyhttp.MiddlewareHandler
	caddyfile.Unmarshaler
	Check(app *App) error
}

// ParseDirective reads a directive and checks it against the global gateway block, so
// that an undefined role or tier is an error with file and line. It checks a copy, made
// through JSON like the running handler, so that the adapted configuration has only what
// was written and no default.
func ParseDirective[T any, P checkedHandler[T]](h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
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

// draftApp is the app of the global options. It has its policies and nothing else.
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
