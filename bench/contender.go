package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// contender is one system under one setting: a running process, the callers that
// load it, and what was measured.
type contender struct {
	system
	settings settings

	process *process
	address string // of the gateway
	admin   string // of its admin endpoint
	callers string // file with a header line per caller
	header  string // the first of them, for probes
	samples []sample
}

// label is the contender's name in the table.
func (c *contender) label() string {
	if c.settings == tuned {
		return c.name + ", tuned"
	}
	return c.name
}

// sample is one turn.
type sample struct {
	rate   float64 // requests per second
	p99    float64 // milliseconds
	cpu    float64 // microseconds per request
	memory float64 // MiB
	busy   float64 // share of its core that the process got, 0 to 1

	// Bare Caddy's turns around this one. nil for its own.
	before, after *sample
}

// arena holds what all contenders share.
type arena struct {
	dir         string // for files that end with the run
	caddy       string // the binary
	upstream    string // host:port
	certificate string // file
	pinned      []string
	callers     int
	secret      []byte
	now         time.Time
}

// enter starts a contender and makes its callers. It returns when it serves.
func (a *arena) enter(ctx context.Context, c *contender, name string) error {
	dir := filepath.Join(a.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return err
	}
	c.address, c.admin = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	data := configData{
		Dir: dir, Admin: c.admin, Port: ports[0], Upstream: a.upstream, Last: c.lastDirective(a.upstream), Limit: c.limit,
		Store: filepath.Join(dir, "gateway.db"), Secret: string(a.secret),
		Gateway: c.kind == allowed || c.kind == refused, Policies: c.policies, Tuned: c.settings == tuned,
	}
	if c.workload.http2 {
		data.Certificate = a.certificate
	}
	from := map[program]*template.Template{caddy: caddyfile, nginx: nginxConf, haproxy: haproxyCfg}[c.program]
	config, err := data.render(from)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, from.Name())
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return fmt.Errorf("writing a configuration: %w", err)
	}
	args := map[program][]string{
		caddy:   {a.caddy, "run", "--config", file, "--adapter", "caddyfile"},
		nginx:   {"nginx", "-p", dir, "-c", file},
		haproxy: {"haproxy", "-db", "-f", file},
	}[c.program]
	if c.process, err = start(ctx, filepath.Join(dir, "log"), a.environment(dir, c.settings), append(slices.Clone(a.pinned), args...)...); err != nil {
		return err
	}
	if err := waitForPort(ctx, c.address); err != nil {
		return fmt.Errorf("starting %q: %w\n%s", c.name, err, c.process.tail())
	}
	return a.makeCallers(ctx, c, dir)
}

// lastDirective is what the site ends with.
func (s system) lastDirective(upstream string) string {
	switch s.last {
	case "":
		return "reverse_proxy " + upstream
	case gatewayProxy:
		return gatewayProxy + " " + upstream
	default:
		return s.last
	}
}

// environment of a process: ours, without settings of the Go runtime that would
// make stock anything but stock, and with Caddy's own files in dir.
func (a *arena) environment(dir string, s settings) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"}, name)
	})
	env = append(env, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "PORTCULLIS_JWT_SECRET="+string(a.secret))
	if s == tuned {
		env = append(env, tunedEnvironment...)
	}
	return env
}

// makeCallers writes a header line for each caller to c.callers.
func (a *arena) makeCallers(ctx context.Context, c *contender, dir string) error {
	secret := a.secret
	if c.credential == forgedToken {
		secret = []byte("not the issuer's secret, but just as long")
	}
	lines := make([]string, a.callers)
	for i := range lines {
		owner := fmt.Sprintf("user-%03d", i+1)
		switch c.credential {
		case validToken, forgedToken:
			token, err := mint(secret, newClaims(owner, "USER", "bench", a.now, 8*time.Hour))
			if err != nil {
				return err
			}
			lines[i] = "Authorization: Bearer " + token
		case validKey:
			key, err := a.createKey(ctx, c, owner)
			if err != nil {
				return err
			}
			lines[i] = "X-API-Key: " + key
		case noCredential:
			lines[i] = "Accept: application/json"
		}
	}
	c.header = lines[0]
	c.callers = filepath.Join(dir, "callers")
	if err := os.WriteFile(c.callers, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing callers: %w", err)
	}
	return nil
}

