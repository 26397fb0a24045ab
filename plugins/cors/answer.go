package cors

import (
	"net/http"
	"slices"
	"strings"

	"github.com/ainative/portcullis/plugins"
)

// Answer is what a policy has decided on one request.
type Answer struct {
	// Origin is what the request says of the page that sent it, several values with a
	// comma between them; empty for none.
	Origin string
	// Allowed says that the page may read the response.
	Allowed bool
	// Preflight says that a browser asks whether it may send a request. The answer to it
	// is the header alone, or Denial.
	Preflight bool
	// Denial is why a preflight is refused; nil for any other request.
	Denial *plugins.Denial

	policy  *Policy
	options bool
	// header is what rs/cors says to a preflight.
	header http.Header
}

// Bound is what the origin was held against, for `explain`.
func (a *Answer) Bound() string { return a.policy.allowed.origins }

// What an answer depends on. An answer without CORS headers depends on it too: a cache
// that kept it for one page would give it to the next. That of OPTIONS is one or the
// other by what a preflight asks.
const (
	varyOrigin  = "Origin"
	varyOptions = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"
)

// SetHeader sets the CORS headers of the response in place of any that it has, and
// adds to Vary what they depend on. It may be called again.
func (a *Answer) SetHeader(h http.Header) {
	for _, name := range responseHeaders {
		delete(h, name)
	}
	needed := varyOrigin
	if a.options {
		needed = varyOptions
	}
	addVary(h, needed)
	switch {
	case !a.Allowed || a.Denial != nil:
	case a.Preflight:
		for _, name := range responseHeaders {
			if v := a.header[name]; v != nil {
				h[name] = slices.Clone(v)
			}
		}
		a.setOrigin(h)
	default:
		a.setOrigin(h)
		if a.policy.expose != "" {
			h[exposeHeaders] = []string{a.policy.expose}
		}
		if a.policy.credentials {
			h[allowCredentials] = []string{"true"}
		}
	}
}

// setOrigin says who may read: everybody where the policy is for everybody, since a
// page that may read without being named may from any cache.
func (a *Answer) setOrigin(h http.Header) {
	origin := a.Origin
	if a.policy.origins.any && origin != nullOrigin {
		origin = anyOrigin
	}
	h[allowOrigin] = []string{origin}
}

// addVary adds names to Vary that are not in it, and makes one line of it.
func addVary(h http.Header, needed string) {
	lines := h["Vary"]
	if len(lines) == 0 || len(lines) == 1 && lines[0] == needed {
		h["Vary"] = []string{needed}
		return
	}
	var names []string
	for _, line := range append(slices.Clone(lines), needed) {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			if name == "*" {
				// It depends on everything.
				h["Vary"] = []string{"*"}
				return
			}
			if name != "" && !slices.ContainsFunc(names, func(known string) bool { return strings.EqualFold(known, name) }) {
				names = append(names, name)
			}
		}
	}
	h["Vary"] = []string{strings.Join(names, ", ")}
}
