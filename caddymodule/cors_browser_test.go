package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/internal/servertest"
)

// pageServer serves the pages of testdata/browser, each with variables in it, and gets
// what their scripts report.
type pageServer struct {
	*httptest.Server
	vars    *strings.Replacer
	reports chan map[string]string
}

func newPageServer(t *testing.T) *pageServer {
	t.Helper()
	p := &pageServer{reports: make(chan map[string]string, 1)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/report":
			var report map[string]string
			if err := json.NewDecoder(r.Body).Decode(&report); err == nil {
				p.reports <- report
			}
		case "/allowed.html", "/denied.html":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, p.vars.Replace(read(t, "testdata/browser"+r.URL.Path)))
		case "/ask.js":
			http.ServeFile(w, r, "testdata/browser/ask.js")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// report waits for the page.
func (p *pageServer) report(t *testing.T) map[string]string {
	t.Helper()
	select {
	case report := <-p.reports:
		return report
	case <-time.After(2 * time.Minute):
		t.Fatal("the page reports nothing")
		return nil
	}
}

// browse opens a page in a Chromium without a window.
func browse(t *testing.T, url string) {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		servertest.Missing(t, "Chromium")
	}
	// Not t.TempDir: processes of a browser that is killed write on for a moment.
	profile, err := os.MkdirTemp("", "browser") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--user-data-dir="+profile, url)
	cmd.Stdout, cmd.Stderr = said, said
	if err := servertest.Start(t, cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		until(t, "removing the browser's profile", func() bool { return os.RemoveAll(profile) == nil })
		if t.Failed() {
			t.Logf("Chromium said:\n%s", said)
		}
	})
}

// browserUpstream answers what the pages ask for.
func browserUpstream(t *testing.T) *upstream {
	t.Helper()
	up := newUpstream(t)
	echo := websocket.Server{Handler: func(ws *websocket.Conn) {
		// Who is calling, and what the gateway has left of the protocols.
		_, _ = fmt.Fprintf(ws, "%s %s", ws.Request().Header.Get("X-User-Id"), ws.Request().Header.Get("Sec-Websocket-Protocol"))
		_, _ = io.Copy(io.Discard, ws)
	}}
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/socket":
			echo.ServeHTTP(w, r)
		case r.URL.Path == "/422":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"detail":[{"loc":["body"],"msg":"no","type":"x"}]}`)
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\ndata: 2\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, "ok")
		}
	})
	return up
}

// What the docs say of browsers is what a browser does: the scripts of an allowed page
// read answers and refusals with the headers that they need, those of another page
// read nothing, and a WebSocket has its credential by the recipe.
func TestBrowser(t *testing.T) {
	up := browserUpstream(t)
	allowed, denied := newPageServer(t), newPageServer(t)
	_, recipe, _ := strings.Cut(read(t, "docs/recipes.md"), "\n## WebSockets from a browser\n")
	socketSite := ""
	for _, m := range fence.FindAllStringSubmatch(recipe, -1) {
		if m[1] == "caddyfile" {
			socketSite = strings.ReplaceAll(m[3], "localhost:8000", "$UPSTREAM")
			break
		}
	}
	socketPort := strconv.Itoa(caddyharness.FreePort(t))
	c := startText(t, gatewayOptions("")+`
	http://127.0.0.1:$PORT {
		gateway_errors
		gateway_cors `+allowed.URL+` {
			methods GET POST DELETE
		}
		@private not path /open/*
		gateway_auth @private
		@limited path /limited
		gateway_limit @limited {
			limit 1/1h
		}
		handle /nowhere {
		}
		handle /down {
			reverse_proxy 127.0.0.1:1
		}
		handle {
			reverse_proxy $UPSTREAM
		}
	}
	http://127.0.0.1:`+socketPort+" {\n"+socketSite+"\n}\n", "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u2","name":"browser"`)
	vars := strings.NewReplacer("$API", c.URL, "$DENIED", denied.URL, "$SOCKET", "ws://127.0.0.1:"+socketPort+"/socket",
		"$TOKEN", strings.TrimPrefix(bearer(t), "Bearer "), "$KEY", key.APIKey)
	allowed.vars, denied.vars = vars, vars
	browse(t, allowed.URL+"/allowed.html")

	got := allowed.report(t)
	for name, want := range map[string]string{
		"bearer":           "200 ok X-Request-Id",
		"key":              "200 ok X-Request-Id",
		"preflighted":      "200 ok X-Request-Id",
		"forbidden_method": "TypeError",
		"forbidden_header": "TypeError",
		"unauthenticated":  `401 {"detail":"Could not validate credentials"} WWW-Authenticate X-Request-Id`,
		"bad_token":        `401 {"detail":"Could not validate credentials"} WWW-Authenticate X-Request-Id`,
		"ambiguous":        `400 {"detail":"Bad Request"} X-Request-Id`,
		"unrouted":         `404 {"detail":"Not found"} X-Request-Id`,
		"validation":       `422 {"detail":[{"loc":["body"],"msg":"no","type":"x"}]} X-Request-Id`,
		"down":             `502 {"detail":"Bad gateway"} X-Request-Id`,
		"first":            "200 ok RateLimit X-RateLimit-Remaining X-Request-Id",
		"limited":          `429 {"detail":"Rate limit exceeded. Try again in 3600 seconds.","retry_after":3600} Retry-After RateLimit X-RateLimit-Remaining X-Request-Id`,
		"cookies":          "TypeError",
		"events":           "1,2",
		"stream":           "data: 1\n\ndata: 2",
		"socket":           "bearer: u1 bearer",
		"socket_key":       "bearer: u2 bearer",
		"socket_without":   "error",
		"socket_bad":       "error",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	other := denied.report(t)
	for name, want := range map[string]string{"simple": "TypeError", "preflighted": "TypeError", "open": "TypeError", "events": "error"} {
		if other[name] != want {
			t.Errorf("denied page, %s: got %q, want %q", name, other[name], want)
		}
	}
}
