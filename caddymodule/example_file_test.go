package caddymodule_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// startExample serves Caddyfile.example on free ports.
func startExample(t *testing.T) (c *caddyharness.Caddy, url string) {
	t.Helper()
	return startExampleWith(t)
}

// startExampleWith is startExample with some texts replaced.
func startExampleWith(t *testing.T, replaced ...string) (c *caddyharness.Caddy, url string) {
	t.Helper()
	t.Setenv("PORTCULLIS_JWT_SECRET", testSecret)
	upstream := strconv.Itoa(caddyharness.FreePort(t))
	text := strings.NewReplacer("localhost:2019", "$ADMIN", ":8080", ":$PORT", ":9000", ":"+upstream).Replace(strings.NewReplacer(replaced...).Replace(read(t, "../Caddyfile.example")))
	c = caddyharness.Start(t, text)
	return c, strings.Replace(c.URL, "127.0.0.1", "localhost", 1)
}

// A URL of the demo API with a slash at its end is the same URL.
func TestExampleTakesBothSlashForms(t *testing.T) {
	c, url := startExample(t)
	admin := []string{"Authorization", bearer(t, "sub", "root", "role", "ADMIN", "tier", "enterprise")}
	for path, want := range map[string]int{
		"/healthz": 200, "/v1/items": 200, "/v1/items/1": 200, "/v1/database/projects": 200, "/v1/database/projects/1": 200,
		"/v1/database/query": 200, "/v1/webhooks": 200, "/v1/users/u1": 200, "/v1/admin": 200, "/v1/admin/users": 200,
		"/v1/fail/validation": 422, "/v1/fail/django": 400, "/v1/fail/crash": 500, "/v1/fail/database": 503, "/v1/nothing": 404,
	} {
		for _, form := range []string{path, path + "/"} {
			if got := c.Get(url+form, admin...); got.Status != want {
				t.Errorf("%s: got %d %s, want %d", form, got.Status, got.Body, want)
			}
		}
	}
	if got := c.Get(url + "/healthz/"); got.Status != 200 {
		t.Errorf("without a credential: got %d, want the open route to be open in both forms", got.Status)
	}
	if got := c.Get(url+"/v1/items", admin...).Header.Get("Server-Timing"); !strings.HasPrefix(got, "gateway;dur=") {
		t.Errorf("Server-Timing is %q", got)
	}
}

// encode stands outside the gateway's directives, as in the example: it compresses
// whole answers, and ETag, conditions, HEAD, ranges, errors and streams of events
// are what they are without it.
func TestEncodeAroundTheGateway(t *testing.T) {
	up := newUpstream(t)
	encode := regexp.MustCompile(`(?s)\tencode .*?\n\t}\n`).FindString(read(t, "../Caddyfile.example"))
	if encode == "" {
		t.Fatal("the example has no encode block")
	}
	c := start(t, gatewayOptions(""), encode+`
	gateway_errors {
		server_timing
	}
	gateway_auth
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	page := strings.Repeat("portcullis ", 1000)
	more := make(chan struct{})
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 2 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				<-more
			}
		case "/error":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<html><title>No such page</title></html>")
		default:
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("ETag", `"v1"`)
			http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
		}
	})
	auth, gzipped := bearer(t), []string{"Accept-Encoding", "gzip"}
	whole := c.Get("/page", append([]string{"Authorization", auth}, gzipped...)...)
	r, err := gzip.NewReader(strings.NewReader(whole.Body))
	if err != nil {
		t.Fatalf("it is not compressed: %v, %v", err, whole.Header)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != page {
		t.Errorf("the compressed page is another: %d bytes, %v", len(text), err)
	}
	// Caddy tells the compressed form apart by the ETag, and takes it back.
	tag := whole.Header.Get("ETag")
	if !strings.Contains(tag, "v1") || whole.Header.Get("Vary") != "Accept-Encoding" || whole.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("got %v", whole.Header)
	}
	for _, tc := range []struct {
		name    string
		method  string
		path    string
		headers []string
		status  int
		body    string
		header  string
		want    string
	}{
		{"without Accept-Encoding", "GET", "/page", nil, 200, page, "ETag", `"v1"`},
		{"not modified, compressed", "GET", "/page", append([]string{"If-None-Match", tag}, gzipped...), 304, "", "ETag", `"v1"`},
		{"not modified, plain", "GET", "/page", []string{"If-None-Match", `"v1"`}, 304, "", "ETag", `"v1"`},
		{"HEAD", "HEAD", "/page", nil, 200, "", "Content-Length", strconv.Itoa(len(page))},
		{"range", "GET", "/page", []string{"Range", "bytes=0-9"}, 206, page[:10], "Content-Range", fmt.Sprintf("bytes 0-9/%d", len(page))},
		{"range, and gzip is welcome", "GET", "/page", append([]string{"Range", "bytes=0-9"}, gzipped...), 206, page[:10], "Content-Encoding", ""},
		{"an upstream's error", "GET", "/error", gzipped, 404, `{"detail":"No such page"}`, "Content-Encoding", ""},
		{"a refusal", "GET", "/page", append([]string{"Authorization", "Bearer x"}, gzipped...), 401, `{"detail":"Could not validate credentials"}`, "Content-Encoding", ""},
	} {
		headers := tc.headers
		if tc.name != "a refusal" {
			headers = append([]string{"Authorization", auth}, headers...)
		}
		got := c.Do(tc.method, tc.path, "", headers...)
		if got.Status != tc.status || got.Body != tc.body || got.Header.Get(tc.header) != tc.want {
			t.Errorf("%s: got %d %.80q with %s %q, want %d %.80q with %q", tc.name, got.Status, got.Body, tc.header, got.Header.Get(tc.header), tc.status, tc.body, tc.want)
		}
	}

	// The first event is there before the upstream sends the second.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", auth)
	request.Header.Set("Accept-Encoding", "gzip")
	stream, err := c.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	for i := range 2 {
		event := make([]byte, len("data: 0\n\n"))
		if _, err := io.ReadFull(stream.Body, event); err != nil || string(event) != fmt.Sprintf("data: %d\n\n", i) {
			t.Errorf("event %d: got %q, %v", i, event, err)
		}
		more <- struct{}{}
	}
	if got := stream.Header.Get("Content-Encoding"); got != "" {
		t.Errorf("the stream of events has Content-Encoding %q", got)
	}
}
