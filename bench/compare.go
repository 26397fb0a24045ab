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
	"strings"
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
	rows        []string // patterns; none: all
	tuned       bool
	check       bool
}

func compareCommand(ctx context.Context, args []string) error {
	var o options
	var quick bool
	var rows string
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.StringVar(&o.caddy, "caddy", "bin/caddy", "the `binary` to measure")
	flags.StringVar(&o.output, "output", "", "`file` to write the table to as well, if all rows are measured")
	flags.IntVar(&o.rounds, "rounds", 9, "how many turns each system takes")
	flags.DurationVar(&o.turn, "turn", 2*time.Second, "length of a turn, whole seconds")
	flags.IntVar(&o.connections, "connections", 32, "requests at a time")
	flags.IntVar(&o.callers, "callers", 100, "callers that take turns")
	flags.StringVar(&rows, "rows", "", "`patterns` of the rows to measure, such as get/jwt,get/429,post/*; of\n"+rowNames(allSystems()))
	flags.BoolVar(&o.tuned, "tuned", false, "measure Caddy's rows with "+strings.Join(tunedEnvironment, " ")+" as well")
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
	if rows != "" {
		o.rows = strings.Split(rows, ",")
	}
	if o.rounds < 1 || o.turn < time.Second || o.connections < 1 || o.callers < 1 {
		return fmt.Errorf("compare: rounds, connections and callers are at least 1, a turn at least 1s")
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("compare: CPU time is read from /proc; this needs Linux")
	}
	systems, err := choose(allSystems(), o.rows)
	if err != nil {
		return err
	}
	return compare(ctx, o, installed(systems))
}

// installed leaves out the systems that need a program which is not there.
func installed(systems []system) []system {
	return slices.DeleteFunc(systems, func(s system) bool {
		for _, name := range s.needs() {
			if _, err := exec.LookPath(name); err != nil {
				progress("leaving out %s: %s is not installed", s.row(), name)
				return true
			}
		}
		return false
	})
}

// compare lets the systems take turns, one workload after the other, and reports.
func compare(ctx context.Context, o options, systems []system) error {
	binary, err := filepath.Abs(o.caddy)
	if err != nil {
		return fmt.Errorf("finding the binary: %w", err)
	}
	dir, err := os.MkdirTemp("", "portcullis-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)

	gatewayCore, loadCores := pinning()
	// The upstream ends with this context, and is waited for before dir goes.
	ctx, cancel := context.WithCancel(ctx)
	upstream, address, err := startUpstream(ctx, dir, loadCores)
	defer func() {
		cancel()
		if upstream != nil {
			upstream.wait()
		}
	}()
	if err != nil {
		return err
	}
	l, err := newLoad(dir, o.connections, loadCores)
	if err != nil {
		return err
	}
	a := &arena{
		dir: dir, caddy: binary, upstream: address, certificate: filepath.Join(dir, "certificate.pem"), pinned: gatewayCore, callers: o.callers,
		secret: []byte("a secret of the benchmark with 32 bytes or more"), now: time.Now(),
	}
	if err := writeCertificate(a.certificate, a.now); err != nil {
		return err
	}
	var rows []row
	for _, w := range workloads {
		var group []*contender
		for _, s := range systems {
			if s.workload != w {
				continue
			}
			group = append(group, &contender{system: s, settings: stock})
			if o.tuned && s.program == caddy {
				group = append(group, &contender{system: s, settings: tuned})
			}
		}
		if len(group) == 0 {
			continue
		}
		if err := a.measure(ctx, l, o, group); err != nil {
			return err
		}
		rows = append(rows, summarise(group)...)
	}
	return report(ctx, binary, o, len(gatewayCore) > 0, rows)
}

// measure runs the contenders of a workload, the first of which is the measure of
// the others.
func (a *arena) measure(ctx context.Context, l *load, o options, group []*contender) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		for _, c := range group {
			if c.process != nil {
				c.process.wait()
			}
		}
	}()
	name := group[0].workload.name
	progress("%s: starting %d processes and making %d callers for each", name, len(group), o.callers)
	for _, c := range group {
		if err := a.enter(ctx, c, fmt.Sprintf("%s-%s-%s", c.workload.id, c.id, c.settings)); err != nil {
			return err
		}
	}
	// Unmeasured: fills caches and connection pools, and uses up the limit of the
	// callers that are to be refused.
	progress("%s: warming up", name)
	for _, c := range group {
		if _, err := l.run(ctx, c, time.Second); err != nil {
			return fmt.Errorf("warming up %q: %w\n%s", c.label(), err, c.process.tail())
		}
		if err := c.probe(ctx); err != nil {
			return err
		}
	}
	for n := range o.rounds {
		progress("%s: round %d of %d", name, n+1, o.rounds)
		if err := round(ctx, l, o.turn, group); err != nil {
			return err
		}
	}
	for _, c := range group {
		if err := c.probe(ctx); err != nil {
			return err
		}
	}
	return nil
}

// between is how many contenders take their turn between two turns of bare Caddy.
const between = 2

// round lets each contender take a turn: bare Caddy, two others, bare Caddy, the
// next two, and so on, and bare Caddy at the end. So each stands next to turns of
// the same minute that it can be held against.
func round(ctx context.Context, l *load, turn time.Duration, group []*contender) error {
	base := group[0]
	before, err := base.turn(ctx, l, turn)
	if err != nil {
		return err
	}
	base.samples = append(base.samples, before)
	for others := range slices.Chunk(group[1:], between) {
		for _, c := range others {
			s, err := c.turn(ctx, l, turn)
			if err != nil {
				return err
			}
			c.samples = append(c.samples, s)
		}
		after, err := base.turn(ctx, l, turn)
		if err != nil {
			return err
		}
		base.samples = append(base.samples, after)
		for _, c := range others {
			last := &c.samples[len(c.samples)-1]
			last.before, last.after = &before, &after
		}
		before = after
	}
	return nil
}

// report prints the tables, writes them where asked, and judges.
func report(ctx context.Context, binary string, o options, pinned bool, rows []row) error {
	facts, err := machineFacts(ctx, binary, o, pinned)
	if err != nil {
		return err
	}
	text := facts + "\n" + markdown(rows)
	if warning := disturbed(rows); warning != "" && pinned {
		text += "\n" + warning
	}
	fmt.Print(text)
	if o.output != "" && len(o.rows) == 0 {
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
		return fmt.Errorf("%d figures of %d rows are %w", len(over), len(rows), errOverBudget)
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
