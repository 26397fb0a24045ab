package gateway

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// parseApp reads the global option.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("the global gateway block is given twice: write everything in one")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	d.Reset()
	d.Next()
	// Encoded before it is checked, so that the adapted configuration has only what was
	// written and no default.
	value, err := json.Marshal(app)
	if err == nil {
		err = app.definePolicies()
	}
	if err != nil {
		return nil, d.WrapErr(err)
	}
	return httpcaddyfile.App{Name: "gateway", Value: value}, nil
}

// UnmarshalCaddyfile reads the global option. Syntax:
//
//	gateway {
//	    store           sqlite [<path>]
//	    store           postgres <url> { ... }
//	    pepper          <secret>
//	    previous_pepper <secret>
//	    foreign_keys
//	    decisions       <count>
//	    memory_target   <size>|off
//	    limiter         memory|redis ...
//	    role            <name> [includes <name>...]
//	    tier            <name> <limit>
//	    tier <name> {
//	        limit       <count>/<duration> [burst <count>] [window strict] [tolerance <count>]
//	        concurrency <count>
//	    }
//	    owner <id> {
//	        tier        <name>
//	        limit       <count>/<duration> [burst <count>] [window strict] [tolerance <count>]
//	        concurrency <count>
//	    }
//	    default_tier    <name>
//	    default_role    <name>
//	    issuer <name> {
//	        secret           <secret>
//	        public_key       <pem or file>
//	        private_key      <pem or file>
//	        jwks             <url>
//	        discovery        <url>
//	        algorithms       <name>...
//	        iss              <value>
//	        audience         <value>...
//	        max_lifetime     <duration>
//	        leeway           <duration>
//	        require          <claim>...
//	        types            <typ>...
//	        claim            subject|role|tier|scope|token_id <path>
//	        refresh_interval <duration>
//	        max_stale        <duration>
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // option name
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "gateway takes a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"store":           func() error { return moduleLine(d, "gateway.stores", "store", &a.StoreRaw) },
		"limiter":         func() error { return moduleLine(d, "gateway.limiters", "limiter", &a.LimiterRaw) },
		"pepper":          func() error { return caddyfiletext.Secret(d, &a.Pepper) },
		"previous_pepper": func() error { return caddyfiletext.Secret(d, &a.PreviousPepper) },
		"foreign_keys":    func() error { return caddyfiletext.Flag(d, &a.ForeignKeys) },
		"decisions":       func() error { return caddyfiletext.Number(d, &a.Decisions) },
		"memory_target":   func() error { return caddyfiletext.Word(d, &a.MemoryTarget) },
		"role":            func() error { return a.roleLine(d) },
		"tier":            func() error { return a.tierLine(d) },
		"owner":           func() error { return a.ownerBlock(d) },
		"default_tier":    func() error { return caddyfiletext.Word(d, &a.DefaultTier) },
		"default_role":    func() error { return caddyfiletext.Word(d, &a.DefaultRole) },
		"issuer":          func() error { return a.issuerBlock(d) },
	}, "role", "tier", "owner", "issuer")
}

// moduleLine reads the name of a module of the namespace, and the module's own options.
func moduleLine(d *caddyfile.Dispenser, namespace, inlineKey string, into *json.RawMessage) error {
	if !d.NextArg() {
		return d.Errf("%s needs a kind: write `%s %s`", inlineKey, inlineKey, strings.Join(moduleNames(namespace), "|"))
	}
	name := d.Val()
	if _, err := caddy.GetModule(namespace + "." + name); err != nil {
		return d.Errf("unknown %s %s: write one of %s, or build with the module that has it", inlineKey, name, strings.Join(moduleNames(namespace), ", "))
	}
	unmarshaler, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return err
	}
	*into = caddyconfig.JSONModuleObject(unmarshaler, inlineKey, name, nil)
	return nil
}

func moduleNames(namespace string) []string {
	var names []string
	for _, module := range caddy.GetModules(namespace) {
		names = append(names, module.ID.Name())
	}
	return names
}

func (a *App) roleLine(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || (len(args) > 1 && args[1] != "includes") || len(args) == 2 {
		return d.Err("role: write `role NAME` or `role NAME includes NAME...`")
	}
	role := Role{Name: args[0]}
	if len(args) > 2 {
		role.Includes = args[2:]
	}
	a.Roles = append(a.Roles, role)
	return caddyfiletext.NoBlock(d, "role")
}

