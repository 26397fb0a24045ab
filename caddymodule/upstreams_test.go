package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/internal/servertest"
)

// program is a real upstream that the test runs.
type program struct {
	t    testing.TB
	args []string
	dir  string
	port int
	cmd  *exec.Cmd
	log  *bytes.Buffer
}

// run starts a program that listens on port, and stops it with the test.
func run(t testing.TB, dir string, port int, args ...string) *program {
	t.Helper()
	servertest.Needed(t)
	p := &program{t: t, args: args, dir: dir, port: port, log: new(bytes.Buffer)}
	p.start()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", args[0], p.log)
		}
	})
	return p
}

func (p *program) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, p.log, p.log
	if err := servertest.Start(p.t, p.cmd); err != nil {
		p.t.Fatal(err)
	}
	await(p.t, "tcp", p.addr())
}

// signal sends a signal to the program and its children.
func (p *program) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *program) stop() {
	if p.cmd == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// ask asks the upstream itself, past the gateway.
func (p *program) ask(c *caddyharness.Caddy, path string, headers ...string) caddyharness.Response {
	p.t.Helper()
	return c.Get("http://"+p.addr()+path, headers...)
}

func fastAPI(t testing.TB) *program {
	t.Helper()
	python := ""
	for _, candidate := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(candidate, "-c", "import fastapi, uvicorn").Run() == nil {
			python = candidate
			break
		}
	}
	if python == "" {
		servertest.Missing(t, "FastAPI with uvicorn")
	}
	port := caddyharness.FreePort(t)
	return run(t, filepath.Join("testdata", "fastapi"), port, python, "-B", "-m", "uvicorn", "app:app", "--port", strconv.Itoa(port), "--log-level", "warning")
}

func express(t testing.TB) *program {
	t.Helper()
	return expressWith(t, "app.js")
}

// expressWith runs a program of testdata/express.
func expressWith(t testing.TB, file string) *program {
	t.Helper()
	node, err := exec.LookPath("node")
	dir := filepath.Join("testdata", "express")
	for _, module := range []string{"express", "passport"} {
		if _, statErr := os.Stat(filepath.Join(dir, "node_modules", module)); err != nil || statErr != nil {
			servertest.Missing(t, "Express with passport")
		}
	}
	port := caddyharness.FreePort(t)
	return run(t, dir, port, node, file, strconv.Itoa(port))
}

func nginx(t testing.TB) *program {
	t.Helper()
	return nginxWith(t, filepath.Join("testdata", "nginx", "nginx.conf"))
}

// nginxWith runs nginx with a configuration.
func nginxWith(t testing.TB, file string) *program {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path = "/usr/sbin/nginx"; exec.Command(path, "-v").Run() != nil {
			servertest.Missing(t, "nginx")
		}
	}
	dir := t.TempDir()
	// The workers may run as another user.
	for parent := dir; parent != filepath.Dir(parent) && parent != os.TempDir(); parent = filepath.Dir(parent) { //nolint:usetesting // it is where the walk up ends
		_ = os.Chmod(parent, 0o755)
	}
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "www", "file.txt"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	port := caddyharness.FreePort(t)
	text := strings.NewReplacer("$DIR", dir, "$PORT", strconv.Itoa(port)).Replace(string(config))
	file = filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, dir, port, path, "-p", dir, "-c", file)
}

// behind is a site with all four policies in front of an upstream.
const behind = `
	gateway_errors {
		rule status 500 contains "QueuePool limit" {
			status 503
			retry_after 5
			detail "Service busy"
		}
	}
	gateway_auth {
		failures off
	}
	gateway_roles /admin* ADMIN
	gateway_limit
	reverse_proxy $UPSTREAM {
		transport http {
			dial_timeout 2s
			response_header_timeout 500ms
		}
	}`

