package caddymodule_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// needProgram returns the path of a program that the test runs. Where it is
// missing the test fails under CI and says so elsewhere.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		message := name + " is not installed: ./xcaddy.sh test installs it or says how"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return path
}

// redisServer runs a real Redis on a socket in the test's directory.
func redisServer(t testing.TB) (url string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return redisIn(t, dir)
}

// redisIn is redisServer in a directory, so that a test can start it again.
func redisIn(t testing.TB, dir string) (url string, stop func()) {
	t.Helper()
	server := needProgram(t, "redis-server")
	socket := filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, server, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	await(t, "unix", socket)
	return "unix://" + socket, stop
}

// await waits until something accepts connections.
func await(t testing.TB, network, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("nothing listens on %s: %v", address, err)
		}
	}
}

// otherGateway runs a second gateway in a process of its own.
func otherGateway(t testing.TB, c *caddyharness.Caddy, text string) (url string) {
	t.Helper()
	port := caddyharness.FreePort(t)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	text = strings.NewReplacer("$PORT", strconv.Itoa(port), "$ADMIN", "off").Replace(text)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(c.Expand(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the other gateway said:\n%s", text)
		}
	})
	await(t, "tcp", address)
	return "http://" + address
}

func TestRedisLimiter(t *testing.T) {
	url, stop := redisServer(t)
	up := newUpstream(t)
	for _, engine := range []string{"redis_rate", "native"} {
		t.Run(engine, func(t *testing.T) {
			options := gatewayOptions(`
			limiter redis ` + url + ` {
				engine ` + engine + `
				timeout 500ms
			}
			tier free 6/1h`)
			site := "gateway_errors\n gateway_auth\n gateway_limit {\n zone " + engine + "\n }\n reverse_proxy $UPSTREAM"
			c := start(t, options, site, "$UPSTREAM", up.addr())
			other := otherGateway(t, c, options+"\nhttp://127.0.0.1:$PORT {\n"+site+"\n}\n")
			auth := bearer(t)
			// Two gateways hold one limit.
			for i := range 6 {
				path := "/"
				if i%2 == 1 {
					path = other + "/"
				}
				got := c.Get(path, "Authorization", auth)
				if want := strconv.Itoa(5 - i); got.Status != 200 || got.Header.Get("X-RateLimit-Remaining") != want {
					t.Fatalf("request %d: got %d, remaining %q, want 200 and %s", i+1, got.Status, got.Header.Get("X-RateLimit-Remaining"), want)
				}
			}
			wantLimited(t, c.Get("/", "Authorization", auth))
			wantLimited(t, c.Get(other+"/", "Authorization", auth))
		})
	}
	t.Run("several limits", func(t *testing.T) {
		c := start(t, gatewayOptions("limiter redis "+url+"\n tier free {\n limit 2/1h\n limit 100/1d\n }"),
			"gateway_errors\n gateway_auth\n gateway_limit {\n zone several\n }\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
		auth := bearer(t)
		for range 2 {
			if got := c.Get("/", "Authorization", auth); got.Status != 200 {
				t.Fatalf("got %d %s", got.Status, got.Body)
			}
		}
		got := c.Get("/", "Authorization", auth)
		wantLimited(t, got)
		if limit := got.Header.Get("RateLimit"); !strings.Contains(limit, `"free-1d";r=98;`) {
			t.Errorf("got %s, want the other limit uncharged", limit)
		}
	})
	t.Run("gone", func(t *testing.T) {
		site := `
		gateway_errors
		gateway_auth
		gateway_limit {
			zone gone
		}
		reverse_proxy $UPSTREAM`
		config := func(onFailure string) string {
			return gatewayOptions("limiter redis "+url+" {\n on_failure "+onFailure+"\n }\n tier free 4/1h") + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"
		}
		c := start(t, gatewayOptions("limiter redis "+url+"\n tier free 4/1h"), site, "$UPSTREAM", up.addr())
		stop()
		statuses := func(n int, sub string) (list []int) {
			auth := bearer(t, "sub", sub)
			for range n {
				list = append(list, c.Get("/", "Authorization", auth).Status)
			}
			return list
		}
		// The default: a half of the limit is granted here alone.
		if got := statuses(4, "local"); got[0] != 200 || got[1] != 200 || got[2] != 429 || got[3] != 429 {
			t.Errorf("local: got %v, want half of the limit", got)
		}
		if err := c.Reload(config("open")); err != nil {
			t.Fatal(err)
		}
		if got := statuses(6, "open"); got[5] != 200 {
			t.Errorf("open: got %v, want 200s", got)
		}
		if err := c.Reload(config("closed")); err != nil {
			t.Fatal(err)
		}
		got := c.Get("/", "Authorization", bearer(t, "sub", "closed"))
		wantError(t, got, http.StatusServiceUnavailable, "Service unavailable")
		if got.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		var health struct {
			Limiter struct {
				Name  string
				Redis struct {
					Target string
					Bound  string
				}
			}
		}
		answer := admin(t, c, http.MethodGet, "/gateway/health", "")
		if err := json.Unmarshal([]byte(answer.Body), &health); err != nil || health.Limiter.Name != "redis" || health.Limiter.Redis.Bound == "" {
			t.Errorf("got %s, want the health of Redis", answer.Body)
		}
	})
}
