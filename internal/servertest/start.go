package servertest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// Start starts a program that ends with the test binary, however that ends: also
// when it is killed, or when a timeout ends it without a cleanup. The test ends the
// program itself as it likes.
//
// The program and its children are a group of processes. A shell waits for the end
// of a pipe that the test binary alone holds, and kills the group then.
func Start(t testing.TB, cmd *exec.Cmd) error {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return err
	}
	watch := exec.Command("sh", "-c", fmt.Sprintf("trap '' HUP INT TERM; cat >/dev/null; kill -KILL -%d", cmd.Process.Pid)) //nolint:gosec // the number of a process
	// What ends the test's own group, such as an interrupt, is not for the watch.
	watch.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	held, err := watch.StdinPipe()
	if err == nil {
		err = watch.Start()
	}
	if err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		return fmt.Errorf("watching %s: %w", cmd.Path, err)
	}
	t.Cleanup(func() {
		// Before the pipe ends: by now another group may have the number.
		_ = syscall.Kill(-watch.Process.Pid, syscall.SIGKILL)
		_ = watch.Wait()
		_ = held.Close()
	})
	return nil
}
