package problem

import (
	"mime"
	"net/http"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// entityHeaders describe the body that is replaced (RFC 9110 section 8 and
// 14.4, RFC 9530, RFC 6266), or how it was framed. Everything else belongs to
// the response and stays: challenges, cookies, CORS, HSTS, caching, rate limits.
var entityHeaders = []string{
	"Accept-Ranges",
	"Content-Digest",
	"Content-Disposition",
	"Content-Encoding",
	"Content-Language",
	"Content-Length",
	"Content-Location",
	"Content-Md5",
	"Content-Range",
	"Content-Type",
	"Digest",
	"Etag",
	"Last-Modified",
	"Repr-Digest",
	"Trailer",
	"Transfer-Encoding",
	"Signature",
	"Signature-Input",
}

// StripEntityHeaders removes what described a body that was replaced. Callers
// set Content-Type and Content-Length for the new one.
func StripEntityHeaders(h http.Header) {
	for _, name := range entityHeaders {
		delete(h, name)
	}
	// A map filled by hand may hold other spellings.
	for name := range h {
		if canonical := http.CanonicalHeaderKey(name); canonical != name {
			for _, entity := range entityHeaders {
				if strings.EqualFold(canonical, entity) {
					delete(h, name)
				}
			}
		}
	}
}

// PassedContentType makes the Content-Type of a body that passes byte for byte
// what the contract says of every error: application/json. One that says so
// already stays as it is.
func PassedContentType(h http.Header) {
	mediaType, params, err := mime.ParseMediaType(reading.Header(h, "Content-Type"))
	if charset := params["charset"]; err != nil || mediaType != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		h.Set("Content-Type", FormatFastAPI.ContentType())
	}
}