// createKey makes an API key as an operator does, by the command line.
func (a *arena) createKey(ctx context.Context, c *contender, owner string) (string, error) {
	cmd := exec.CommandContext(ctx, a.caddy, "gateway", "key", "create", "--address", c.admin,
		"--owner", owner, "--name", "bench", "--role", "USER", "--tier", "bench")
	key, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return "", fmt.Errorf("creating a key: %w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("creating a key: %w", err)
	}
	return strings.TrimSpace(string(key)), nil
}

// probe sends one request and checks that the system does what it stands for.
func (c *contender) probe(ctx context.Context) error {
	target, client := "http://"+c.address, http.DefaultClient
	if c.workload.http2 {
		// The certificate is our own, made for this run.
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		target, client = "https://"+c.address, &http.Client{Transport: transport}
	}
	request, err := http.NewRequestWithContext(ctx, c.workload.method, target+c.workload.path, strings.NewReader(strings.Repeat("x", c.workload.body)))
	if err != nil {
		return fmt.Errorf("making a probe: %w", err)
	}
	name, value, _ := strings.Cut(c.header, ": ")
	request.Header.Set(name, value)
	request.Close = true
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("probing %q: %w\n%s", c.name, err, c.process.tail())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("probing %q: %w", c.name, err)
	}
	if response.StatusCode != c.status {
		return fmt.Errorf("probing %q: got status %d, want %d: %s\n%s", c.name, response.StatusCode, c.status, body[:min(len(body), 1000)], c.process.tail())
	}
	if got := len(body); c.status == http.StatusOK && c.last != respond && got != c.workload.size {
		return fmt.Errorf("probing %q: got %d bytes, want %d", c.name, got, c.workload.size)
	}
	if c.workload.http2 && response.ProtoMajor != 2 {
		return fmt.Errorf("probing %q: got %s, want HTTP/2", c.name, response.Proto)
	}
	return nil
}

// turn loads the contender once and checks that every answer was the expected one.
func (c *contender) turn(ctx context.Context, l *load, length time.Duration) (sample, error) {
	before, err := c.process.cpu()
	if err != nil {
		return sample{}, err
	}
	result, err := l.run(ctx, c, length)
	if err != nil {
		return sample{}, fmt.Errorf("loading %q: %w", c.name, err)
	}
	after, err := c.process.cpu()
	if err != nil {
		return sample{}, err
	}
	memory, err := c.process.memory()
	if err != nil {
		return sample{}, err
	}
	if result.Failed > 0 {
		return sample{}, fmt.Errorf("loading %q: %d of %d requests failed\n%s", c.name, result.Failed, result.Requests, c.process.tail())
	}
	used, elapsed := float64((after - before).Microseconds()), float64(result.Microseconds)
	return sample{
		rate:   float64(result.Requests) / (elapsed / 1e6),
		p99:    float64(result.P99) / 1e3,
		cpu:    used / float64(result.Requests),
		memory: float64(memory) / (1 << 20),
		busy:   used / elapsed,
	}, c.checkAnswers(result)
}

// checkAnswers refuses a turn in which any answer was of the wrong kind.
func (c *contender) checkAnswers(result loadResult) error {
	want := int64(0)
	if c.kind == refused {
		want = result.Requests
	}
	if result.Refused != want {
		return fmt.Errorf("loading %q: %d of %d requests were refused, want %d", c.name, result.Refused, result.Requests, want)
	}
	return nil
}

// freePorts returns ports that nothing listens on.
func freePorts(ctx context.Context, n int) ([]string, error) {
	var config net.ListenConfig
	ports := make([]string, n)
	for i := range ports {
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		// Open until all are found: no port is given twice.
		defer listener.Close()
		_, ports[i], err = net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
	}
	return ports, nil
}

// waitForPort waits up to 30 seconds for a listener.
func waitForPort(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", address, err)
		case <-tick.C:
		}
	}
}
