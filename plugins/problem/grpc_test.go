package problem

import (
	"testing"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

func TestGRPCContentType(t *testing.T) {
	for contentType, want := range map[string]string{
		"application/grpc":                     "application/grpc",
		"application/grpc+proto":               "application/grpc+proto",
		"Application/gRPC+Proto; charset=x":    "application/grpc+proto",
		"application/grpc-web":                 "application/grpc-web",
		"application/grpc-web+proto":           "application/grpc-web+proto",
		"application/grpc-web-text":            "application/grpc-web-text",
		"application/grpc-web-text+proto":      "application/grpc-web-text+proto",
		"application/grpc-web-text+thrift;a=b": "application/grpc-web-text+thrift",
		"":                                     "",
		"application/json":                     "",
		"application/grpcx":                    "",
		"application/grpc-other":               "",
		"application/grpc+pro\r\nto":           "",
		"application/grpc+<b>":                 "",
		"text/application/grpc":                "",
	} {
		if got := GRPCContentType(contentType); got != want {
			t.Errorf("GRPCContentType(%q) = %q, want %q", contentType, got, want)
		}
	}
}

func TestGRPCStatus(t *testing.T) {
	for status, want := range map[int]int{
		400: 3, 401: 16, 403: 7, 404: 12, 405: 12, 408: 4, 409: 10, 412: 9, 413: 3, 415: 3, 418: 2, 421: 2, 422: 3, 429: 8, 431: 3, 499: 1,
		500: 13, 501: 12, 502: 14, 503: 14, 504: 4, 599: 2,
	} {
		if got := GRPCStatus(status); got != want {
			t.Errorf("GRPCStatus(%d) = %d, want %d", status, got, want)
		}
	}
}

func TestGRPCMessage(t *testing.T) {
	for text, want := range map[string]string{
		"Insufficient permissions":    "Insufficient permissions",
		"100% of é\r\nGrpc-Status: 0": "100%25 of %C3%A9%0D%0AGrpc-Status: 0",
		"":                            "",
		"~\x7f\x00":                   "~%7F%00",
	} {
		if got := GRPCMessage(text); got != want {
			t.Errorf("GRPCMessage(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestGRPCText(t *testing.T) {
	plain := Problem{Detail: "No such order"}
	if got := plain.GRPCText(); got != "No such order" {
		t.Errorf("got %q", got)
	}
	fields := Problem{Detail: "Unprocessable Entity", Fields: []reading.FieldError{{Loc: []any{"body", "age"}, Msg: "is too low"}, {Loc: []any{"body", "name"}, Msg: "required"}}}
	if got, want := fields.GRPCText(), "is too low; body.name: required"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
