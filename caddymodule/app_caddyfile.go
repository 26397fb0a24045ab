package caddymodule

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

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
	// Encoded before it is checked, so that the adapted configuration holds what
	// was written and no default.
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
//	        limit       <count>/<duration> [burst <count>] [window strict]
//	        concurrency <count>
//	    }
//	    owner <id> {
//	        tier        <name>
//	        limit       <count>/<duration> [burst <count>] [window strict]
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
		return surplus(d, "gateway takes a block only")
	}
	return block(d, map[string]func() error{
		"store":           func() error { return guest(d, "gateway.stores", "store", &a.StoreRaw) },
		"limiter":         func() error { return guest(d, "gateway.limiters", "limiter", &a.LimiterRaw) },
		"pepper":          func() error { return secretWord(d, &a.Pepper) },
		"previous_pepper": func() error { return secretWord(d, &a.PreviousPepper) },
		"foreign_keys":    func() error { return flag(d, &a.ForeignKeys) },
		"decisions":       func() error { return number(d, &a.Decisions) },
		"memory_target":   func() error { return word(d, &a.MemoryTarget) },
		"role":            func() error { return a.roleLine(d) },
		"tier":            func() error { return a.tierLine(d) },
		"owner":           func() error { return a.ownerBlock(d) },
		"default_tier":    func() error { return word(d, &a.DefaultTier) },
		"default_role":    func() error { return word(d, &a.DefaultRole) },
		"issuer":          func() error { return a.issuerBlock(d) },
	}, "role", "tier", "owner", "issuer")
}

// guest reads a module that can be of several kinds: its name and what follows.
func guest(d *caddyfile.Dispenser, namespace, inlineKey string, into *json.RawMessage) error {
	if !d.NextArg() {
		return d.Errf("%s needs a kind: write `%s %s`", inlineKey, inlineKey, strings.Join(guestNames(namespace), "|"))
	}
	name := d.Val()
	if _, err := caddy.GetModule(namespace + "." + name); err != nil {
		return d.Errf("unknown %s %s: write one of %s, or build with the module that has it", inlineKey, name, strings.Join(guestNames(namespace), ", "))
	}
	unmarshaler, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return err
	}
	*into = caddyconfig.JSONModuleObject(unmarshaler, inlineKey, name, nil)
	return nil
}

func guestNames(namespace string) []string {
	var names []string
	for _, module := range caddy.GetModules(namespace) {
		names = append(names, module.ID.Name())
	}
	return names
}

// secretWord reads one secret, which must not be empty. A placeholder stays a
// placeholder: it is resolved at provision.
func secretWord(d *caddyfile.Dispenser, into *string) error {
	name := d.Val()
	if err := word(d, into); err != nil {
		return err
	}
	return checkSecretWord(d, name, *into)
}

func checkSecretWord(d *caddyfile.Dispenser, name, secret string) error {
	if secret == "" {
		return d.Errf("%s is empty: write `%s {env.NAME}` or `%s {file./absolute/path}`", name, name, name)
	}
	if strings.HasPrefix(secret, "{file.") && !strings.HasPrefix(secret, "{file./") {
		return d.Errf("%s %s: give the file with its absolute path, like {file./etc/portcullis/secret}", name, secret)
	}
	return nil
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
	return noBlock(d, "role")
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
	err := block(d, map[string]func() error{
		"limit":       func() error { return limitLine(d, &tier.Limits) },
		"concurrency": func() error { return number(d, &tier.Concurrency) },
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
		return surplus(d, "owner takes an id and a block")
	}
	for _, other := range a.Owners {
		if other.ID == owner.ID {
			return d.Errf("owner %s is given twice: write one block with all of it", owner.ID)
		}
	}
	err := block(d, map[string]func() error{
		"tier":        func() error { return word(d, &owner.Tier) },
		"limit":       func() error { return limitLine(d, &owner.Limits) },
		"concurrency": func() error { return number(d, &owner.Concurrency) },
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
		return surplus(d, "issuer takes a name and a block")
	}
	for _, other := range a.Issuers {
		if other.Name == issuer.Name {
			return d.Errf("issuer %s is defined twice: give the second another name", issuer.Name)
		}
	}
	err := block(d, map[string]func() error{
		"secret": func() error {
			issuer.At = fmt.Sprintf("%s:%d", d.File(), d.Line())
			return secretWord(d, &issuer.Secret)
		},
		"public_key":       func() error { return secretWord(d, &issuer.PublicKey) },
		"private_key":      func() error { return secretWord(d, &issuer.PrivateKey) },
		"jwks":             func() error { return word(d, &issuer.JWKS) },
		"discovery":        func() error { return word(d, &issuer.Discovery) },
		"algorithms":       func() error { return words(d, &issuer.Algorithms) },
		"iss":              func() error { return word(d, &issuer.Iss) },
		"audience":         func() error { return words(d, &issuer.Audiences) },
		"max_lifetime":     func() error { return duration(d, &issuer.MaxLifetime) },
		"leeway":           func() error { issuer.Leeway = new(caddy.Duration); return duration(d, issuer.Leeway) },
		"require":          func() error { return words(d, &issuer.Require) },
		"types":            func() error { return words(d, &issuer.Types) },
		"claim":            func() error { return claimLine(d, &issuer) },
		"refresh_interval": func() error { return duration(d, &issuer.RefreshInterval) },
		"max_stale":        func() error { return duration(d, &issuer.MaxStale) },
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

// duration reads a duration in Caddy's form, days included.
func duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	name := d.Val()
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil || parsed < 0 {
		return d.Errf("%s %s is not a duration: write one like 30s, 5m, 8h or 1d", name, text)
	}
	*into = caddy.Duration(parsed)
	return nil
}

// noBlock refuses a block behind a line that takes none.
func noBlock(d *caddyfile.Dispenser, name string) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("%s takes no block", name)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*App)(nil)
