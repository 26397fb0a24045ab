package problem

import (
	"net/http"
	"strconv"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// Env is what a rendered body takes from the request.
type Env struct {
	// RequestID is the `instance` of RFC 9457.
	RequestID string
	// Lookup resolves the placeholders of a custom template that are not the
	// Problem's own. It may be nil.
	Lookup func(name string) (string, bool)
}

// Render writes p and returns the content type and the body.
func (t *Translator) Render(p Problem, as Format, env Env) (contentType string, body []byte) {
	return as.ContentType(), t.Append(make([]byte, 0, 256), p, as, env)
}

// Append writes p to dst. The result is always one JSON object in the format,
// whatever bytes p holds. A plain detail in the fastapi format allocates
// nothing when dst has room.
func (t *Translator) Append(dst []byte, p Problem, as Format, env Env) []byte {
	if p.Detail == "" {
		p.Detail = t.text(p.Status)
	}
	switch {
	case as == FormatProblem:
		return appendRFC9457(dst, p, env.RequestID)
	case as == FormatCustom && t.template != nil:
		return t.template.append(dst, p, env)
	}
	return appendFastAPI(dst, p)
}

func appendFastAPI(dst []byte, p Problem) []byte {
	dst = append(dst, `{"detail":`...)
	if len(p.Fields) > 0 {
		dst = appendFields(dst, p.Fields)
	} else {
		dst = appendJSONString(dst, p.Detail)
	}
	if p.Status == http.StatusTooManyRequests {
		dst = append(dst, `,"retry_after":`...)
		dst = strconv.AppendInt(dst, int64(floorRetryAfter(p.Status, p.RetryAfter)), 10)
	}
	return append(dst, '}')
}

// appendRFC9457 writes the members of RFC 9457 section 3.1, and `errors` and
// `retry_after` as extensions.
func appendRFC9457(dst []byte, p Problem, requestID string) []byte {
	dst = append(dst, `{"type":`...)
	dst = appendJSONString(dst, p.typeURI())
	dst = append(dst, `,"title":`...)
	dst = appendJSONString(dst, p.title())
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.Status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendJSONString(dst, p.Detail)
	if requestID != "" {
		dst = append(dst, `,"instance":`...)
		dst = appendJSONString(dst, requestID)
	}
	if len(p.Fields) > 0 {
		dst = append(dst, `,"errors":`...)
		dst = appendFields(dst, p.Fields)
	}
	if s := floorRetryAfter(p.Status, p.RetryAfter); s > 0 {
		dst = append(dst, `,"retry_after":`...)
		dst = strconv.AppendInt(dst, int64(s), 10)
	}
	return append(dst, '}')
}

// typeURI is RFC 9457's type; about:blank means that the status says it all.
func (p Problem) typeURI() string {
	if p.Type != "" {
		return p.Type
	}
	return "about:blank"
}

// title is RFC 9457's title: for about:blank the status phrase.
func (p Problem) title() string {
	if p.Title != "" {
		return p.Title
	}
	return reading.Phrase(p.Status)
}

func appendFields(dst []byte, fields []reading.FieldError) []byte {
	dst = append(dst, '[')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"loc":[`...)
		for j, l := range f.Loc {
			if j > 0 {
				dst = append(dst, ',')
			}
			switch l := l.(type) {
			case int64:
				dst = strconv.AppendInt(dst, l, 10)
			case int:
				dst = strconv.AppendInt(dst, int64(l), 10)
			case string:
				dst = appendJSONString(dst, l)
			default:
				dst = append(dst, `""`...)
			}
		}
		dst = append(dst, `],"msg":`...)
		dst = appendJSONString(dst, f.Msg)
		dst = append(dst, `,"type":`...)
		dst = appendJSONString(dst, f.Type)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
