//go:build unix

// Package postgrestest runs a real PostgreSQL server for tests, on a free port of
// the loopback address, and stops it.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/internal/servertest"
)

// The role that the tests use. It owns everything.
const (
	User     = "gateway"
	Password = "p@ss:w/rd?#%"
)

// Server is a PostgreSQL server with its own directory. It syncs nothing to disk:
// what it committed survives its death, and not that of the machine.
type Server struct {
	bin  string
	dir  string
	port int
	// as is the user that it runs as; nil is the user of the test.
	as      *syscall.Credential
	options []string

	cmd  *exec.Cmd
	done chan struct{}
	// watch kills the server when this process is gone, however it ended.
	watch *exec.Cmd

	databases atomic.Int64
}

// programs are those of the server's package that the tests run.
var programs = []string{"initdb", "postgres", "pg_ctl", "pg_isready", "psql", "pg_basebackup"}

// Find returns the directory of the server's programs; why says what is missing.
func Find() (bin, why string) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int { return releaseOf(b) - releaseOf(a) })
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			dirs = append(dirs, filepath.Dir(initdb))
		}
	}
	for _, dir := range dirs {
		if !slices.ContainsFunc(programs, func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err != nil
		}) {
			return dir, ""
		}
	}
	return "", "PostgreSQL is not installed: ./xcaddy.sh test installs it or says how"
}

func releaseOf(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

// Need ends a test without a server, as package servertest says.
func Need(t testing.TB) {
	t.Helper()
	servertest.Needed(t)
	if _, why := Find(); why != "" {
		servertest.Missing(t, "PostgreSQL")
	}
}

// New makes a server and starts it. Options are settings such as `ssl=on`. Close it.
func New(options ...string) (*Server, error) {
	s := &Server{options: options}
	var why string
	if s.bin, why = Find(); why != "" {
		return nil, errors.New(why)
	}
	if err := s.init(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start is New for one test.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	Need(t)
	s, err := New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *Server) init() (err error) {
	// A short path: that of a socket has 108 bytes at most.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := s.ordinary(); err != nil {
			return err
		}
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		return err
	}
	if err := s.give(password); err != nil {
		return err
	}
	if err := s.run("initdb", "--pgdata", s.data(), "--username", User, "--pwfile", password, "--auth-local", "trust",
		"--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"); err != nil {
		return err
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	return s.Run()
}

// ordinary makes the server run as a user other than root, as it insists on.
func (s *Server) ordinary() error {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return err
		}
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return s.give(s.dir)
	}
	return errors.New("there is no user postgres or nobody to run the server as")
}

// give makes the user of the server the owner of a file.
func (s *Server) give(path string) error {
	if s.as == nil {
		return nil
	}
	return os.Chown(path, int(s.as.Uid), int(s.as.Gid))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	// Its messages in English, and nothing of the user's own PG variables.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

func (s *Server) run(program string, args ...string) error {
	if out, err := s.command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w\n%s", program, err, out)
	}
	return nil
}

// Run starts the server again after Stop, on the same port and data.
func (s *Server) Run() error {
	args := []string{
		"-D", s.data(), "-p", strconv.Itoa(s.port), "-k", s.dir, "-h", "127.0.0.1",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=60",
		"-c", "log_min_messages=warning", "-c", "wal_level=replica", "-c", "max_wal_senders=2",
	}
	for _, o := range s.options {
		args = append(args, "-c", o)
	}
	// A killed server's own children may take a moment to go.
	for attempt := 0; ; attempt++ {
		err := s.runOnce(args)
		if err == nil || attempt == 30 || !errors.Is(err, errEnded) {
			return err
		}
		<-time.After(100 * time.Millisecond)
	}
}

var errEnded = errors.New("the server ended")

