package reading

import "net/http"

// StatusClientClosedRequest is nginx's status, and Caddy's, for a client that
// left before the answer. Nobody reads the body; the log does.
const StatusClientClosedRequest = 499

// Text returns the fixed public text of a status. It is never empty: a status
// without a registered phrase gets that of its class.
func Text(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Could not validate credentials"
	case http.StatusForbidden:
		return "Insufficient permissions"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusTooManyRequests:
		return "Rate limit exceeded. Try again later."
	case http.StatusInternalServerError:
		return "Internal server error"
	case http.StatusBadGateway:
		return "Bad gateway"
	case http.StatusServiceUnavailable:
		return "Service unavailable"
	case http.StatusGatewayTimeout:
		return "Gateway timeout"
	}
	return Phrase(status)
}

// Phrase is the registered reason phrase of a status, with those that
// net/http does not know.
func Phrase(status int) string {
	if s := http.StatusText(status); s != "" {
		return s
	}
	switch status {
	case 419:
		return "Page Expired"
	case 420:
		return "Enhance Your Calm"
	case StatusClientClosedRequest:
		return "Client Closed Request"
	case 509:
		return "Bandwidth Limit Exceeded"
	case 520:
		return "Unknown Error"
	case 521:
		return "Web Server Is Down"
	case 522:
		return "Connection Timed Out"
	case 523:
		return "Origin Is Unreachable"
	case 524:
		return "A Timeout Occurred"
	case 525:
		return "TLS Handshake Failed"
	case 526:
		return "Invalid TLS Certificate"
	case 529:
		return "Service Overloaded"
	case 530:
		return "Origin Error"
	}
	if status >= 500 {
		return "Server Error"
	}
	return "Request Error"
}
