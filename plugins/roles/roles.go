// Package roles authorizes callers by roles with a hierarchy, by scopes, and by ownership
// of the resource. It stands after authentication and before rate limits.
package roles

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Role is one role of a hierarchy.
type Role struct {
	Name string
	// Includes names the roles whose rights this one has too.
	Includes []string
}

// Defaults returns the default roles: ADMIN includes DEVELOPER, DEVELOPER includes USER.
func Defaults() []Role {
	return []Role{
		{Name: "USER"},
		{Name: "DEVELOPER", Includes: []string{"USER"}},
		{Name: "ADMIN", Includes: []string{"DEVELOPER"}},
	}
}

// Hierarchy has the roles that each role includes, directly or through others. It is
// immutable. Names are compared exactly.
type Hierarchy struct {
	has map[string]map[string]bool
}

// NewHierarchy makes the hierarchy of roles. Unknown, repeated and malformed names and
// cycles are errors.
func NewHierarchy(list []Role) (*Hierarchy, error) {
	direct := make(map[string][]string, len(list))
	for _, role := range list {
		if err := checkName(role.Name); err != nil {
			return nil, err
		}
		if _, twice := direct[role.Name]; twice {
			return nil, fmt.Errorf("role %s is defined twice: write it once, with everything that it includes", role.Name)
		}
		direct[role.Name] = role.Includes
	}
	h := &Hierarchy{has: make(map[string]map[string]bool, len(list))}
	for _, role := range list {
		has := map[string]bool{}
		if err := collect(role.Name, direct, has, nil); err != nil {
			return nil, err
		}
		h.has[role.Name] = has
	}
	return h, nil
}

func collect(name string, direct map[string][]string, has map[string]bool, path []string) error {
	if slices.Contains(path, name) {
		return fmt.Errorf("role %s includes itself: %s", name, strings.Join(append(path, name), " includes "))
	}
	has[name] = true
	for _, included := range direct[name] {
		if _, known := direct[included]; !known {
			return fmt.Errorf("role %s includes %s, which is not defined: add `role %s`, or name one of %s",
				name, included, included, strings.Join(slices.Sorted(maps.Keys(direct)), ", "))
		}
		if err := collect(included, direct, has, append(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkName rejects names that would be ambiguous in a header or a log.
func checkName(name string) error {
	if name == "" {
		return errors.New("a role has no name: write `role NAME`")
	}
	if len(name) > 64 {
		return fmt.Errorf("role name %.20s... is longer than 64 bytes", name)
	}
	for _, r := range name {
		if r <= ' ' || r > '~' || r == ',' || r == '"' || r == '{' || r == '}' {
			return fmt.Errorf("role name %q has the character %q: use letters, digits, - and _", name, r)
		}
	}
	return nil
}

// Names lists the roles, sorted.
func (h *Hierarchy) Names() []string { return slices.Sorted(maps.Keys(h.has)) }

// Knows reports whether the role is defined.
func (h *Hierarchy) Knows(name string) bool { return h.has[name] != nil }

// Primary is the caller's role where only one can be shown: the first role held that is
// defined, or the first if none is. A token may list roles of other systems before ours.
func (h *Hierarchy) Primary(held []string) string {
	for _, role := range held {
		if h.Knows(role) {
			return role
		}
	}
	if len(held) != 0 {
		return held[0]
	}
	return ""
}

// Grants reports whether the roles held include the role wanted. An undefined role
// includes itself only.
func (h *Hierarchy) Grants(held []string, wanted string) bool {
	for _, role := range held {
		if role == wanted || h.has[role][wanted] {
			return true
		}
	}
	return false
}

// GrantsAny is Grants for any of several roles.
func (h *Hierarchy) GrantsAny(held, wanted []string) bool {
	for _, role := range wanted {
		if h.Grants(held, role) {
			return true
		}
	}
	return false
}
