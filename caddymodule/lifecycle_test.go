package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestBadReloadLeavesTheOldOneServing(t *testing.T) {
	up := newUpstream(t)
	options := gatewayOptions("")
	site := "\nhttp://127.0.0.1:$PORT {\n" + protected + "\n}\n"
	c := start(t, options, protected, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	dir := filepath.Join(c.Dir, "unwritable")
	if err := os.WriteFile(dir, []byte("a file where a directory should be"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ config, want string }{
		"unknown role":      {options + site + "http://127.0.0.1:1 {\n gateway_roles ROOT\n}", "unknown role ROOT"},
		"secret not set":    {strings.Replace(options, "{env.TEST_SECRET}", "{env.NO_SUCH_SECRET}", 1) + site, "NO_SUCH_SECRET"},
		"store can't open":  {strings.Replace(options, "$DIR/gateway.db", "$DIR/unwritable/gateway.db", 1) + site, "unwritable"},
		"unknown directive": {options + site + "http://127.0.0.1:1 {\n gateway_auht\n}", "gateway_auht"},
	} {
		err := c.Reload(tc.config)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tc.want)
		}
		if got := c.Get("/", "X-API-Key", key); got.Status != 200 {
			t.Errorf("%s: the old configuration answers %d", name, got.Status)
		}
	}
}

func TestStoreThatCantBeOpened(t *testing.T) {
	t.Setenv("TEST_SECRET", testSecret)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	corrupt := write("corrupt.db", strings.Repeat("this is no database ", 500))
	under := filepath.Join(write("file", "x"), "gateway.db")
	for name, path := range map[string]string{"not a database": corrupt, "below a file": under, "a directory": dir} {
		t.Run(name, func(t *testing.T) {
			before, _ := os.ReadFile(corrupt)
			config := filepath.Join(t.TempDir(), "Caddyfile")
			text := "{\n admin off\n persist_config off\n auto_https off\n gateway {\n store sqlite " + path + "\n }\n}\nhttp://127.0.0.1:0 {\n gateway_auth\n}\n"
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, errOut, err := command(t, "run", "--config", config, "--adapter", "caddyfile")
			if err == nil || !strings.Contains(errOut, path) {
				t.Errorf("got %v %s, want a failure that names %s", err, errOut, path)
			}
			if after, _ := os.ReadFile(corrupt); string(after) != string(before) {
				t.Error("the file was overwritten")
			}
		})
	}
}

// Counts, keys and connections survive reloads; nothing grows.
func TestReloadsUnderLoad(t *testing.T) {
	up := newUpstream(t)
	const burst = 100_000
	options := gatewayOptions("tier free 20/1h burst " + strconv.Itoa(burst))
	site := func(n int) string {
		return options + "\nhttp://127.0.0.1:$PORT {\n header X-Generation " + strconv.Itoa(n) + "\n gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM\n}\n"
	}
	c := start(t, options, "gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	auth := bearer(t)

	if err := c.Reload(site(0)); err != nil {
		t.Fatal(err)
	}
	c.Client.CloseIdleConnections()
	runtime.GC()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)

	var answered, unanswered atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				headers := []string{"Authorization", auth}
				if i%2 == 0 {
					headers = []string{"X-API-Key", key}
				}
				answer, err := c.Try(http.MethodGet, "/", "", headers...)
				switch {
				case err != nil:
					// A reload closes idle connections and those that no server has taken
					// yet: Caddy's listener does, with or without the gateway. Clients send a
					// GET again that was not answered.
					unanswered.Add(1)
				case answer.Status != 200:
					t.Errorf("got %d %s during a reload", answer.Status, answer.Body)
				default:
					answered.Add(1)
				}
			}
		})
	}
	for n := range 50 {
		if err := c.Reload(site(n + 1)); err != nil {
			t.Fatal(err)
		}
		// Each configuration serves before the next one comes.
		served := answered.Load()
		until(t, fmt.Sprintf("serving with configuration %d", n+1), func() bool { return answered.Load() >= served+8 })
	}
	close(stop)
	load.Wait()
	got := c.Get("/", "Authorization", auth)
	remaining, _ := strconv.ParseInt(got.Header.Get("X-RateLimit-Remaining"), 10, 64)
	// One place comes back in three minutes.
	if spent, least := burst-remaining, answered.Load(); spent < least || spent > least+unanswered.Load()+2 {
		t.Errorf("%d were charged for %d answered requests and %d others: a count was lost", spent, least, unanswered.Load())
	}

	// What the old configurations held goes away by itself, at its own time.
	c.Client.CloseIdleConnections()
	up.CloseClientConnections()
	t.Cleanup(func() {
		if t.Failed() {
			buf := make([]byte, 1<<20)
			t.Logf("goroutines %d -> %d, files %d -> %d\n%s", goroutines, runtime.NumGoroutine(), files, openFiles(t), buf[:runtime.Stack(buf, true)])
		}
	})
	until(t, "letting go of what the old configurations held", func() bool {
		runtime.GC()
		return runtime.NumGoroutine() <= goroutines+10 && openFiles(t) <= files+10
	})
}

// A count survives a reload exactly.
func TestCountSurvivesReload(t *testing.T) {
	up := newUpstream(t)
	site := "gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM"
	config := func(limit string) (string, string) { return gatewayOptions("tier free " + limit), site }
	options, _ := config("3/1h")
	c := start(t, options, site, "$UPSTREAM", up.addr())
	auth := bearer(t)
	for range 3 {
		if got := c.Get("/", "Authorization", auth); got.Status != 200 {
			t.Fatalf("got %d", got.Status)
		}
	}
	reload := func(limit string) {
		t.Helper()
		options, site := config(limit)
		if err := c.Reload(options + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n respond x\n}\n"); err != nil {
			t.Fatal(err)
		}
	}
	reload("3/1h")
	wantLimited(t, c.Get("/", "Authorization", auth))
	// A changed limit holds from the next request.
	reload("3/1h burst 4")
	if got := c.Get("/", "Authorization", auth); got.Status != 200 {
		t.Errorf("after raising the burst: got %d, want 200", got.Status)
	}
	reload("2/1h")
	wantLimited(t, c.Get("/", "Authorization", auth))
}

// openFiles counts the descriptors of this process, where the system tells.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// A key that was made survives a restart; so do revocations.
func TestRestart(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), protected, "$UPSTREAM", up.addr())
	key, gone := createKey(t, c, `"owner":"u1"`), createKey(t, c, `"owner":"u1"`)
	if got := admin(t, c, http.MethodDelete, "/gateway/keys/"+gone.ID, ""); got.Status != 200 {
		t.Fatal(got.Body)
	}
	auth := bearer(t, "jti", "j1")
	if got := admin(t, c, http.MethodPost, "/gateway/revocations", `{"jti":"j1"}`); got.Status != 201 {
		t.Fatal(got.Body)
	}
	if err := c.Restart(gatewayOptions("") + "\nhttp://127.0.0.1:$PORT {\n" + protected + "\n}\n"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		headers []string
		want    int
	}{
		"key":           {[]string{"X-API-Key", key.APIKey}, 200},
		"revoked key":   {[]string{"X-API-Key", gone.APIKey}, 401},
		"revoked token": {[]string{"Authorization", auth}, 401},
	} {
		if got := c.Get("/", tc.headers...); got.Status != tc.want {
			t.Errorf("%s: got %d %s, want %d", name, got.Status, got.Body, tc.want)
		}
	}
}
