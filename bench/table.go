package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// budget is what a row may need, as ratios to bare Caddy. 0: no bound.
type budget struct{ cpu, p99, memory float64 }

// budgetOf returns what is asked of a system: with all policies less than Caddy
// without any, and least where the gateway answers itself.
func budgetOf(s system) budget {
	switch {
	case s.kind == refused:
		return budget{cpu: 0.42, memory: 1.5}
	case s.kind == allowed && s.last == gatewayProxy && s.workload.id == "get":
		return budget{cpu: 0.60, p99: 1, memory: 1.5}
	case s.kind == allowed && s.last == gatewayProxy, s.kind == plain && s.last == gatewayProxy:
		return budget{cpu: 1, p99: 1, memory: 1.5}
	}
	return budget{}
}

// row is a contender's line of the table: medians over the rounds, and medians of
// the ratios to bare Caddy's turns around each turn.
type row struct {
	system
	label       string
	value       sample
	ratio       sample
	least, most float64 // of the ratios of CPU time
	turns, kept int     // how many there were, and how many were in quiet surroundings
}

// steady is how much bare Caddy's turns before and after another may differ. If they
// differ more, something else ran, and that turn's ratio tells nothing.
const steady = 1.2

// quiet tells whether bare Caddy's turns around this one are alike.
func (s sample) quiet() bool {
	return s.before == nil || max(s.before.cpu, s.after.cpu) <= steady*min(s.before.cpu, s.after.cpu)
}

// over returns the ratio of a figure to bare Caddy's around it.
func (s sample) over(of func(sample) float64) float64 {
	if s.before == nil {
		return 1
	}
	return of(s) / ((of(*s.before) + of(*s.after)) / 2)
}

// summarise makes a row of each contender.
func summarise(contenders []*contender) []row {
	rows := make([]row, 0, len(contenders))
	for _, c := range contenders {
		kept := slices.DeleteFunc(slices.Clone(c.samples), func(s sample) bool { return !s.quiet() })
		r := row{system: c.system, label: c.label(), turns: len(c.samples), kept: len(kept)}
		if len(kept) == 0 {
			kept = c.samples // better than nothing; the table says that there was none
		}
		each := func(of func(sample) float64) (value, ratio float64) {
			values, ratios := make([]float64, len(kept)), make([]float64, len(kept))
			for i, s := range kept {
				values[i], ratios[i] = of(s), s.over(of)
			}
			return median(values), median(ratios)
		}
		r.value.rate, r.ratio.rate = each(func(s sample) float64 { return s.rate })
		r.value.p99, r.ratio.p99 = each(func(s sample) float64 { return s.p99 })
		r.value.cpu, r.ratio.cpu = each(sampleCPU)
		r.value.memory, r.ratio.memory = each(func(s sample) float64 { return s.memory })
		r.value.busy, r.ratio.busy = each(func(s sample) float64 { return s.busy })
		for i, s := range kept {
			ratio := s.over(sampleCPU)
			if i == 0 {
				r.least, r.most = ratio, ratio
			}
			r.least, r.most = min(r.least, ratio), max(r.most, ratio)
		}
		rows = append(rows, r)
	}
	return rows
}

func sampleCPU(s sample) float64 { return s.cpu }

// median of values; the mean of the middle two where their number is even.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// markdown prints rows as a table for each workload.
func markdown(rows []row) string {
	var out strings.Builder
	workload := ""
	for _, r := range rows {
		if r.workload.name != workload {
			workload = r.workload.name
			out.WriteString("### " + workload + "\n\n")
			out.WriteString("| system | CPU, µs per request | ratio (least, most) | requests/s | p99, ms | resident, MiB | turns |\n")
			out.WriteString("|---|---|---|---|---|---|---|\n")
		}
		fmt.Fprintf(&out, "| %s | %.1f | **%.2f** (%.2f, %.2f) | %.0f (%.2f) | %.2f (%.2f) | %.0f (%.2f) | %d of %d |\n",
			r.label, r.value.cpu, r.ratio.cpu, r.least, r.most, r.value.rate, r.ratio.rate, r.value.p99, r.ratio.p99,
			r.value.memory, r.ratio.memory, r.kept, r.turns)
	}
	return strings.ReplaceAll(out.String(), " |\n###", " |\n\n###") + `
Medians. Ratios, and what stands in parentheses, are to bare ` + "`reverse_proxy`" + ` with stock settings in its turns before and after. A turn does not count
when these two differ by more than 20 %: something else ran. Where none counts ("0 of"), all are shown, and tell nothing.
`
}

// overBudget returns a sentence for each figure that is above its budget.
func overBudget(rows []row) []string {
	var over []string
	for _, r := range rows {
		b := budgetOf(r.system)
		for _, figure := range []struct {
			name          string
			ratio, budget float64
		}{{"CPU per request", r.ratio.cpu, b.cpu}, {"p99", r.ratio.p99, b.p99}, {"memory", r.ratio.memory, b.memory}} {
			if figure.budget > 0 && figure.ratio > figure.budget {
				over = append(over, fmt.Sprintf("%s, %s: %.2f times bare Caddy's %s, budget %.2f", r.workload.name, r.label, figure.ratio, figure.name, figure.budget))
			}
		}
	}
	return over
}

// quietEnough is the share of its core that bare Caddy gets on a machine that does
// nothing else; the load keeps it busy all the time.
const quietEnough = 0.85

// disturbed returns a sentence if something else took the core from the gateway:
// cold caches then make every request dearer, and more so the one with more code.
func disturbed(rows []row) string {
	least := 1.0
	for _, r := range rows {
		if r.kind == bare {
			least = min(least, r.value.busy)
		}
	}
	if least >= quietEnough {
		return ""
	}
	return fmt.Sprintf("The machine was busy with something else: bare Caddy got %.0f %% of its core. Don't trust these figures, measure again when it is quiet.\n", 100*least)
}

// machineFacts says what was measured and on what, without naming the machine.
func machineFacts(ctx context.Context, binary string, o options, pinned bool) (string, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", fmt.Errorf("reading the binary's build information: %w", err)
	}
	caddyVersion := "unknown"
	for _, dep := range info.Deps {
		if dep.Path == "github.com/caddyserver/caddy/v2" {
			caddyVersion = dep.Version
		}
	}
	where := "nothing pinned"
	if pinned {
		where = "gateway pinned to one core, load and upstream to the rest"
	}
	return fmt.Sprintf(`%d cores (%s), %s/%s, %s, Caddy %s, %s; %s.
%d rounds of turns of %s, %d requests at a time, %d callers in turn. Settings are those of a fresh build.
`, runtime.NumCPU(), processorName(), runtime.GOOS, runtime.GOARCH, info.GoVersion, caddyVersion, strings.Join(versions(ctx), ", "), where,
		o.rounds, o.turn, o.connections, o.callers), nil
}

func processorName() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// versions of the programs that are there, from what they print first:
// `wrk 4.1.0 [epoll] ...`, `nginx version: nginx/1.22.1`, `HAProxy version 2.6.12-1 ...`, `h2load nghttp2/1.52.0`.
func versions(ctx context.Context) []string {
	var found []string
	for _, command := range [][]string{{"wrk", "-v"}, {"h2load", "--version"}, {"nginx", "-v"}, {"haproxy", "-v"}} {
		// wrk exits with 1 after printing it.
		output, _ := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		if version := regexp.MustCompile(`\d+(\.\d+)+`).Find(output); version != nil {
			found = append(found, command[0]+" "+string(version))
		}
	}
	return found
}
