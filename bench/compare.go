package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// options of a comparison.
type options struct {
	caddy       string
	output      string
	rounds      int
	turn        time.Duration
	connections int
	callers     int
	check       bool
}

func compareCommand(ctx context.Context, args []string) error {
	var o options
	var quick bool
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.StringVar(&o.caddy, "caddy", "bin/caddy", "the `binary` to measure")
	flags.StringVar(&o.output, "output", "", "`file` to write the table to as well")
	flags.IntVar(&o.rounds, "rounds", 9, "how many turns each system takes")
	flags.DurationVar(&o.turn, "turn", 2*time.Second, "length of a turn, whole seconds")
	flags.IntVar(&o.connections, "connections", 32, "keep-alive connections")
	flags.IntVar(&o.callers, "callers", 100, "callers that take turns")
	flags.BoolVar(&quick, "quick", false, "3 rounds of 1 second: a first look, not a measurement")
	flags.BoolVar(&o.check, "check", false, "exit 1 when a ratio is over its budget")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("compare: unexpected argument %q", flags.Arg(0))
	}
	if quick {
		o.rounds, o.turn = 3, time.Second
	}
	if o.rounds < 1 || o.turn < time.Second || o.connections < 1 || o.callers < 1 {
		return fmt.Errorf("compare: rounds, connections and callers are at least 1, a turn at least 1s")
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("compare: CPU time is read from /proc; this needs Linux")
	}
	return compare(ctx, o)
}

// compare starts all contenders, lets them take turns and reports.
func compare(ctx context.Context, o options) error {
	caddy, err := filepath.Abs(o.caddy)
	if err != nil {
		return fmt.Errorf("finding the binary: %w", err)
	}
	dir, err := os.MkdirTemp("", "portcullis-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)

	// Every process ends with this context, and is waited for before dir goes.
	ctx, cancel := context.WithCancel(ctx)
	var processes []*process
	defer func() {
		cancel()
		for _, p := range processes {
			p.wait()
		}
	}()

	gatewayCore, loadCores := pinning()
	upstream, address, err := startUpstream(ctx, dir, loadCores)
	if upstream != nil {
		processes = append(processes, upstream)
	}
	if err != nil {
		return err
	}
	l, err := newLoad(dir, o.connections, loadCores)
	if err != nil {
		return err
	}

	a := &arena{
		dir: dir, caddy: caddy, upstream: address, pinned: gatewayCore, callers: o.callers,
		secret: []byte("a secret of the benchmark, 32 bytes or more"), now: time.Now(),
	}
	var contenders []*contender
	progress("starting %d processes and making %d callers for each", 2*len(systems), o.callers)
	for _, s := range []settings{stock, tuned} {
		for i, sys := range systems {
			c := &contender{system: sys, settings: s}
			err := a.enter(ctx, c, fmt.Sprintf("%s-%d", s, i))
			if c.process != nil {
				processes = append(processes, c.process)
			}
			if err != nil {
				return err
			}
			contenders = append(contenders, c)
		}
	}

	// Unmeasured: fills caches and connection pools, and uses up the limit of the
	// callers that are to be refused.
	progress("warming up")
	for _, c := range contenders {
		if _, err := l.run(ctx, c.address, c.callers, time.Second); err != nil {
			return fmt.Errorf("warming up %q: %w\n%s", c.name, err, c.process.tail())
		}
		if err := c.probe(ctx); err != nil {
			return err
		}
	}
	for round := range o.rounds {
		progress("round %d of %d", round+1, o.rounds)
		for _, c := range contenders {
			s, err := c.turn(ctx, l, o.turn)
			if err != nil {
				return err
			}
			c.samples = append(c.samples, s)
		}
	}
	for _, c := range contenders {
		if err := c.probe(ctx); err != nil {
			return err
		}
	}
	return report(ctx, caddy, o, len(gatewayCore) > 0, contenders)
}

// report prints the table, writes it where asked, and judges.
func report(ctx context.Context, caddy string, o options, pinned bool, contenders []*contender) error {
	rows := summarise(contenders)
	facts, err := machineFacts(ctx, caddy, o, pinned)
	if err != nil {
		return err
	}
	text := facts + "\n" + markdown(rows)
	if warning := disturbed(rows); warning != "" && pinned {
		text += "\n" + warning
	}
	fmt.Print(text)
	if o.output != "" {
		if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
		if err := os.WriteFile(o.output, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	over := overBudget(rows)
	for _, line := range over {
		progress("%s", line)
	}
	if o.check && len(over) > 0 {
		return fmt.Errorf("%d of %d ratios are %w", len(over), len(rows), errOverBudget)
	}
	return nil
}

// pinning returns the command prefixes that put the gateway on one core and
// everything else on the others; nothing where there is one core only.
func pinning() (gateway, load []string) {
	if runtime.NumCPU() < 2 {
		progress("one core only: gateway, load and upstream share it; requests per second mean little")
		return nil, nil
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		progress("taskset is not installed: nothing is pinned to a core; requests per second mean little")
		return nil, nil
	}
	return []string{"taskset", "-c", "0"}, []string{"taskset", "-c", fmt.Sprintf("1-%d", runtime.NumCPU()-1)}
}

// startUpstream runs this program again as the upstream, on the cores of the load.
func startUpstream(ctx context.Context, dir string, pinned []string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("finding this program: %w", err)
	}
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return nil, "", err
	}
	address := "127.0.0.1:" + ports[0]
	p, err := start(ctx, filepath.Join(dir, "upstream.log"), os.Environ(), append(slices.Clone(pinned), self, "upstream", address)...)
	if err != nil {
		return nil, "", err
	}
	if err := waitForPort(ctx, address); err != nil {
		return p, "", fmt.Errorf("starting the upstream: %w\n%s", err, p.tail())
	}
	return p, address, nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
