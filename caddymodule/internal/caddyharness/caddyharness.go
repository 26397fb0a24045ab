// Package caddyharness runs a real Caddy inside the test's process, on free
// ports, with reload. Caddy has one running configuration in a process: tests
// that use the harness do not run in parallel with each other.
package caddyharness

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/ainative/portcullis/internal/servertest"
)

// running holds the one configuration of the process.
var running sync.Mutex

// Caddy is a running Caddy.
type Caddy struct {
	t testing.TB
	// URL of the site under test, without a slash at the end.
	URL string
	// Admin is the address of the admin endpoint.
	Admin string
	// Dir is the data directory.
	Dir  string
	vars []string
	// Client does not follow redirects, and shares no connections.
	Client *http.Client
}

// Start runs a Caddyfile and stops it when the test ends. In the text, $PORT is
// the port of the site, $ADMIN the address for the admin option, $DIR an empty
// directory, and each further pair of vars is replaced too. Without an admin
// option the global block is the caller's matter: see Options.
func Start(t testing.TB, text string, vars ...string) *Caddy {
	t.Helper()
	servertest.Needed(t)
	running.Lock()
	t.Cleanup(running.Unlock)
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	port, admin := FreePort(t), "127.0.0.1:"+strconv.Itoa(FreePort(t))
	c := &Caddy{
		t:     t,
		URL:   "http://127.0.0.1:" + strconv.Itoa(port),
		Admin: admin,
		Dir:   dir,
		vars:  append([]string{"$PORT", strconv.Itoa(port), "$ADMIN", admin, "$DIR", dir}, vars...),
		Client: &http.Client{
			Transport:     &http.Transport{DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       30 * time.Second,
		},
	}
	t.Cleanup(func() {
		c.Client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	if err := c.Reload(text); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	c.await()
	return c
}

// Eventually waits until holds returns true. After a time that no machine needs, it fails
// the test with what.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	const patience = 60 * time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %s", what, patience)
		case <-tick.C:
		}
	}
}

// Options is a global block for tests, with inner inside. Nothing is written, fetched or
// logged unless the test asks for it.
func Options(inner string) string {
	return "{\n\tadmin $ADMIN\n\tpersist_config off\n\tauto_https off\n\tgrace_period 2s\n" + inner + "\n}\n"
}

// Expand replaces the variables in a text.
func (c *Caddy) Expand(text string) string { return strings.NewReplacer(c.vars...).Replace(text) }

// Reload loads another Caddyfile, as `caddy reload` does. After an error the old one
// still serves.
func (c *Caddy) Reload(text string) error {
	config, err := Adapt(c.Expand(text))
	if err != nil {
		return err
	}
	err = caddy.Load(config, true)
	c.awaitOneListener()
	// A reload closes idle connections; a request must not go out on one of them.
	c.Client.CloseIdleConnections()
	return err
}

// awaitOneListener waits until the listener of the configuration before is closed. Caddy
// closes it after a reload has returned, and resets the connections that it has not
// accepted by then. A configuration may have several listeners on the port for good, so
// that after a while it goes on.
func (c *Caddy) awaitOneListener() {
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.URL, "http://"))
	if err != nil {
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); listeners(port) > 1 && time.Now().Before(end); {
		<-tick.C
	}
}

// listeners counts the sockets that listen on a TCP port, 0 where the system does not
// tell.
func listeners(port string) (found int) {
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	// proc(5): the local address is ADDRESS:PORT in hexadecimal, and state 0A is LISTEN.
	suffix := fmt.Sprintf(":%04X", n)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], suffix) && f[3] == "0A" {
				found++
			}
		}
	}
	return found
}

// Restart stops Caddy and starts it with another Caddyfile. State that survives a reload
// is released in between.
func (c *Caddy) Restart(text string) error {
	c.Client.CloseIdleConnections()
	if err := caddy.Stop(); err != nil {
		return err
	}
	if err := c.Reload(text); err != nil {
		return err
	}
	c.await()
	return nil
}

// Adapt turns a Caddyfile into JSON. Warnings other than those of formatting are
// errors.
func Adapt(text string) ([]byte, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, warnings, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			return nil, fmt.Errorf("warning: %s", w.String())
		}
	}
	return config, nil
}

// await waits until the site accepts connections.
func (c *Caddy) await() {
	c.t.Helper()
	Eventually(c.t, "answering at "+c.URL, func() bool {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(c.URL, "http://"), 10*time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// Response is a response that has been read.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// Get sends a GET request; headers are pairs of name and value.
func (c *Caddy) Get(path string, headers ...string) Response {
	c.t.Helper()
	return c.Do(http.MethodGet, path, "", headers...)
}

// Do sends a request and reads the response.
func (c *Caddy) Do(method, path, body string, headers ...string) Response {
	c.t.Helper()
	answer, err := c.Try(method, path, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// Try is Do that returns an error of the connection. Any goroutine may call it.
func (c *Caddy) Try(method, path, body string, headers ...string) (Response, error) {
	var sent io.Reader
	if body != "" {
		sent = strings.NewReader(body)
	}
	url := path
	if !strings.HasPrefix(path, "http") {
		url = c.URL + path
	}
	r, err := http.NewRequest(method, url, sent)
	if err != nil {
		return Response{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		// Not Add: tests send names in spellings that are not canonical.
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	answer, err := c.Client.Do(r)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	return Response{answer.StatusCode, answer.Header, string(read)}, err
}

// FreePort is a port without a listener.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
