package caddymodule_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/internal/servertest"
)

// needProgram returns the path of a program that the test runs. Where it is
// missing the test fails under CI and says so elsewhere.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	servertest.Needed(t)
	path, err := exec.LookPath(name)
	if err != nil {
		servertest.Missing(t, name)
	}
	return path
}

// redisServer runs a real Redis on a socket in the test's directory.
func redisServer(t testing.TB) (url string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // a socket's path must be short, t.TempDir's may not be
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
	if err := servertest.Start(t, cmd); err != nil {
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
	until(t, "listening on "+address, func() bool {
		conn, err := net.DialTimeout(network, address, 10*time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
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
	if err := servertest.Start(t, cmd); err != nil {
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
	url, _ := redisServer(t)
	up := newUpstream(t)
	for _, engine := range []string{"redis_rate", "native"} {
		t.Run(engine, func(t *testing.T) {
			options := gatewayOptions(`
			limiter redis ` + url + ` {
				engine ` + engine + `
				timeout 5s
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
		c := start(t, gatewayOptions("limiter redis "+url+" {\n timeout 5s\n }\n tier free {\n limit 2/1h\n limit 100/1d\n }"),
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
		url, stop := redisServer(t)
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
		until(t, "knowing of itself", func() bool {
			return strings.Contains(admin(t, c, http.MethodGet, "/gateway/health", "").Body, `"gateways":1`)
		})
		stop()
		statuses := func(n int, sub string) (list []int) {
			auth := bearer(t, "sub", sub)
			for range n {
				list = append(list, c.Get("/", "Authorization", auth).Status)
			}
			return list
		}
		// The default: this gateway is the only one that is known, and grants all of the
		// limit alone.
		if got := statuses(5, "local"); got[0] != 200 || got[3] != 200 || got[4] != 429 {
			t.Errorf("local: got %v, want all of the limit and no more", got)
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

// A redisProcess is a Redis on a port, to be stopped, killed and started again.
type redisProcess struct {
	t    testing.TB
	port string
	args []string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB, args ...string) *redisProcess {
	t.Helper()
	needProgram(t, "redis-server")
	p := &redisProcess{t: t, port: strconv.Itoa(caddyharness.FreePort(t)), args: args}
	t.Cleanup(p.kill)
	p.start()
	return p
}

func (p *redisProcess) start() {
	p.t.Helper()
	args := append([]string{"--port", p.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", p.t.TempDir()}, p.args...)
	if len(p.args) > 0 && filepath.IsAbs(p.args[0]) { // a sentinel
		args = append([]string{p.args[0], "--sentinel", "--port", p.port, "--bind", "127.0.0.1"}, p.args[1:]...)
	}
	p.cmd = exec.Command(needProgram(p.t, "redis-server"), args...)
	if err := servertest.Start(p.t, p.cmd); err != nil {
		p.t.Fatal(err)
	}
	await(p.t, "tcp", p.addr())
}

func (p *redisProcess) addr() string { return "127.0.0.1:" + p.port }

func (p *redisProcess) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends it as kill -9 does.
func (p *redisProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// ask sends one command and returns the first line of the answer.
func (p *redisProcess) ask(command string) string {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.addr())
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return ""
	}
	answer := make([]byte, 4096)
	n, _ := conn.Read(answer)
	return string(answer[:n])
}

// fleet is several gateways, and clients who count what they get.
type fleet struct {
	t        testing.TB
	c        *caddyharness.Caddy
	gateways []string
}

// answers are the statuses of requests and the longest wait for one.
type answers struct {
	mu       sync.Mutex
	statuses map[int]int
	slowest  time.Duration
}

// storm sends n requests of one subject from 12 clients, to all gateways by turns.
// During is called once a third was answered.
func (f *fleet) storm(subject string, n int, during func()) *answers {
	f.t.Helper()
	auth := bearer(f.t, "sub", subject)
	got := &answers{statuses: map[int]int{}}
	var next atomic.Int64
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				before := time.Now()
				resp, err := f.c.Try(http.MethodGet, f.gateways[int(i)%len(f.gateways)]+"/", "", "Authorization", auth)
				took := time.Since(before)
				got.mu.Lock()
				if err != nil {
					f.t.Error(err)
				}
				got.statuses[resp.Status]++
				got.slowest = max(got.slowest, took)
				got.mu.Unlock()
			}
		})
	}
	if during != nil {
		until(f.t, "answering", func() bool {
			got.mu.Lock()
			defer got.mu.Unlock()
			answered := 0
			for _, count := range got.statuses {
				answered += count
			}
			return answered >= n/3
		})
		during()
	}
	all.Wait()
	return got
}

func startFleet(t *testing.T, limiter, upstream string) *fleet {
	t.Helper()
	options := gatewayOptions(limiter + "\n tier free 60/1h")
	site := "gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM"
	f := &fleet{t: t}
	f.c = start(t, options, site, "$UPSTREAM", upstream)
	f.gateways = []string{"", otherGateway(t, f.c, options+"\nhttp://127.0.0.1:$PORT {\n"+site+"\n}\n"), otherGateway(t, f.c, options+"\nhttp://127.0.0.1:$PORT {\n"+site+"\n}\n")}
	return f
}

// want fails unless every answer is a 200 or a 429 and the 200s are within bounds.
func (a *answers) want(t *testing.T, what string, least, most int) {
	t.Helper()
	if passed := a.statuses[200]; passed < least || passed > most || len(a.statuses) > 2 || a.statuses[429] == 0 && len(a.statuses) > 1 {
		t.Errorf("%s: got %v, want from %d to %d 200s and else 429s", what, a.statuses, least, most)
	}
	t.Logf("%s: %v, the slowest after %s", what, a.statuses, a.slowest.Round(time.Millisecond))
}

// Three gateways, of which two are processes of their own, on one Redis that is
// stopped, killed and started again under load.
func TestRedisBreaksUnderLoad(t *testing.T) {
	redis := startRedis(t)
	up := newUpstream(t)
	f := startFleet(t, "limiter redis redis://"+redis.addr()+" {\n share 0.2\n timeout 250ms\n }", up.addr())
	breaker := func(want string) func() bool {
		return func() bool {
			return strings.Contains(admin(t, f.c, http.MethodGet, "/gateway/health", "").Body, `"breaker":"`+want+`"`)
		}
	}
	f.storm("healthy", 120, nil).want(t, "healthy", 60, 60)

	// Twelve requests before it stops; then each gateway grants a fifth of 60 alone,
	// and what was on its way is decided by Redis when it goes on.
	f.storm("stopped", 12, nil).want(t, "before it stops", 12, 12)
	redis.signal(syscall.SIGSTOP)
	stopped := f.storm("stopped", 150, nil)
	stopped.want(t, "stopped", 12, 3*12)
	until(t, "opening the breaker", breaker("open"))
	redis.signal(syscall.SIGCONT)
	until(t, "closing the breaker", breaker("closed"))
	// All gateways hear of it within a probe; what was used is charged once, and 15
	// calls at most had timed out.
	settled := func() int {
		probe := f.c.Get("/", "Authorization", bearer(t, "sub", "stopped"))
		left, _ := strconv.Atoi(probe.Header.Get("X-RateLimit-Remaining"))
		return left
	}
	used, asked := 12+stopped.statuses[200], 0
	until(t, "charging what was used", func() bool {
		asked++
		return settled() <= 60-used
	})
	if left := settled(); left < 60-used-asked-1-15 {
		t.Errorf("%d are left of 60 after %d were used and %d asked", left, used, asked)
	}

	// It is killed under load, and comes back empty.
	killed := f.storm("killed", 300, func() {
		redis.kill()
	})
	killed.want(t, "killed under load", 12, 60+3*12)
	redis.start()
	until(t, "closing the breaker again", breaker("closed"))
	until(t, "hearing of it on all gateways", func() bool {
		for i, gateway := range f.gateways {
			// Where Redis decides, the full limit is known; alone it is a fifth.
			got := f.c.Get(gateway+"/", "Authorization", bearer(t, "sub", "probe"+strconv.Itoa(i)+strconv.Itoa(int(time.Now().UnixNano()))))
			if got.Header.Get("X-RateLimit-Remaining") != "59" {
				return false
			}
		}
		return true
	})
	f.storm("afterwards", 120, nil).want(t, "after it came back", 60, 60)
}

// The sentinels promote a replica under load.
func TestRedisIsPromotedUnderLoad(t *testing.T) {
	master := startRedis(t, "--repl-diskless-sync-delay", "0")
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+master.port)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := "sentinel monitor gateway 127.0.0.1 " + master.port + " 1\nsentinel down-after-milliseconds gateway 500\nsentinel failover-timeout gateway 3000\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := startRedis(t, file)
	until(t, "finding the replica", func() bool {
		return strings.Contains(sentinel.ask("sentinel replicas gateway"), replica.port) && strings.Contains(replica.ask("role"), "connected")
	})
	up := newUpstream(t)
	// A master that is killed refuses at once, so that nothing here ends by time; a
	// budget of 250 ms did, on a busy machine, before anything was broken.
	f := startFleet(t, "limiter redis sentinel://gateway@"+sentinel.addr()+" {\n on_failure closed\n timeout 10s\n }", up.addr())
	f.storm("early", 120, nil).want(t, "before", 60, 60)
	until(t, "replicating", func() bool { return strings.HasPrefix(master.ask("wait 1 1000"), ":1") })
	got := f.storm("early", 200, func() {
		master.kill()
		until(t, "promoting the replica", func() bool {
			return strings.Contains(sentinel.ask("sentinel get-master-addr-by-name gateway"), replica.port)
		})
	})
	// Not one of those who had nothing left gets through: 429, or 503 while nobody knows.
	if got.statuses[200] > 1 || got.statuses[429]+got.statuses[503]+got.statuses[200] != 200 {
		t.Errorf("during the failover: got %v, want 429s and 503s", got.statuses)
	}
	t.Logf("during the failover: %v", got.statuses)
	until(t, "serving again", func() bool {
		for _, gateway := range f.gateways {
			if f.c.Get(gateway+"/", "Authorization", bearer(t, "sub", "again")).Status == http.StatusServiceUnavailable {
				return false
			}
		}
		return true
	})
	f.storm("late", 120, nil).want(t, "after", 60, 60)
}
