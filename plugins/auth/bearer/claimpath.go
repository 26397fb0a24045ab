package bearer

import "strings"

// claimPath finds one claim: alternatives in order, each a dotted path.
type claimPath []pathOption

type pathOption struct {
	whole string
	steps []string
}

// newClaimPath takes a configured path, or the defaults where it is empty.
func newClaimPath(configured string, defaults ...string) claimPath {
	if configured != "" {
		defaults = []string{configured}
	}
	path := make(claimPath, len(defaults))
	for i, d := range defaults {
		path[i] = pathOption{whole: d, steps: strings.Split(d, ".")}
	}
	return path
}

func (p claimPath) String() string { return p[0].whole }

// find returns the claim of the first alternative that is there, or nil. What is
// there in two ways (twice but for letter case, or as a dotted name and as a
// nested one) is ambiguous: two readers would see two identities.
//
// Blocked means that something on the way is not an object, so that the claim
// is malformed rather than absent.
func (p claimPath) find(claims *jsonValue) (v *jsonValue, blocked, ambiguous bool) {
	for i := range p {
		v, blocked, ambiguous = p[i].find(claims)
		if v != nil || blocked || ambiguous {
			return v, blocked, ambiguous
		}
	}
	return nil, false, false
}

func (o *pathOption) find(claims *jsonValue) (v *jsonValue, blocked, ambiguous bool) {
	if len(o.steps) == 1 {
		v, ambiguous = onlyMember(claims, o.whole)
		return v, false, ambiguous
	}
	whole, ambiguous := onlyMember(claims, o.whole)
	if ambiguous {
		return nil, false, true
	}
	v = claims
	for _, step := range o.steps {
		if v.kind != jsonObject {
			v, blocked = nil, true
			break
		}
		if v, ambiguous = onlyMember(v, step); v == nil || ambiguous {
			break
		}
	}
	if whole == nil {
		return v, blocked, ambiguous
	}
	if v != nil {
		return nil, false, true
	}
	return whole, false, false
}

// onlyMember returns the member of this name. A second one that differs only in
// letter case makes it ambiguous.
func onlyMember(object *jsonValue, name string) (v *jsonValue, ambiguous bool) {
	folded := 0
	for i := range object.members {
		m := &object.members[i]
		if m.name == name {
			v = &m.value
			folded++
		} else if strings.EqualFold(m.name, name) {
			folded++
		}
	}
	return v, v != nil && folded > 1
}