func (s *Server) runOnce(args []string) error {
	cmd := s.command("postgres", args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.done = cmd, make(chan struct{})
	s.watch = exec.CommandContext(context.Background(), "sh", "-c", fmt.Sprintf("cat >/dev/null; kill -QUIT %d; sleep 1; rm -rf '%s'", cmd.Process.Pid, s.dir))
	if _, err := s.watch.StdinPipe(); err != nil {
		return err
	}
	if err := s.watch.Start(); err != nil {
		return err
	}
	done := s.done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	for range 400 {
		select {
		case <-done:
			s.unwatch()
			return fmt.Errorf("%w:\n%s", errEnded, log.String())
		default:
		}
		var exit *exec.ExitError
		err := s.command("pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port)).Run()
		if err == nil || !errors.As(err, &exit) {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
	s.Stop(syscall.SIGQUIT)
	return fmt.Errorf("the server does not answer:\n%s", log.String())
}

// Stop ends the server and waits: SIGTERM lets clients finish, SIGINT throws them
// out, SIGQUIT is a crash, SIGKILL too.
func (s *Server) Stop(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	s.unwatch()
	_ = s.cmd.Process.Signal(signal)
	<-s.done
	s.cmd = nil
}

// Freeze stops every process of the server where it is, as a machine that hangs, until
// thaw is called: connections stay open and nothing answers.
func (s *Server) Freeze() (thaw func()) {
	signal := func(sig syscall.Signal) {
		// The server process has a child for each connection, which answers by itself.
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", s.cmd.Process.Pid))
		_ = s.cmd.Process.Signal(sig)
		for text := range strings.FieldsSeq(string(children)) {
			if pid, err := strconv.Atoi(text); err == nil {
				_ = syscall.Kill(pid, sig)
			}
		}
	}
	signal(syscall.SIGSTOP)
	return func() { signal(syscall.SIGCONT) }
}

func (s *Server) unwatch() {
	_ = s.watch.Process.Kill()
	_ = s.watch.Wait()
}

// Close stops the server and removes all that it had.
func (s *Server) Close() {
	s.Stop(syscall.SIGQUIT)
	_ = os.RemoveAll(s.dir)
}

// UseTLS starts the server again with a certificate and its key, in PEM.
func (s *Server) UseTLS(certificate, key []byte) error {
	s.Stop(syscall.SIGINT)
	for name, text := range map[string][]byte{"server.crt": certificate, "server.key": key} {
		path := filepath.Join(s.data(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		if err := s.give(path); err != nil {
			return err
		}
	}
	s.options = append(s.options, "ssl=on")
	return s.Run()
}

// Port is where it listens on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Dir is the directory of the server's socket.
func (s *Server) Dir() string { return s.dir }

// URL is that of a database, without password, over the socket.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", User, database, s.dir, s.port)
}

// NewDatabase makes an empty database whose order of text is that of a human
// language, and returns its name.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name := "db" + strconv.FormatInt(s.databases.Add(1), 10)
	if _, err := s.SQL("postgres", "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"); err != nil {
		t.Fatal(err)
	}
	return name
}

// SQL runs a script in a database by psql and returns what it prints: one row a
// line, columns separated by |.
func (s *Server) SQL(database, script string) (string, error) {
	cmd := s.command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", User, "-d", database, "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running psql: %w\n%s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Replica makes a server that follows this one and can only be read.
func (s *Server) Replica(t testing.TB) *Server {
	t.Helper()
	r := &Server{bin: s.bin, as: s.as}
	var err error
	//nolint:usetesting // t.TempDir is too long for a socket, and the user's alone
	if r.dir, err = os.MkdirTemp("", "pg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if err = r.give(r.dir); err == nil {
		err = r.run("pg_basebackup", "-D", r.data(), "-R", "-c", "fast", "--no-sync", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", User)
	}
	if err == nil {
		r.port, err = freePort()
	}
	if err == nil {
		err = r.Run()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Promote makes a replica a server of its own.
func (s *Server) Promote() error {
	return s.run("pg_ctl", "promote", "-w", "-D", s.data())
}

func freePort() (int, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