// identity checks what an upstream that echoes headers was sent: who calls, by
// the gateway, and nothing that the client made up.
func identity(t *testing.T, c *caddyharness.Caddy) {
	t.Helper()
	got := c.Get("/whoami", "Authorization", bearer(t, "tier", "pro"), "X-User-Id", "root", "X_User_Id", "root", "x-user-role", "ADMIN",
		"X-User_Roles", "ADMIN", "X.User.Tier", "enterprise", "X-Api-Key-Id", "k", "Connection", "X-User-Id, X-User-Role")
	var echoed struct{ Headers [][2]string }
	if err := json.Unmarshal([]byte(got.Body), &echoed); err != nil || got.Status != 200 {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	want := map[string]string{"x-user-id": "u1", "x-user-role": "USER", "x-user-roles": "USER", "x-user-tier": "pro", "x-auth-scheme": "bearer"}
	for _, h := range echoed.Headers {
		name := strings.ToLower(h[0])
		fold := strings.NewReplacer("-", "", "_", "", ".", "").Replace(name)
		switch {
		case name == "authorization":
			t.Error("the upstream got the credential")
		case want[name] == h[1]:
			delete(want, name)
		case strings.HasPrefix(fold, "xuser") || fold == "xapikeyid":
			t.Errorf("the upstream got %s: %s", h[0], h[1])
		case name == "x-request-id" && h[1] != got.Header.Get("X-Request-Id"):
			t.Errorf("the upstream got request id %s, the client %s", h[1], got.Header.Get("X-Request-Id"))
		}
	}
	if len(want) != 0 {
		t.Errorf("the upstream did not get %v", want)
	}
}

// badDay stops the upstream, hangs it and starts it again.
func badDay(t *testing.T, c *caddyharness.Caddy, p *program, path string) {
	t.Helper()
	auth := bearer(t, "tier", "pro")
	p.signal(syscall.SIGSTOP)
	wantError(t, c.Get(path, "Authorization", auth), http.StatusGatewayTimeout, "Gateway timeout")
	p.signal(syscall.SIGCONT)
	p.stop()
	wantError(t, c.Get(path, "Authorization", auth), http.StatusBadGateway, "Bad gateway")
	p.start()
	if got := c.Get(path, "Authorization", auth); got.Status != 200 {
		t.Errorf("after it came back: got %d %s, want 200", got.Status, got.Body)
	}
}

const forTests = "default_tier pro\n tier free 3/1h\n tier pro 100000/1h"

func TestFastAPI(t *testing.T) {
	p := fastAPI(t)
	c := start(t, gatewayOptions(forTests), behind, "$UPSTREAM", p.addr())
	auth := []string{"Authorization", bearer(t, "tier", nil)}
	post := func(body string) caddyharness.Response {
		return c.Do(http.MethodPost, "/items", body, append(auth, "Content-Type", "application/json")...)
	}
	t.Run("identity", func(t *testing.T) { identity(t, c) })
	// FastAPI's own answers pass byte for byte.
	for _, path := range []string{"/items/x", "/items/404", "/items/409", "/items/401", "/items/1", "/nothing"} {
		t.Run(path, func(t *testing.T) {
			direct, got := p.ask(c, path), c.Get(path, auth...)
			if got.Status != direct.Status || got.Body != direct.Body || got.Header.Get("Content-Type") != direct.Header.Get("Content-Type") {
				t.Errorf("got %d %s, want %d %s", got.Status, got.Body, direct.Status, direct.Body)
			}
			if got.Header.Get("WWW-Authenticate") != direct.Header.Get("WWW-Authenticate") {
				t.Errorf("got challenge %q, want the upstream's", got.Header.Get("WWW-Authenticate"))
			}
			if got.Header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
		})
	}
	t.Run("validation", func(t *testing.T) {
		got := post(`{"name":"n","price":"much","tags":[1,"x"]}`)
		list, _ := detail(t, got.Body).([]any)
		if got.Status != 422 || len(list) != 2 || !strings.Contains(got.Body, `"tags",1`) {
			t.Errorf("got %d %s, want FastAPI's list with its integers", got.Status, got.Body)
		}
		if got := post(`{"name":"n","price":1}`); got.Status != 201 {
			t.Errorf("a good one: got %d %s", got.Status, got.Body)
		}
	})
	t.Run("429 keeps its message and Retry-After", func(t *testing.T) {
		got := c.Get("/items/429", auth...)
		wantError(t, got, 429, "Slow down")
		if got.Header.Get("Retry-After") != "7" {
			t.Errorf("got Retry-After %q", got.Header.Get("Retry-After"))
		}
	})
	t.Run("rule", func(t *testing.T) {
		got := c.Get("/items/500", auth...)
		wantError(t, got, 503, "Service busy")
		if got.Header.Get("Retry-After") != "5" {
			t.Errorf("got Retry-After %q", got.Header.Get("Retry-After"))
		}
	})
	t.Run("crash", func(t *testing.T) { wantError(t, c.Get("/crash", auth...), 500, "Internal server error") })
	t.Run("plain text", func(t *testing.T) { wantError(t, c.Get("/plain", auth...), 403, "Only on weekdays") })
	t.Run("events", func(t *testing.T) {
		if got := c.Get("/events", auth...); got.Body != "data: 0\n\ndata: 1\n\ndata: 2\n\n" {
			t.Errorf("got %q", got.Body)
		}
	})
	t.Run("large", func(t *testing.T) {
		if got := c.Get("/large", auth...); len(got.Body) != 160*65536 {
			t.Errorf("got %d bytes", len(got.Body))
		}
	})
	t.Run("redirect", func(t *testing.T) {
		if got := c.Get("/slash", auth...); got.Status != 307 || got.Body != "" {
			t.Errorf("got %d %q, want an untouched 307", got.Status, got.Body)
		}
	})
	t.Run("role", func(t *testing.T) { wantError(t, c.Get("/admin", auth...), 403, "Insufficient permissions") })
	t.Run("nobody", func(t *testing.T) { wantError(t, c.Get("/items/1"), 401, "Could not validate credentials") })
	t.Run("limit", func(t *testing.T) {
		free := []string{"Authorization", bearer(t, "sub", "limited", "tier", "free")}
		for range 3 {
			if got := c.Get("/items/1", free...); got.Status != 200 {
				t.Fatalf("got %d", got.Status)
			}
		}
		wantLimited(t, c.Get("/items/1", free...))
	})
	t.Run("bad day", func(t *testing.T) { badDay(t, c, p, "/items/1") })
}

func TestExpress(t *testing.T) {
	p := express(t)
	c := start(t, gatewayOptions(forTests), behind, "$UPSTREAM", p.addr())
	auth := []string{"Authorization", bearer(t, "tier", "pro")}
	t.Run("identity", func(t *testing.T) { identity(t, c) })
	for _, tc := range []struct {
		path   string
		status int
		text   string
	}{
		{"/error", 409, "Cart is empty"},
		{"/nested", 400, "No such coupon"},
		{"/busy", 429, "Too many carts"},
		{"/throw", 500, "Internal server error"},
		{"/gzip", 422, "Name is taken"},
		{"/chunks", 400, "In two parts"},
		{"/nothing", 404, "Cannot GET /nothing"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			got := c.Get(tc.path, append(auth, "Accept-Encoding", "gzip")...)
			wantError(t, got, tc.status, tc.text)
			if strings.Contains(got.Body, "10.0.0.5") || strings.Contains(got.Body, "node_modules") {
				t.Errorf("leaks: %s", got.Body)
			}
			if tc.status == 429 && got.Header.Get("Retry-After") != "9" {
				t.Errorf("got Retry-After %q", got.Header.Get("Retry-After"))
			}
		})
	}
	t.Run("malformed JSON", func(t *testing.T) {
		got := c.Do(http.MethodPost, "/echo", "{broken", append(auth, "Content-Type", "application/json")...)
		if got.Status != 400 || strings.Contains(got.Body, "node_modules") || strings.Contains(got.Body, "SyntaxError") {
			t.Errorf("got %d %s, want a 400 without the stack", got.Status, got.Body)
		}
	})
	t.Run("problem+json", func(t *testing.T) {
		got := c.Get("/error", append(auth, "Accept", "application/problem+json")...)
		if got.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.Body, `"detail":"Cart is empty"`) {
			t.Errorf("got %s %s", got.Header.Get("Content-Type"), got.Body)
		}
	})
	t.Run("bad day", func(t *testing.T) { badDay(t, c, p, "/ok") })
}

