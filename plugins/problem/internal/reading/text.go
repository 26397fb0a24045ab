package reading

import "net/http"

// StatusClientClosedRequest is nginx's status, and Caddy's, for a client that
// left before the answer. Nobody reads the body; the log does.
const StatusClientClosedRequest = 499

// Text returns the fixed public text of a status. It is never empty: a status
// without a registered phrase gets that of its class.
func Text(status int) string {
	if s, ok := texts[status]; ok {
		return s
	}
	return Phrase(status)
}

// texts are the public texts that say it better than the phrase, or in other case.
var texts = map[int]string{
	http.StatusUnauthorized:        "Could not validate credentials",
	http.StatusForbidden:           "Insufficient permissions",
	http.StatusNotFound:            "Not found",
	http.StatusTooManyRequests:     "Rate limit exceeded. Try again later.",
	http.StatusInternalServerError: "Internal server error",
	http.StatusBadGateway:          "Bad gateway",
	http.StatusServiceUnavailable:  "Service unavailable",
	http.StatusGatewayTimeout:      "Gateway timeout",
}

// Phrase is the registered reason phrase of a status, or the usual one of a status
// that is not registered.
func Phrase(status int) string {
	if s := http.StatusText(status); s != "" {
		return s
	}
	if s, ok := unregistered[status]; ok {
		return s
	}
	if status >= 500 {
		return "Server Error"
	}
	return "Request Error"
}

// unregistered are the phrases of the statuses that Laravel, nginx, cPanel and
// Cloudflare made up.
var unregistered = map[int]string{
	419:                       "Page Expired",
	420:                       "Enhance Your Calm",
	StatusClientClosedRequest: "Client Closed Request",
	509:                       "Bandwidth Limit Exceeded",
	520:                       "Unknown Error",
	521:                       "Web Server Is Down",
	522:                       "Connection Timed Out",
	523:                       "Origin Is Unreachable",
	524:                       "A Timeout Occurred",
	525:                       "TLS Handshake Failed",
	526:                       "Invalid TLS Certificate",
	529:                       "Service Overloaded",
	530:                       "Origin Error",
}
