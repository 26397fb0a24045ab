package roles

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ainative/portcullis/plugins"
)

// DetailForbidden is the public text of every 403.
const DetailForbidden = "Insufficient permissions"

// AdminRole passes the owner rule by default.
const AdminRole = "ADMIN"

// ScopeMode says how many of a policy's scopes a caller needs.
type ScopeMode string

// The scope modes.
const (
	AnyScope  ScopeMode = "any"
	AllScopes ScopeMode = "all"
)

// Policy is what a route requires of its callers. Every part that is set must hold, and at
// least one must be set.
type Policy struct {
	// AnyOf names the roles of which the caller needs one.
	AnyOf []string
	// Scopes needed, by Mode.
	Scopes []string
	Mode   ScopeMode
	// Owner requires that the caller's subject equals the owner of the resource, an
	// argument of Check.
	Owner bool
	// Bypass names roles that pass every part. Nil means that ADMIN, if it is defined,
	// passes the owner rule and nothing else.
	Bypass []string
}

// Validate checks the policy against the defined roles and returns every mistake.
func (p *Policy) Validate(h *Hierarchy) error {
	var errs []error
	if len(p.AnyOf) == 0 && len(p.Scopes) == 0 && !p.Owner {
		errs = append(errs, errors.New("nothing is asked of the caller: name at least one role, `scopes` or `owner`"))
	}
	for _, role := range slices.Concat(p.AnyOf, p.Bypass) {
		if !h.Knows(role) {
			errs = append(errs, fmt.Errorf("unknown role %s: define it with `role %s` in the global gateway block, or use one of %s",
				role, role, strings.Join(h.Names(), ", ")))
		}
	}
	if len(p.Scopes) != 0 && p.Mode != AnyScope && p.Mode != AllScopes {
		errs = append(errs, fmt.Errorf("scopes %s: write `scopes any SCOPE...` or `scopes all SCOPE...`", p.Mode))
	}
	return errors.Join(errs...)
}

// Check decides whether the caller may pass. A nil principal is an anonymous caller and
// gets 401. owner is the owner of the resource, if the policy requires one; an empty owner
// matches no caller.
func (p *Policy) Check(h *Hierarchy, caller *plugins.Principal, owner string) *plugins.Denial {
	if caller == nil {
		return &plugins.Denial{
			Status: 401, Reason: plugins.ReasonNotAuthenticated, Detail: "Could not validate credentials",
			Value: "nobody", Bound: "an authenticated caller",
		}
	}
	if h.GrantsAny(caller.Roles, p.Bypass) {
		return nil
	}
	if len(p.AnyOf) != 0 && !h.GrantsAny(caller.Roles, p.AnyOf) {
		return forbidden(plugins.ReasonRoleMissing, listed("roles", caller.Roles), listed("any of", p.AnyOf))
	}
	if len(p.Scopes) != 0 && !p.scopesHeld(caller.Scopes) {
		return forbidden(plugins.ReasonScopeMissing, listed("scopes", caller.Scopes), listed(string(p.Mode)+" of", p.Scopes))
	}
	if p.Owner && !p.owns(h, caller, owner) {
		if owner == "" {
			owner = "(no owner in the request)"
		}
		return forbidden(plugins.ReasonNotOwner, "subject "+caller.Subject, "owner "+owner)
	}
	return nil
}

// Describe returns what the caller has and what the policy requires, for `explain`.
func (p *Policy) Describe(caller *plugins.Principal) (value, bound string) {
	var has, asked []string
	if len(p.AnyOf) != 0 || len(p.Bypass) != 0 {
		has, asked = append(has, listed("roles", caller.Roles)), append(asked, listed("any of", p.AnyOf))
	}
	if len(p.Scopes) != 0 {
		has, asked = append(has, listed("scopes", caller.Scopes)), append(asked, listed(string(p.Mode)+" of", p.Scopes))
	}
	if p.Owner {
		has, asked = append(has, "subject "+caller.Subject), append(asked, "the owner of the resource")
	}
	return strings.Join(has, "; "), strings.Join(asked, "; ")
}

func (p *Policy) scopesHeld(held []string) bool {
	for _, scope := range p.Scopes {
		has := slices.Contains(held, scope)
		if has && p.Mode == AnyScope {
			return true
		}
		if !has && p.Mode == AllScopes {
			return false
		}
	}
	return p.Mode == AllScopes
}

func (p *Policy) owns(h *Hierarchy, caller *plugins.Principal, owner string) bool {
	if p.Bypass == nil && h.Knows(AdminRole) && h.Grants(caller.Roles, AdminRole) {
		return true
	}
	return owner != "" && owner == caller.Subject
}

func forbidden(reason plugins.Reason, value, bound string) *plugins.Denial {
	return &plugins.Denial{Status: 403, Reason: reason, Detail: DetailForbidden, Value: value, Bound: bound}
}

func listed(what string, items []string) string {
	if len(items) == 0 {
		return "no " + what
	}
	return what + " " + strings.Join(items, ", ")
}
