// Package edge decides what a request may look like before any other policy
// reads it. It stands first in the request's way: what it lets through, every
// matcher, every policy and the upstream read alike.
//
//   - A request target that two servers could read as different paths is refused,
//     cleaned, or allowed by name: [PathPolicy].
//   - A method in small letters is refused: [CheckMethod].
//   - Headers that tell an upstream another path or method are removed:
//     [StripOverrides].
//   - Of all protocol upgrades only those that are named pass: [Upgrades].
package edge

import (
	"net/http"

	"github.com/ainative/portcullis/plugins"
)

// maxShown bounds what a denial quotes of a request, in bytes.
const maxShown = 256

// refuse is the denial of a request that can be read in two ways.
func refuse(reason plugins.Reason, value, bound string) *plugins.Denial {
	if len(value) > maxShown {
		value = value[:maxShown] + "..."
	}
	return &plugins.Denial{Status: http.StatusBadRequest, Reason: reason, Value: value, Bound: bound}
}

// CheckMethod refuses a method that two servers could read differently. Methods
// are case-sensitive (RFC 9110 section 9.1), but Django, Werkzeug and others take
// `delete` for DELETE, so that a rule for DELETE would not see it. CONNECT asks for
// a tunnel, which has no path to judge.
func CheckMethod(method string) *plugins.Denial {
	if method == http.MethodConnect {
		return refuse(plugins.ReasonAmbiguousMethod, method, "a method other than CONNECT: this is no forward proxy")
	}
	for i := range len(method) {
		if 'a' <= method[i] && method[i] <= 'z' {
			return refuse(plugins.ReasonAmbiguousMethod, method[:min(len(method), 16)], "a method in capitals")
		}
	}
	return nil
}
