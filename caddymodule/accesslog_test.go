package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// accessLog is the site's directive for a log in the test's directory.
const accessLog = "log {\n output file $DIR/access.log\n format json\n}\n"

// logLine is what of an access log's line the tests look at.
type logLine struct {
	Request struct {
		URI string `json:"uri"`
	} `json:"request"`
	Status  int            `json:"status"`
	Gateway map[string]any `json:"gateway"`
}

// lineOf waits for the line of a URI in the access log.
func lineOf(t *testing.T, c *caddyharness.Caddy, uri string) logLine {
	t.Helper()
	var found logLine
	until(t, "logging "+uri, func() bool {
		text, _ := os.ReadFile(filepath.Join(c.Dir, "access.log"))
		for line := range strings.Lines(string(text)) {
			var parsed logLine
			if err := json.Unmarshal([]byte(line), &parsed); err == nil && parsed.Request.URI == uri {
				found = parsed
				return true
			}
		}
		return false
	})
	return found
}

func TestAccessLog(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 100/1h\n tier tiny 1/1h"), accessLog+`
	handle /bare {
		gateway_auth
	}
	handle /plain {
		respond ok
	}
	gateway_errors
	@all not path /bare /plain /open
	gateway_auth @all
	gateway_auth /open {
		optional
	}
	gateway_roles /admin ADMIN
	gateway_roles /shadow ADMIN {
		shadow
	}
	gateway_limit @all
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u9","tier":"tiny"`)
	token := bearer(t)
	for _, tc := range []struct {
		path    string
		headers []string
		status  int
		want    map[string]any
	}{
		{"/", []string{"Authorization", token}, 200, map[string]any{
			"decision": "allowed", "scheme": "bearer", "issuer": "main", "tier": "free", "limit": "free", "limit_remaining": 99.0,
		}},
		{"/key", []string{"X-API-Key", key.APIKey}, 200, map[string]any{
			"decision": "allowed", "scheme": "api_key", "key_id": key.ID, "tier": "tiny", "limit": "tiny", "limit_remaining": 0.0,
		}},
		{"/again", []string{"X-API-Key", key.APIKey}, 429, map[string]any{
			"decision": "refused", "policy": "gateway_limit", "reason": "rate_limited",
			"scheme": "api_key", "key_id": key.ID, "tier": "tiny", "limit": "tiny", "limit_remaining": 0.0,
		}},
		{"/nobody", nil, 401, map[string]any{"decision": "refused", "policy": "gateway_auth", "reason": "no_credential"}},
		{"/bare", nil, 401, map[string]any{"decision": "refused", "policy": "gateway_auth", "reason": "no_credential"}},
		{"/open", nil, 200, map[string]any{"decision": "allowed"}},
		{"/admin", []string{"Authorization", token}, 403, map[string]any{
			"decision": "refused", "policy": "gateway_roles", "reason": "role_missing", "scheme": "bearer", "issuer": "main", "tier": "free",
		}},
		{"/shadow", []string{"Authorization", token}, 200, map[string]any{
			"decision": "allowed", "scheme": "bearer", "issuer": "main", "tier": "free", "limit": "free", "limit_remaining": 98.0,
			"shadow": []any{"gateway_roles: role_missing"},
		}},
	} {
		answer := c.Get(tc.path, tc.headers...)
		line := lineOf(t, c, tc.path)
		if answer.Status != tc.status || line.Status != tc.status {
			t.Errorf("%s: got %d, in the log %d, want %d", tc.path, answer.Status, line.Status, tc.status)
		}
		tc.want["request_id"] = answer.Header.Get("X-Request-Id")
		if !reflect.DeepEqual(line.Gateway, tc.want) {
			t.Errorf("%s: got  %v\nwant %v", tc.path, line.Gateway, tc.want)
		}
	}
	// Where the gateway has decided nothing the line says nothing of it.
	c.Get("/plain")
	if line := lineOf(t, c, "/plain"); line.Gateway["decision"] != nil {
		t.Errorf("got %v", line.Gateway)
	}
}

// spans records what the test's tracing handler began.
var spans = tracetest.NewSpanRecorder()

