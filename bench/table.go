package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// The budgets: CPU time per request over that of bare Caddy with the same
// settings, in the same round.
const (
	allowedBudget = 1.10
	refusedBudget = 0.50
)

// row is a contender's line of the table: medians over the rounds, and medians
// of the ratios of each round to bare Caddy with the same settings.
type row struct {
	system   string
	kind     kind
	settings settings
	value    sample
	ratio    sample
	// cpuOverStock is the CPU time over that of bare Caddy with stock settings.
	cpuOverStock float64
}

// summarise pairs each contender's turns with bare Caddy's of the same round.
func summarise(contenders []*contender) []row {
	bareSamples := map[settings][]sample{}
	for _, c := range contenders {
		if c.kind == bare {
			bareSamples[c.settings] = c.samples
		}
	}
	rows := make([]row, 0, len(contenders))
	for _, c := range contenders {
		pair := func(of func(sample) float64, base []sample) float64 {
			ratios := make([]float64, len(c.samples))
			for i, s := range c.samples {
				ratios[i] = of(s) / of(base[i])
			}
			return median(ratios)
		}
		each := func(of func(sample) float64) (value, ratio float64) {
			values := make([]float64, len(c.samples))
			for i, s := range c.samples {
				values[i] = of(s)
			}
			return median(values), pair(of, bareSamples[c.settings])
		}
		r := row{system: c.name, kind: c.kind, settings: c.settings}
		r.value.rate, r.ratio.rate = each(func(s sample) float64 { return s.rate })
		r.value.p99, r.ratio.p99 = each(func(s sample) float64 { return s.p99 })
		r.value.cpu, r.ratio.cpu = each(sampleCPU)
		r.value.memory, r.ratio.memory = each(func(s sample) float64 { return s.memory })
		r.value.busy, r.ratio.busy = each(func(s sample) float64 { return s.busy })
		r.cpuOverStock = pair(sampleCPU, bareSamples[stock])
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

// markdown prints rows as a table.
func markdown(rows []row) string {
	var out strings.Builder
	out.WriteString("| system | settings | requests/s | p99, ms | CPU, µs per request | resident, MiB | CPU over stock bare Caddy |\n")
	out.WriteString("|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&out, "| %s | %s | %.0f (%.2f) | %.2f (%.2f) | %.1f (**%.2f**) | %.0f (%.2f) | %.2f |\n",
			r.system, r.settings, r.value.rate, r.ratio.rate, r.value.p99, r.ratio.p99,
			r.value.cpu, r.ratio.cpu, r.value.memory, r.ratio.memory, r.cpuOverStock)
	}
	out.WriteString("\nIn parentheses: the ratio to bare Caddy with the same settings, median of the rounds.\n")
	return out.String()
}

// overBudget returns a sentence for each row whose CPU ratio is above its budget.
func overBudget(rows []row) []string {
	var over []string
	for _, r := range rows {
		budget := allowedBudget
		switch r.kind {
		case bare, plain:
			continue
		case allowed:
		case refused:
			budget = refusedBudget
		}
		if r.ratio.cpu > budget {
			over = append(over, fmt.Sprintf("%s (%s): %.2f times bare Caddy's CPU per request, budget %.2f", r.system, r.settings, r.ratio.cpu, budget))
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
func machineFacts(ctx context.Context, caddy string, o options, pinned bool) (string, error) {
	info, err := buildinfo.ReadFile(caddy)
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
%d rounds of %s each in turn, %d connections, %d callers in turn, upstream answers 200 bytes of JSON.
Stock is Caddy as it comes; tuned is %s and the reverse proxy's logger excluded.
`, runtime.NumCPU(), processorName(), runtime.GOOS, runtime.GOARCH, info.GoVersion, caddyVersion, wrkVersion(ctx), where,
		o.rounds, o.turn, o.connections, o.callers, strings.Join(tunedEnvironment, " ")), nil
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

// wrkVersion reads `wrk 4.1.0 [epoll] ...`; wrk exits with 1 after printing it.
func wrkVersion(ctx context.Context) string {
	output, _ := exec.CommandContext(ctx, "wrk", "-v").CombinedOutput()
	fields := strings.Fields(string(output))
	if len(fields) < 2 || fields[0] != "wrk" {
		return "wrk"
	}
	return fields[0] + " " + fields[1]
}