func (a *App) tierLine(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("tier: write `tier NAME 60/1m` or `tier NAME { limit 60/1m }`")
	}
	tier := Tier{Name: args[0]}
	if len(args) > 1 {
		tier.Limits = []string{strings.Join(args[1:], " ")}
	}
	err := caddyfiletext.Block(d, map[string]func() error{
		"limit":       func() error { return caddyfiletext.Limit(d, &tier.Limits) },
		"concurrency": func() error { return caddyfiletext.Number(d, &tier.Concurrency) },
	}, "limit")
	if err != nil {
		return err
	}
	limits, err := ratelimit.ParseLimits(tier.Limits)
	if err == nil {
		_, err = ratelimit.NewPolicy(tier.Name, limits, tier.Concurrency)
	}
	if err != nil {
		return d.WrapErr(fmt.Errorf("tier %s: %w", tier.Name, err))
	}
	a.Tiers = append(a.Tiers, tier)
	return nil
}

func (a *App) ownerBlock(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("owner needs an id: write `owner ID { limit 600/1m }`")
	}
	owner := Owner{ID: d.Val()}
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "owner takes an id and a block")
	}
	for _, other := range a.Owners {
		if other.ID == owner.ID {
			return d.Errf("owner %s is given twice: write one block with all of it", owner.ID)
		}
	}
	err := caddyfiletext.Block(d, map[string]func() error{
		"tier":        func() error { return caddyfiletext.Word(d, &owner.Tier) },
		"limit":       func() error { return caddyfiletext.Limit(d, &owner.Limits) },
		"concurrency": func() error { return caddyfiletext.Number(d, &owner.Concurrency) },
	}, "limit")
	if err != nil {
		return err
	}
	if owner.Tier == "" && len(owner.Limits) == 0 && owner.Concurrency == 0 {
		return d.Errf("owner %s %s", owner.ID, errEmptyOwner)
	}
	a.Owners = append(a.Owners, owner)
	return nil
}

func (a *App) issuerBlock(d *caddyfile.Dispenser) error {
	issuer := Issuer{At: fmt.Sprintf("%s:%d", d.File(), d.Line())}
	if !d.NextArg() {
		return d.Err("issuer needs a name: write `issuer NAME { ... }`")
	}
	issuer.Name = d.Val()
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "issuer takes a name and a block")
	}
	for _, other := range a.Issuers {
		if other.Name == issuer.Name {
			return d.Errf("issuer %s is defined twice: give the second another name", issuer.Name)
		}
	}
	err := caddyfiletext.Block(d, map[string]func() error{
		"secret": func() error {
			issuer.At = fmt.Sprintf("%s:%d", d.File(), d.Line())
			return caddyfiletext.Secret(d, &issuer.Secret)
		},
		"public_key":       func() error { return caddyfiletext.Secret(d, &issuer.PublicKey) },
		"private_key":      func() error { return caddyfiletext.Secret(d, &issuer.PrivateKey) },
		"jwks":             func() error { return caddyfiletext.Word(d, &issuer.JWKS) },
		"discovery":        func() error { return caddyfiletext.Word(d, &issuer.Discovery) },
		"algorithms":       func() error { return caddyfiletext.Words(d, &issuer.Algorithms) },
		"iss":              func() error { return caddyfiletext.Word(d, &issuer.Iss) },
		"audience":         func() error { return caddyfiletext.Words(d, &issuer.Audiences) },
		"max_lifetime":     func() error { return caddyfiletext.Duration(d, &issuer.MaxLifetime) },
		"leeway":           func() error { issuer.Leeway = new(caddy.Duration); return caddyfiletext.Duration(d, issuer.Leeway) },
		"require":          func() error { return caddyfiletext.Words(d, &issuer.Require) },
		"types":            func() error { return caddyfiletext.Words(d, &issuer.Types) },
		"claim":            func() error { return claimLine(d, &issuer) },
		"refresh_interval": func() error { return caddyfiletext.Duration(d, &issuer.RefreshInterval) },
		"max_stale":        func() error { return caddyfiletext.Duration(d, &issuer.MaxStale) },
	}, "claim")
	if err != nil {
		return err
	}
	a.Issuers = append(a.Issuers, issuer)
	return nil
}

func claimLine(d *caddyfile.Dispenser, issuer *Issuer) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("claim: write `claim subject|role|tier|scope|token_id PATH`")
	}
	if issuer.Claims == nil {
		issuer.Claims = map[string]string{}
	}
	if _, twice := issuer.Claims[args[0]]; twice {
		return d.Errf("claim %s is given twice: keep one", args[0])
	}
	issuer.Claims[args[0]] = args[1]
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*App)(nil)