func init() {
	caddy.RegisterModule(new(tracing))
	httpcaddyfile.RegisterHandlerDirective("test_tracing", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(tracing), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_tracing", httpcaddyfile.After, "tracing")
}

// tracing puts each request into a span, as Caddy's `tracing` does, and keeps it.
type tracing struct{}

func (*tracing) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_tracing", New: func() caddy.Module { return new(tracing) }}
}

func (*tracing) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

var tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")

func (*tracing) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	ctx, span := tracer.Start(r.Context(), r.URL.Path)
	defer span.End()
	return next.ServeHTTP(w, r.WithContext(ctx))
}

func TestTraces(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 100/1h\n tier tiny 1/1h"), `
	test_tracing
	gateway_errors
	gateway_auth
	gateway_roles /admin ADMIN
	gateway_roles /shadow ADMIN {
		shadow
	}
	gateway_limit
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"secret-owner","tier":"tiny"`)
	token := bearer(t, "sub", "secret-subject")
	for _, tc := range []struct {
		path    string
		headers []string
		want    map[attribute.Key]any
		events  []string
	}{
		{
			"/",
			[]string{"Authorization", token},
			map[attribute.Key]any{
				"gateway.decision": "allowed", "gateway.scheme": "bearer", "gateway.issuer": "main", "gateway.tier": "free",
				"gateway.limit": "free", "gateway.limit.remaining": int64(99),
			},
			[]string{"gateway_auth allowed ", "gateway_limit allowed "},
		},
		{
			"/key",
			[]string{"X-API-Key", key.APIKey},
			map[attribute.Key]any{
				"gateway.decision": "allowed", "gateway.scheme": "api_key", "gateway.key_id": key.ID, "gateway.tier": "tiny",
				"gateway.limit": "tiny", "gateway.limit.remaining": int64(0),
			},
			[]string{"gateway_auth allowed ", "gateway_limit allowed "},
		},
		{
			"/admin",
			[]string{"X-API-Key", key.APIKey},
			map[attribute.Key]any{
				"gateway.decision": "refused", "gateway.policy": "gateway_roles", "gateway.reason": "role_missing",
				"gateway.scheme": "api_key", "gateway.key_id": key.ID, "gateway.tier": "tiny",
			},
			[]string{"gateway_auth allowed ", "gateway_roles refused role_missing"},
		},
		{
			"/shadow",
			[]string{"Authorization", token},
			map[attribute.Key]any{
				"gateway.decision": "allowed", "gateway.scheme": "bearer", "gateway.issuer": "main", "gateway.tier": "free",
				"gateway.limit": "free", "gateway.limit.remaining": int64(98),
			},
			[]string{"gateway_auth allowed ", "gateway_roles shadow role_missing", "gateway_limit allowed "},
		},
		{
			"/nobody", nil,
			map[attribute.Key]any{"gateway.decision": "refused", "gateway.policy": "gateway_auth", "gateway.reason": "no_credential"},
			[]string{"gateway_auth refused no_credential"},
		},
	} {
		spans.Reset()
		answer := c.Get(tc.path, tc.headers...)
		span := endedSpan(t)
		tc.want["gateway.request_id"] = answer.Header.Get("X-Request-Id")
		got := map[attribute.Key]any{}
		for _, attr := range span.Attributes() {
			got[attr.Key] = attr.Value.AsInterface()
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got  %v\nwant %v", tc.path, got, tc.want)
		}
		var events []string
		for _, e := range span.Events() {
			set := attribute.NewSet(e.Attributes...)
			text := func(key attribute.Key) string { v, _ := set.Value(key); return v.AsString() }
			events = append(events, text("gateway.policy")+" "+text("gateway.decision")+" "+text("gateway.reason"))
		}
		if !reflect.DeepEqual(events, tc.events) {
			t.Errorf("%s: got the events %q, want %q", tc.path, events, tc.events)
		}
	}
}

// endedSpan waits for the span: it ends after the client has its answer.
func endedSpan(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	until(t, "ending a span", func() bool { return len(spans.Ended()) != 0 })
	return spans.Ended()[0]
}
