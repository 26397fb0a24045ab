//go:build unix

package caddymodule_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/internal/servertest"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/sqlite"
)

// Counts of an hour or more survive a restart, shorter ones do not.
func TestLongCountsSurviveARestart(t *testing.T) {
	up := newUpstream(t)
	options := gatewayOptions("tier free {\n limit 100/1m\n limit 3/1d\n }")
	site := `
	gateway_errors
	gateway_auth {
		optional
	}
	handle /strict {
		gateway_limit {
			zone strict
			limit 3/30d window strict
		}
		reverse_proxy $UPSTREAM
	}
	handle /minute {
		gateway_limit {
			zone minute
			limit 1/1m
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		gateway_limit {
			anonymous 3/1d
		}
		reverse_proxy $UPSTREAM
	}`
	c := start(t, options, site, "$UPSTREAM", up.addr())
	auth := bearer(t)
	ask := func(want ...int) {
		t.Helper()
		for _, path := range []string{"/", "/strict", "/anonymous"} {
			var got []int
			for range want {
				headers := []string{"Authorization", auth}
				if path == "/anonymous" {
					headers = nil
				}
				got = append(got, c.Get(path, headers...).Status)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: got %v, want %v", path, got, want)
			}
		}
		if got := c.Get("/minute", "Authorization", auth).Status; got != 200 {
			t.Errorf("a short limit: got %d, want 200", got)
		}
	}
	restart := func() {
		t.Helper()
		if err := c.Restart(options + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"); err != nil {
			t.Fatal(err)
		}
	}
	ask(200, 200)
	restart()
	ask(200, 429)
	restart()
	ask(429)

	// What is reset stays reset.
	for _, zone := range []string{"default", "strict"} {
		if got := admin(t, c, http.MethodDelete, "/gateway/limits/"+zone+"/u1", ""); got.Status != 200 {
			t.Fatal(got.Body)
		}
	}
	restart()
	for _, path := range []string{"/", "/strict"} {
		if got := c.Get(path, "Authorization", auth); got.Status != 200 {
			t.Errorf("%s after a reset and a restart: got %d, want 200", path, got.Status)
		}
	}
}

// A process is a gateway of its own, on a store that it may share.
type process struct {
	*exec.Cmd
	t    *testing.T
	url  string
	file string
	log  bytes.Buffer
}

// newProcess prepares a gateway with the tier free of these limits.
func newProcess(t *testing.T, path, upstream string, limits ...string) *process {
	t.Helper()
	servertest.Needed(t)
	port := caddyharness.FreePort(t)
	p := &process{t: t, url: "http://127.0.0.1:" + strconv.Itoa(port), file: filepath.Join(t.TempDir(), "Caddyfile")}
	text := "{\n admin off\n persist_config off\n auto_https off\n grace_period 1s\n gateway {\n store sqlite " + path +
		"\n pepper {env.TEST_PEPPER}\n issuer main {\n secret {env.TEST_SECRET}\n }\n tier free {\n limit " + strings.Join(limits, "\n limit ") +
		"\n }\n }\n}\n" + p.url + " {\n gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy " + upstream + "\n}\n"
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.Cmd = exec.Command(os.Args[0], "run", "--config", p.file, "--adapter", "caddyfile")
	p.Env = append(os.Environ(), asCaddy+"=1", "TEST_SECRET="+testSecret, "TEST_PEPPER=a pepper for tests that is long enough",
		"XDG_DATA_HOME="+filepath.Dir(p.file), "XDG_CONFIG_HOME="+filepath.Dir(p.file))
	p.log.Reset()
	p.Stdout, p.Stderr = &p.log, &p.log
	if err := servertest.Start(p.t, p.Cmd); err != nil {
		p.t.Fatal(err)
	}
	started := p.Cmd
	p.t.Cleanup(func() {
		_ = started.Process.Kill() // it may be gone
		_ = started.Wait()
	})
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("the process said:\n%s", p.log.String())
		}
	})
	until(p.t, "answering at "+p.url, func() bool {
		answer, err := http.Get(p.url)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil
	})
}

// end sends a signal and waits for the process to end.
func (p *process) end(signal os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	_ = p.Wait() // its status depends on the signal
}

// spend sends n requests and returns what the last one says is left.
func (p *process) spend(n int, auth string) (remaining int) {
	p.t.Helper()
	for range n {
		r, err := http.NewRequest(http.MethodGet, p.url, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Authorization", auth)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatalf("%v\n%s", err, p.log.String())
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			p.t.Fatalf("got %d\n%s", answer.StatusCode, p.log.String())
		}
		remaining, err = strconv.Atoi(answer.Header.Get("X-RateLimit-Remaining"))
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return remaining
}

// written waits until the store has a count that ends after a time, and returns
// its end.
func written(t *testing.T, path string, after time.Time) time.Time {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	latest := time.Time{}
	until(t, fmt.Sprintf("writing a count that ends after %s", after), func() bool {
		if err := s.Counts(t.Context(), "default", time.Now(), func(c store.Count) error {
			if c.Full.After(latest) {
				latest = c.Full
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return latest.After(after)
	})
	return latest
}

// SIGTERM loses nothing, a kill no more than what was not yet written.
func TestCountsSurviveSignals(t *testing.T) {
	up := newUpstream(t)
	path := filepath.Join(t.TempDir(), "gateway.db")
	p := newProcess(t, path, up.addr(), "1000/30d")
	auth := bearer(t)
	p.start()
	if got := p.spend(7, auth); got != 993 {
		t.Fatalf("%d are left, want 993", got)
	}
	p.end(syscall.SIGTERM)
	p.start()
	if got := p.spend(1, auth); got != 992 {
		t.Errorf("after SIGTERM %d are left, want 992", got)
	}
	// Eight units take 8 * 43.2 minutes to come back; what ends later than that is
	// the twenty more.
	eight := time.Now().Add(8*2592*time.Second + time.Minute)
	p.spend(20, auth)
	began := time.Now()
	written(t, path, eight)
	t.Logf("it was written after %s", time.Since(began))
	before := p.spend(3, auth)
	p.end(syscall.SIGKILL)
	p.start()
	// The three after the last write may be lost, and no more.
	if got := p.spend(1, auth); got > before-1+3 || got < before-1 {
		t.Errorf("after a kill %d are left, want from %d to %d", got, before-1, before-1+3)
	}
	p.end(syscall.SIGINT)
}

// Two processes on one store count each for itself, and a restart gives neither
// anything back.
func TestCountsOfTwoProcesses(t *testing.T) {
	up := newUpstream(t)
	path := filepath.Join(t.TempDir(), "gateway.db")
	a, b := newProcess(t, path, up.addr(), "1000/30d"), newProcess(t, path, up.addr(), "1000/30d")
	auth := bearer(t)
	a.start()
	b.start()
	a.spend(10, auth)
	if got := b.spend(4, auth); got != 996 {
		t.Errorf("the second has %d left, want 996", got)
	}
	a.end(syscall.SIGTERM)
	b.end(syscall.SIGTERM)
	a.start()
	b.start()
	for name, p := range map[string]*process{"first": a, "second": b} {
		if got := p.spend(1, auth); got != 989 {
			t.Errorf("the %s has %d left, want 989: what used more of the two holds", name, got)
		}
	}
	// Both go on writing while the other does.
	for range 5 {
		a.spend(5, auth)
		b.spend(5, auth)
	}
	a.end(syscall.SIGKILL)
	b.end(syscall.SIGTERM)
	a.start()
	if got := a.spend(1, auth); got != 963 {
		t.Errorf("%d are left, want 963", got)
	}
}
