package redisgcra_test

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ainative/portcullis/internal/servertest"
)

// A server is a redis-server of the test's own.
type server struct {
	t    testing.TB
	addr string
	args []string
	// bus is the port by which nodes of a cluster talk to each other.
	bus string
	cmd *exec.Cmd
	// client is for the test's own questions.
	client *redis.Client
}

// startServer starts the real redis-server on a free port and stops it with the
// test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	servertest.Needed(t)
	if _, err := exec.LookPath("redis-server"); err != nil {
		servertest.Missing(t, "redis-server")
	}
	s := &server{t: t, addr: freeAddr(t), args: args}
	s.client = redis.NewClient(&redis.Options{Addr: s.addr, Protocol: 2, DisableIdentity: true, DialTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.kill()
	})
	s.start()
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// start starts the server, also once more on its old address.
func (s *server) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	dir := s.t.TempDir()
	args := []string{
		"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--unixsocket", filepath.Join(dir, "redis.sock"),
	}
	if s.sentinel() {
		args = []string{s.args[0], "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", dir}
	} else {
		args = append(args, s.args...)
	}
	s.cmd = exec.Command("redis-server", args...)
	if err := servertest.Start(s.t, s.cmd); err != nil {
		s.t.Fatalf("starting redis-server: %v", err)
	}
	s.await(func(ctx context.Context) error {
		err := s.client.Ping(ctx).Err()
		if _, ok := errors.AsType[redis.Error](err); ok {
			return nil // it wants a password, so it is there
		}
		return err
	})
}

// sentinel reports whether the server is one: its only argument is a file.
func (s *server) sentinel() bool {
	return len(s.args) == 1 && filepath.IsAbs(s.args[0])
}

func (s *server) socket() string {
	return s.do("config", "get", "unixsocket").([]any)[1].(string)
}

// await tries until there is no error.
func (s *server) await(try func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("waiting for redis-server: %v", err)
		case <-tick.C:
		}
	}
}

func (s *server) do(args ...any) any {
	s.t.Helper()
	v, err := s.client.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("redis %v: %v", args, err)
	}
	return v
}

// replicate returns when a replica has everything that was written so far. WAIT
// speaks of the writes of its own connection, so that one must be among them.
func (s *server) replicate() {
	s.t.Helper()
	var waited *redis.Cmd
	_, err := s.client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
		p.Set(context.Background(), "replicate", 1, time.Minute)
		waited = p.Do(context.Background(), "wait", 1, 10_000)
		return nil
	})
	if err != nil {
		s.t.Fatalf("replicating: %v", err)
	}
	if n, err := waited.Int(); err != nil || n < 1 {
		s.t.Fatalf("replicating: %d replicas have it, %v", n, err)
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signalling redis-server: %v", err)
	}
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

func (s *server) url() string { return "redis://" + s.addr }

func (s *server) port() int {
	_, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.Atoi(port)
	return n
}
