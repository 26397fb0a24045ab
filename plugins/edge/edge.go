// Package edge checks the form of a request before any other policy. After it, every
// matcher, every policy and the upstream read the request alike.
//
//   - A request target that two servers could read as different paths is refused,
//     cleaned, or allowed by name: [PathPolicy].
//   - A method in lower case is refused: [CheckMethod].
//   - Headers that give an upstream another path or method are removed:
//     [StripOverrides].
//   - Protocol upgrades are removed, unless they are allowed: [Upgrades].
package edge

import (
	"net/http"

	"github.com/ainative/portcullis/plugins"
)

// maxShown is the longest quotation of a request in a denial, in bytes.
const maxShown = 256

// refuse is the denial of an ambiguous request.
func refuse(reason plugins.Reason, value, bound string) *plugins.Denial {
	if len(value) > maxShown {
		value = value[:maxShown] + "..."
	}
	return &plugins.Denial{Status: http.StatusBadRequest, Reason: reason, Value: value, Bound: bound}
}

// CheckMethod refuses a method that two servers could read differently. Methods
// are case-sensitive (RFC 9110 section 9.1), but Django, Werkzeug and others take
// `delete` for DELETE, so that a rule for DELETE would not see it. CONNECT opens a
// tunnel, which has no path to check.
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
