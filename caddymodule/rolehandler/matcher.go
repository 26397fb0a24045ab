package rolehandler

import (
	"fmt"
	"net/http"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins/roles"
)

func init() { caddy.RegisterModule(MatchRole{}) }

// MatchRole matches requests of callers that have one of the roles, or a role that
// includes one. It matches no request before gateway_auth has run: use it on directives
// that come later, such as `reverse_proxy`.
type MatchRole struct {
	// The caller needs one of these roles.
	AnyOf []string `json:"any_of,omitempty"`

	hierarchy *roles.Hierarchy
}

// CaddyModule returns the Caddy module information.
func (MatchRole) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.gateway_role", New: func() caddy.Module { return new(MatchRole) }}
}

// UnmarshalCaddyfile reads the matcher. Syntax:
//
//	gateway_role <role>...
//
// If it is given several times, one of all the roles is enough.
func (m *MatchRole) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		given := d.RemainingArgs()
		if len(given) == 0 {
			return d.Err("gateway_role needs a role: write `gateway_role ROLE...`")
		}
		m.AnyOf = append(m.AnyOf, given...)
		if d.NextBlock(d.Nesting()) {
			return d.Err("gateway_role takes roles only, no block")
		}
	}
	return nil
}

// Provision takes the roles from the gateway app.
func (m *MatchRole) Provision(ctx caddy.Context) error {
	app, err := gateway.FromContext(ctx)
	if err != nil {
		return err
	}
	m.hierarchy = app.Hierarchy()
	policy := roles.Policy{AnyOf: m.AnyOf}
	if err := policy.Validate(m.hierarchy); err != nil {
		return fmt.Errorf("gateway_role: %w", err)
	}
	return nil
}

// Match reports whether the caller has one of the roles.
func (m *MatchRole) Match(r *http.Request) bool {
	p := request.PrincipalOf(r.Context())
	return p != nil && m.hierarchy.GrantsAny(p.Roles, m.AnyOf)
}

// MatchWithError is Match; it can't fail.
func (m *MatchRole) MatchWithError(r *http.Request) (bool, error) { return m.Match(r), nil }

// CELLibrary makes the matcher usable in expressions:
//
//	expression gateway_role('ADMIN', 'DEVELOPER')
func (*MatchRole) CELLibrary(ctx caddy.Context) (cel.Library, error) {
	return caddyhttp.CELMatcherImpl(
		"gateway_role",
		"gateway_role_match_request_list",
		[]*cel.Type{cel.ListType(cel.StringType)},
		func(data ref.Val) (caddyhttp.RequestMatcherWithError, error) {
			list, err := data.ConvertToNative(stringSliceType)
			if err != nil {
				return nil, err
			}
			m := &MatchRole{AnyOf: list.([]string)}
			return m, m.Provision(ctx)
		},
	)
}

// stringSliceType is what a CEL list of strings becomes.
var stringSliceType = reflect.TypeFor[[]string]()

// Interface guards.
var (
	_ caddy.Provisioner                 = (*MatchRole)(nil)
	_ caddyfile.Unmarshaler             = (*MatchRole)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchRole)(nil)
	_ caddyhttp.CELLibraryProducer      = (*MatchRole)(nil)
)
