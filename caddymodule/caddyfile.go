package caddymodule

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// block reads a block of subdirectives, each with its own parser, which finds the
// dispenser on the subdirective's name. Unknown and repeated names are errors
// with file and line: in a gateway a misspelt word that is passed over is an
// open door.
func block(d *caddyfile.Dispenser, parsers map[string]func() error, repeatable ...string) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse := parsers[name]
		if parse == nil {
			return d.Errf("unknown subdirective %s: write one of %s", name, strings.Join(slices.Sorted(maps.Keys(parsers)), ", "))
		}
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("subdirective %s is given twice: keep one", name)
		}
		seen[name] = true
		if err := parse(); err != nil {
			return err
		}
	}
	return nil
}

// word reads exactly one argument.
func word(d *caddyfile.Dispenser, into *string) error {
	name := d.Val()
	if !d.NextArg() {
		return d.Errf("%s needs a value: write `%s VALUE`", name, name)
	}
	*into = d.Val()
	if d.NextArg() {
		return surplus(d, name+" takes one value")
	}
	return nil
}

// words reads one argument or more.
func words(d *caddyfile.Dispenser, into *[]string) error {
	name := d.Val()
	*into = d.RemainingArgs()
	if len(*into) == 0 {
		return d.Errf("%s needs a value: write `%s VALUE...`", name, name)
	}
	return nil
}

// oneOf reads one of a few words.
func oneOf(d *caddyfile.Dispenser, into *string, choices ...string) error {
	name := d.Val()
	if err := word(d, into); err != nil {
		return err
	}
	if !slices.Contains(choices, *into) {
		return d.Errf("%s %s: write %s", name, *into, strings.Join(choices, " or "))
	}
	return nil
}

// flag reads a subdirective without arguments.
func flag(d *caddyfile.Dispenser, into *bool) error {
	name := d.Val()
	if d.NextArg() {
		return surplus(d, name+" takes no value")
	}
	*into = true
	return nil
}

// surplus refuses the word on which the dispenser stands.
func surplus(d *caddyfile.Dispenser, takes string) error {
	return d.Errf("surplus word %s: %s", d.Val(), takes)
}

// policyHandler is a handler of ours that can be checked against the app before
// it is provisioned.
type policyHandler[T any] interface {
	*T
	caddyhttp.MiddlewareHandler
	caddyfile.Unmarshaler
	check(app *App) error
}

// parseHandler reads a directive and checks it against the global gateway block,
// so that a role or tier that is not defined is refused with file and line. What
// is checked is a copy that has gone through JSON, as the running one will: the
// adapted configuration holds what was written and no default.
func parseHandler[T any, P policyHandler[T]](h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
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
		err = probe.check(app)
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
