package servertest_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/internal/servertest"
)

// TestProgram is a test that starts a program with a child, both of which hold its
// standard output, and then never ends.
func TestProgram(t *testing.T) {
	if os.Getenv(asChild) != "program" {
		return
	}
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo started; wait")
	cmd.Stdout = os.Stdout
	if err := servertest.Start(t, cmd); err != nil {
		t.Fatal(err)
	}
	select {}
}

// What a test started is gone when its binary is: by a signal, or by the timeout of
// go test, neither of which runs a cleanup.
func TestProgramsEndWithTheTestBinary(t *testing.T) {
	for name, tc := range map[string]struct {
		flag string
		end  func(*os.Process) error
	}{
		"killed":      {"-test.timeout=0", (*os.Process).Kill},
		"interrupted": {"-test.timeout=0", func(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGINT) }},
		"timeout":     {"-test.timeout=1s", func(*os.Process) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			binary := exec.Command(os.Args[0], "-test.run=^TestProgram$", tc.flag)
			if name == "interrupted" && signal.Ignored(syscall.SIGINT) {
				// A background job of a shell ignores interrupts, and its children inherit that.
				binary = exec.Command("env", append([]string{"--default-signal=INT"}, binary.Args...)...)
			}
			binary.Env = append(os.Environ(), asChild+"=program")
			binary.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := binary.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := binary.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "started" {
				t.Fatalf("the program said %q, %v", line, err)
			}
			if err := tc.end(binary.Process); err != nil {
				t.Fatal(err)
			}
			// The pipe ends when none is left that could write to it.
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, lines)
				close(ended)
			}()
			select {
			case <-ended:
			case <-time.After(60 * time.Second):
				t.Error("what the test started goes on without it")
			}
			_ = binary.Wait() // it was ended by force
		})
	}
}
