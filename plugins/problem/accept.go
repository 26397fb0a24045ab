package problem

import (
	"strconv"
	"strings"
)

// AcceptsProblem reports whether Accept asks for application/problem+json (RFC
// 9110 section 12.5.1): the exact type with q above zero, and no less wanted
// than application/json. Wildcards do not ask for it.
func AcceptsProblem(accept []string) bool {
	problem, json := -1.0, -1.0
	for _, line := range accept {
		for line != "" {
			var one string
			one, line, _ = strings.Cut(line, ",")
			mediaType, params, _ := strings.Cut(one, ";")
			switch mediaType = strings.TrimSpace(mediaType); {
			case strings.EqualFold(mediaType, "application/problem+json"):
				problem = max(problem, quality(params))
			case strings.EqualFold(mediaType, "application/json"):
				json = max(json, quality(params))
			}
		}
	}
	return problem > 0 && problem >= json
}

// quality reads the q parameter; a broken one is 0, none is 1.
func quality(params string) float64 {
	for params != "" {
		var one string
		one, params, _ = strings.Cut(params, ";")
		name, value, ok := strings.Cut(one, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
