package problem

import "net/http"

// Response is what an upstream answered.
type Response struct {
	// Status is the upstream's status.
	Status int
	// Header is the upstream's; it is only read.
	Header http.Header
	// Body is the body as sent, perhaps content-encoded.
	Body []byte
	// Truncated says that Body is not all of it: it was over max_body, or broke off.
	Truncated bool
	// Method of the request. A response to HEAD has no body to translate.
	Method string
}