func TestNginx(t *testing.T) {
	p := nginx(t)
	c := start(t, gatewayOptions(forTests), behind, "$UPSTREAM", p.addr())
	auth := []string{"Authorization", bearer(t, "tier", "pro")}
	for path, tc := range map[string]struct {
		status int
		text   string
	}{
		"/forbidden": {403, "Forbidden"},
		"/nothing":   {404, "Not Found"},
		"/dead":      {502, "Bad gateway"},
	} {
		t.Run(path, func(t *testing.T) {
			got := c.Get(path, append(auth, "Accept-Encoding", "gzip")...)
			wantError(t, got, tc.status, tc.text)
			if strings.Contains(strings.ToLower(got.Body), "nginx") {
				t.Errorf("the server's page shows through: %s", got.Body)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		got := c.Do(http.MethodPost, "/file.txt", strings.Repeat("x", 4096), auth...)
		wantError(t, got, 413, http.StatusText(http.StatusRequestEntityTooLarge))
	})
	t.Run("its own limit", func(t *testing.T) {
		first, second := c.Get("/limited", auth...), c.Get("/limited", auth...)
		if first.Status != 200 {
			t.Errorf("got %d", first.Status)
		}
		wantError(t, second, 503, "Service unavailable")
		if second.Header.Get("Retry-After") == "" {
			t.Error("a 503 without Retry-After")
		}
	})
	t.Run("what works is not touched", func(t *testing.T) {
		whole := c.Get("/file.txt", auth...)
		if whole.Status != 200 || whole.Body != "0123456789" || whole.Header.Get("Etag") == "" {
			t.Errorf("got %d %q", whole.Status, whole.Body)
		}
		if part := c.Get("/file.txt", append(auth, "Range", "bytes=2-3")...); part.Status != 206 || part.Body != "23" {
			t.Errorf("range: got %d %q", part.Status, part.Body)
		}
		if same := c.Get("/file.txt", append(auth, "If-None-Match", whole.Header.Get("Etag"))...); same.Status != 304 {
			t.Errorf("conditional: got %d", same.Status)
		}
		wantError(t, c.Get("/file.txt", append(auth, "Range", "bytes=99-")...), 416, http.StatusText(http.StatusRequestedRangeNotSatisfiable))
		if moved := c.Get("/redirect", auth...); moved.Status != 301 || moved.Header.Get("Location") == "" {
			t.Errorf("redirect: got %d", moved.Status)
		}
	})
	t.Run("bad day", func(t *testing.T) { badDay(t, c, p, "/file.txt") })
}
