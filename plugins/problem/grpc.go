package problem

import (
	"net/http"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// A gRPC client reads its errors from grpc-status, never from the HTTP status. What
// the gateway refuses leaves as gRPC's Trailers-Only answer: HTTP 200, and the code
// and the text in the header
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses).

// The codes that an HTTP status becomes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
const (
	grpcCanceled           = 1
	grpcUnknown            = 2
	grpcInvalidArgument    = 3
	grpcDeadlineExceeded   = 4
	grpcPermissionDenied   = 7
	grpcResourceExhausted  = 8
	grpcFailedPrecondition = 9
	grpcAborted            = 10
	grpcUnimplemented      = 12
	grpcInternal           = 13
	grpcUnavailable        = 14
	grpcUnauthenticated    = 16
)

// GRPCContentType is the content type to answer a gRPC request with: its own, which
// is that of gRPC or of gRPC-Web. It is empty where the request is neither.
func GRPCContentType(requestContentType string) string {
	mediaType, _, _ := strings.Cut(requestContentType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	rest, ok := strings.CutPrefix(mediaType, "application/grpc")
	if !ok {
		return ""
	}
	for _, web := range []string{"-web-text", "-web"} {
		if after, ok := strings.CutPrefix(rest, web); ok {
			rest = after
			break
		}
	}
	if rest == "" {
		return mediaType
	}
	// The message format behind the plus is the client's own choice.
	if rest[0] != '+' || strings.Trim(rest[1:], "abcdefghijklmnopqrstuvwxyz0123456789.+-_") != "" {
		return ""
	}
	return mediaType
}

// GRPCStatus is the gRPC code of an HTTP status. It says what the gateway means,
// where gRPC's own table for proxies that don't speak gRPC only guesses: a 400 is
// INVALID_ARGUMENT and not INTERNAL, a 429 RESOURCE_EXHAUSTED and not UNAVAILABLE.
func GRPCStatus(status int) int {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity, http.StatusRequestHeaderFieldsTooLarge:
		return grpcInvalidArgument
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return grpcUnimplemented
	case http.StatusConflict:
		return grpcAborted
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return grpcFailedPrecondition
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return grpcDeadlineExceeded
	case http.StatusTooManyRequests:
		return grpcResourceExhausted
	case reading.StatusClientClosedRequest:
		return grpcCanceled
	case http.StatusInternalServerError:
		return grpcInternal
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return grpcUnavailable
	}
	return grpcUnknown
}

// GRPCMessage is a text as grpc-message carries it: percent-encoded, but for the
// printable ASCII other than the percent sign.
func GRPCMessage(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for i := range len(text) {
		if c := text[i]; c >= 0x20 && c <= 0x7e && c != '%' {
			b.WriteByte(c)
		} else {
			const upperHex = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

// GRPCText is the text of a problem for a client that gets no list of field errors.
func (p Problem) GRPCText() string {
	if s := reading.Summary(p.Fields); s != "" && len(p.Fields) > 0 {
		return s
	}
	return p.Detail
}
