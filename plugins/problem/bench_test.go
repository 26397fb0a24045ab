package problem

import (
	"net/http"
	"strings"
	"testing"
)

func BenchmarkTranslate(b *testing.B) {
	tr := newTranslator(b, Config{})
	for _, c := range []struct {
		name   string
		status int
		body   string
	}{
		{"fastapi string", 404, `{"detail":"Item not found"}`},
		{"fastapi fields", 422, `{"detail":[{"type":"missing","loc":["body","text"],"msg":"Field required","input":{"txt":"x"}}]}`},
		{"json message", 409, `{"statusCode":409,"message":"Order is shipped already","error":"Conflict"}`},
		{"field map", 422, `{"message":"The given data was invalid.","errors":{"email":["The email has already been taken."]}}`},
		{"page", 404, "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"},
		{"server error", 500, "dial tcp 10.0.12.7:5432: connect: connection refused\n"},
		{"empty", 502, ""},
		{"1 MiB clean", 400, `{"detail":"no","items":["` + strings.Repeat("some words, ", 1<<20/12-8) + `"]}`},
		{"1 MiB brackets", 400, strings.Repeat("[", 1<<20)},
	} {
		r := Response{Status: c.status, Header: http.Header{}, Body: []byte(c.body)}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tr.Translate(r)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	tr := newTranslator(b, Config{})
	p := Problem{Status: 429, Detail: RateLimitText(30), RetryAfter: 30}
	buf := make([]byte, 0, 512)
	for _, f := range []Format{FormatFastAPI, FormatProblem} {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = tr.Append(buf[:0], p, f, Env{RequestID: "0196f1c0-7a5e-7c3b-9d55-3a9a52f4b7d1"})
			}
		})
	}
}

func BenchmarkAcceptsProblem(b *testing.B) {
	accept := []string{"text/html, application/json;q=0.9, */*;q=0.8"}
	b.ReportAllocs()
	for b.Loop() {
		AcceptsProblem(accept)
	}
}
