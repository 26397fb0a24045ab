package roles

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ainative/portcullis/plugins"
)

func defaults(t testing.TB) *Hierarchy {
	t.Helper()
	h, err := NewHierarchy(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNewHierarchyRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		roles []Role
		want  string
	}{
		{"no name", []Role{{}}, "has no name"},
		{"comma", []Role{{Name: "a,b"}}, `character ','`},
		{"space", []Role{{Name: "a b"}}, `character ' '`},
		{"control character", []Role{{Name: "a\n"}}, `character '\n'`},
		{"placeholder", []Role{{Name: "{x}"}}, `character '{'`},
		{"end of a placeholder", []Role{{Name: "x}"}}, `character '}'`},
		{"quote", []Role{{Name: `a"`}}, `character '"'`},
		{"DEL", []Role{{Name: "a\x7f"}}, `character '\x7f'`},
		{"not ASCII", []Role{{Name: "RÔLE"}}, `character 'Ô'`},
		{"too long", []Role{{Name: strings.Repeat("a", 65)}}, "longer than 64"},
		{"twice", []Role{{Name: "A"}, {Name: "A"}}, "defined twice"},
		{"unknown", []Role{{Name: "A", Includes: []string{"B"}}}, "add `role B`"},
		{"itself", []Role{{Name: "A", Includes: []string{"A"}}}, "A includes A"},
		{"circle", []Role{{Name: "A", Includes: []string{"B"}}, {Name: "B", Includes: []string{"A"}}}, "A includes B includes A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewHierarchy(tc.roles)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestNewHierarchyTakes(t *testing.T) {
	long := strings.Repeat("a", 64)
	h, err := NewHierarchy([]Role{{Name: long}, {Name: "~!"}, {Name: "B"}, {Name: "C"}, {Name: "A", Includes: []string{"B", "C"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"A", "B", "C"} {
		if !h.Grants([]string{"A"}, wanted) {
			t.Errorf("A, which includes B and C, does not grant %s", wanted)
		}
	}
	if !h.Knows(long) || !h.Knows("~!") {
		t.Error("a good name is not known")
	}
}

func TestGrants(t *testing.T) {
	h := defaults(t)
	for _, tc := range []struct {
		held   string
		wanted string
		want   bool
	}{
		{"USER", "USER", true},
		{"USER", "DEVELOPER", false},
		{"DEVELOPER", "USER", true},
		{"ADMIN", "USER", true},
		{"ADMIN", "DEVELOPER", true},
		{"DEVELOPER", "ADMIN", false},
		{"admin", "ADMIN", false},
		{"ADMINISTRATOR", "ADMIN", false},
		{"", "USER", false},
		{"USER,ADMIN", "ADMIN", false},
		{"STRANGER", "STRANGER", true},
	} {
		if got := h.Grants([]string{tc.held}, tc.wanted); got != tc.want {
			t.Errorf("%q grants %q: got %v, want %v", tc.held, tc.wanted, got, tc.want)
		}
	}
	if h.Grants(nil, "USER") {
		t.Error("no roles grant USER")
	}
}

// A hierarchy is a pre-order: what a grants, and what that grants, a grants.
func TestGrantsIsTransitive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"A", "B", "C", "D", "E"}
		var list []Role
		for i, name := range names {
			// Only earlier ones, so that there is no circle.
			includes := rapid.SliceOfDistinct(rapid.IntRange(0, max(i-1, 0)), rapid.ID[int]).Draw(t, name)
			role := Role{Name: name}
			for _, j := range includes {
				if j < i {
					role.Includes = append(role.Includes, names[j])
				}
			}
			list = append(list, role)
		}
		h, err := NewHierarchy(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range names {
			for _, b := range names {
				for _, c := range names {
					if h.Grants([]string{a}, b) && h.Grants([]string{b}, c) && !h.Grants([]string{a}, c) {
						t.Fatalf("%s grants %s grants %s, but not %s grants %s", a, b, c, a, c)
					}
				}
			}
		}
	})
}

func TestCheck(t *testing.T) {
	h := defaults(t)
	caller := func(subject string, roles []string, scopes ...string) *plugins.Principal {
		return &plugins.Principal{Subject: subject, Roles: roles, Scopes: scopes}
	}
	user, dev, admin := []string{"USER"}, []string{"DEVELOPER"}, []string{"ADMIN"}
	for _, tc := range []struct {
		name   string
		policy Policy
		caller *plugins.Principal
		owner  string
		want   plugins.Reason // empty: may pass
		status int
	}{
		{"nobody", Policy{AnyOf: user}, nil, "", plugins.ReasonNotAuthenticated, 401},
		{"nobody, owner rule", Policy{Owner: true}, nil, "", plugins.ReasonNotAuthenticated, 401},
		{"the role", Policy{AnyOf: user}, caller("u1", user), "", "", 0},
		{"a role that includes it", Policy{AnyOf: user}, caller("u1", admin), "", "", 0},
		{"another role", Policy{AnyOf: admin}, caller("u1", dev), "", plugins.ReasonRoleMissing, 403},
		{"any of two", Policy{AnyOf: []string{"ADMIN", "DEVELOPER"}}, caller("u1", dev), "", "", 0},
		{"no roles at all", Policy{AnyOf: user}, caller("u1", nil), "", plugins.ReasonRoleMissing, 403},
		{"any scope", Policy{Scopes: []string{"a", "b"}, Mode: AnyScope}, caller("u1", nil, "b"), "", "", 0},
		{"no scope", Policy{Scopes: []string{"a", "b"}, Mode: AnyScope}, caller("u1", user, "c"), "", plugins.ReasonScopeMissing, 403},
		{"all scopes", Policy{Scopes: []string{"a", "b"}, Mode: AllScopes}, caller("u1", nil, "b", "a"), "", "", 0},
		{"not all scopes", Policy{Scopes: []string{"a", "b"}, Mode: AllScopes}, caller("u1", nil, "a"), "", plugins.ReasonScopeMissing, 403},
		{"role without scope", Policy{AnyOf: user, Scopes: []string{"a"}, Mode: AllScopes}, caller("u1", user), "", plugins.ReasonScopeMissing, 403},
		{"ADMIN does not pass scopes", Policy{Scopes: []string{"a"}, Mode: AllScopes}, caller("u1", admin), "", plugins.ReasonScopeMissing, 403},
		{"own resource", Policy{Owner: true}, caller("u1", user), "u1", "", 0},
		{"another's resource", Policy{Owner: true}, caller("u1", user), "u2", plugins.ReasonNotOwner, 403},
		{"nobody's resource", Policy{Owner: true}, caller("", user), "", plugins.ReasonNotOwner, 403},
		{"own by prefix", Policy{Owner: true}, caller("u1", user), "u10", plugins.ReasonNotOwner, 403},
		{"own by case", Policy{Owner: true}, caller("u1", user), "U1", plugins.ReasonNotOwner, 403},
		{"ADMIN and another's resource", Policy{Owner: true}, caller("root", admin), "u2", "", 0},
		{"no bypass", Policy{Owner: true, Bypass: []string{}}, caller("root", admin), "u2", plugins.ReasonNotOwner, 403},
		{"bypass by DEVELOPER", Policy{Owner: true, Bypass: dev}, caller("d", dev), "u2", "", 0},
		{"bypass by inclusion", Policy{Owner: true, Bypass: dev}, caller("a", admin), "u2", "", 0},
		{"bypass passes scopes", Policy{Scopes: []string{"a"}, Mode: AllScopes, Bypass: admin}, caller("a", admin), "", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.policy.Validate(h); err != nil {
				t.Fatal(err)
			}
			d := tc.policy.Check(h, tc.caller, tc.owner)
			if tc.want == "" {
				if d != nil {
					t.Fatalf("got %+v, want a pass", d)
				}
				return
			}
			if d == nil || d.Reason != tc.want || d.Status != tc.status {
				t.Fatalf("got %+v, want %d %s", d, tc.status, tc.want)
			}
			if tc.status == 403 && (d.Detail != DetailForbidden || d.Value == "" || d.Bound == "") {
				t.Errorf("got %+v, want the fixed text, a value and a bound", d)
			}
		})
	}
}

// Where ADMIN is not defined, a token that claims it passes no owner rule.
func TestUndefinedAdminIsNoBypass(t *testing.T) {
	h, err := NewHierarchy([]Role{{Name: "USER"}})
	if err != nil {
		t.Fatal(err)
	}
	policy := Policy{Owner: true}
	caller := &plugins.Principal{Subject: "root", Roles: []string{AdminRole}}
	if d := policy.Check(h, caller, "u2"); d == nil || d.Reason != plugins.ReasonNotOwner {
		t.Errorf("got %+v, want %s", d, plugins.ReasonNotOwner)
	}
}

// What `explain` prints.
func TestExplained(t *testing.T) {
	h := defaults(t)
	nobody := &plugins.Principal{Subject: "u1"}
	caller := &plugins.Principal{Subject: "u1", Roles: []string{"USER", "X"}, Scopes: []string{"a"}}
	for _, tc := range []struct {
		name         string
		policy       Policy
		caller       *plugins.Principal
		owner        string
		value, bound string
	}{
		{"no role", Policy{AnyOf: []string{"ADMIN"}}, nobody, "", "no roles", "any of ADMIN"},
		{"roles", Policy{AnyOf: []string{"ADMIN", "DEVELOPER"}}, caller, "", "roles USER, X", "any of ADMIN, DEVELOPER"},
		{"scopes", Policy{Scopes: []string{"b"}, Mode: AllScopes}, caller, "", "scopes a", "all of b"},
		{"another's", Policy{Owner: true}, caller, "u2", "subject u1", "owner u2"},
		{"nobody's", Policy{Owner: true}, caller, "", "subject u1", "owner (no owner in the request)"},
	} {
		d := tc.policy.Check(h, tc.caller, tc.owner)
		if d == nil || d.Value != tc.value || d.Bound != tc.bound {
			t.Errorf("%s: got %+v, want %q against %q", tc.name, d, tc.value, tc.bound)
		}
	}
	for _, tc := range []struct {
		policy       Policy
		value, bound string
	}{
		{Policy{AnyOf: []string{"USER"}}, "roles USER, X", "any of USER"},
		{Policy{Bypass: []string{"ADMIN"}, Owner: true}, "roles USER, X; subject u1", ""},
		{Policy{Scopes: []string{"a"}, Mode: AnyScope}, "scopes a", "any of a"},
		{Policy{Owner: true}, "subject u1", "the owner of the resource"},
	} {
		if value, bound := tc.policy.Describe(caller); value != tc.value || tc.bound != "" && bound != tc.bound {
			t.Errorf("%+v: got %q and %q, want %q and %q", tc.policy, value, bound, tc.value, tc.bound)
		}
	}
}

func TestValidate(t *testing.T) {
	h := defaults(t)
	for _, tc := range []struct {
		name   string
		policy Policy
		want   []string
	}{
		{"nothing asked", Policy{}, []string{"name at least one role"}},
		{"unknown role", Policy{AnyOf: []string{"ROOT"}}, []string{"unknown role ROOT", "ADMIN, DEVELOPER, USER"}},
		{"unknown bypass", Policy{Owner: true, Bypass: []string{"ROOT"}}, []string{"unknown role ROOT"}},
		{"every mistake", Policy{AnyOf: []string{"X", "Y"}}, []string{"unknown role X", "unknown role Y"}},
		{"scope mode", Policy{Scopes: []string{"a"}, Mode: "some"}, []string{"`scopes any SCOPE...`"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.policy.Validate(h)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error with %q", err, want)
				}
			}
		})
	}
	if got, want := h.Names(), []string{"ADMIN", "DEVELOPER", "USER"}; !slices.Equal(got, want) {
		t.Errorf("got names %v, want %v", got, want)
	}
}

func TestPrimary(t *testing.T) {
	h := defaults(t)
	for _, tc := range []struct {
		held []string
		want string
	}{
		{nil, ""},
		{[]string{"USER"}, "USER"},
		{[]string{"offline_access", "USER", "ADMIN"}, "USER"},
		{[]string{"ADMIN", "USER"}, "ADMIN"},
		{[]string{"x", "y"}, "x"},
		{[]string{"", "user", "DEVELOPER"}, "DEVELOPER"},
	} {
		if got := h.Primary(tc.held); got != tc.want {
			t.Errorf("of %q: got %q, want %q", tc.held, got, tc.want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	h := defaults(b)
	policy := Policy{AnyOf: []string{"USER"}}
	caller := &plugins.Principal{Roles: []string{"ADMIN"}}
	b.ReportAllocs()
	for b.Loop() {
		if policy.Check(h, caller, "") != nil {
			b.Fatal("refused")
		}
	}
}
