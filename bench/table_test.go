package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	tests := map[string]struct {
		values []float64
		want   float64
	}{
		"none":     {nil, 0},
		"one":      {[]float64{3}, 3},
		"odd":      {[]float64{9, 1, 2}, 2},
		"even":     {[]float64{4, 1, 2, 9}, 3},
		"outliers": {[]float64{100, 2, 2, 2, 0.1}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := median(tt.values); got != tt.want {
				t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
			}
		})
	}
}

// contendersWith returns bare Caddy with its turns, and a system that took its
// turns between them: the one at i between bare Caddy's at i and i+1.
func contendersWith(s system, base []float64, cpu ...float64) []*contender {
	turns := func(cpu []float64) []sample {
		var s []sample
		for _, v := range cpu {
			s = append(s, sample{rate: 1e6 / v, p99: v / 20, cpu: v, memory: 50})
		}
		return s
	}
	around, own := turns(base), turns(cpu)
	for i := range own {
		own[i].before, own[i].after = &around[i], &around[i+1]
	}
	return []*contender{
		{system: system{name: "bare", kind: bare, workload: workloads[0]}, samples: around},
		{system: s, samples: own},
	}
}

func gatewayOf(k kind) system {
	return system{name: "gateway", kind: k, last: gatewayProxy, workload: workloads[0]}
}

// A turn in which the whole machine was slow must not count against a system: it is
// held against bare Caddy's turns around it.
func TestSummarisePairsTurns(t *testing.T) {
	tests := map[string]struct {
		base, cpu   []float64
		ratio, most float64
		kept        int
	}{
		"quiet":                  {[]float64{100, 100, 100, 100}, []float64{60, 50, 70}, 0.6, 0.7, 3},
		"slow for all":           {[]float64{100, 110, 130, 150}, []float64{52.5, 60, 70}, 0.5, 0.5, 3},
		"something else between": {[]float64{100, 100, 200, 100}, []float64{50, 90, 90}, 0.5, 0.5, 1},
		"never quiet":            {[]float64{100, 200, 100, 200}, []float64{75, 75, 90}, 0.5, 0.6, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rows := summarise(contendersWith(gatewayOf(allowed), tt.base, tt.cpu...))
			got := rows[1]
			if !near(got.ratio.cpu, tt.ratio) || !near(got.most, tt.most) || got.kept != tt.kept || got.turns != len(tt.cpu) {
				t.Errorf("ratio %v, most %v, %d of %d turns; want %v, %v, %d of %d",
					got.ratio.cpu, got.most, got.kept, got.turns, tt.ratio, tt.most, tt.kept, len(tt.cpu))
			}
			if rows[0].ratio.cpu != 1 || rows[0].ratio.p99 != 1 {
				t.Errorf("ratios of bare Caddy to itself = %v and %v, want 1", rows[0].ratio.cpu, rows[0].ratio.p99)
			}
		})
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestOverBudget(t *testing.T) {
	post := gatewayOf(allowed)
	post.workload = workloads[1]
	tests := map[string]struct {
		system system
		cpu    float64
		want   string
	}{
		"allowed within":     {gatewayOf(allowed), 60, ""},
		"allowed above":      {gatewayOf(allowed), 61, "0.61 times bare Caddy's CPU per request, budget 0.60"},
		"refused within":     {gatewayOf(refused), 42, ""},
		"refused above":      {gatewayOf(refused), 43, "0.43 times bare Caddy's CPU per request, budget 0.42"},
		"POST within":        {post, 99, ""},
		"plain proxy within": {gatewayOf(plain), 99, ""},
		"another program":    {gatewayOf(peer), 300, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			over := strings.Join(overBudget(summarise(contendersWith(tt.system, []float64{100, 100}, tt.cpu))), "\n")
			if !strings.Contains(over, tt.want) || (over == "") != (tt.want == "") {
				t.Errorf("overBudget() = %q, want %q", over, tt.want)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	got := markdown(summarise(contendersWith(gatewayOf(refused), []float64{100, 100, 100}, 40, 60)))
	for _, want := range []string{
		"### GET, answer of 200 B\n",
		"| gateway | 50.0 | **0.50** (0.40, 0.60) | 20833 (2.08) | 2.50 (0.50) | 50 (1.00) | 2 of 2 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("markdown() = %s\nwant a line %s", got, want)
		}
	}
}

func TestDisturbed(t *testing.T) {
	tests := map[string]struct {
		busy float64
		want string
	}{
		"quiet":                      {0.97, ""},
		"something else was running": {0.4, "bare Caddy got 40 % of its core"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rows := []row{
				{system: system{kind: bare, workload: workloads[0]}, value: sample{busy: 0.99}},
				{system: system{kind: bare, workload: workloads[1]}, value: sample{busy: tt.busy}},
				// The load generator does not keep up with refusals: that is no disturbance.
				{system: system{kind: refused, workload: workloads[0]}, value: sample{busy: 0.5}},
			}
			got := disturbed(rows)
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("disturbed() = %q, want %q in it", got, tt.want)
			}
		})
	}
}

func TestParseH2load(t *testing.T) {
	var log strings.Builder
	for i := range 200 {
		fmt.Fprintf(&log, "1700000000000000\t200\t%d\n", i+1)
	}
	log.WriteString("1700000000000000\t429\t1\n1700000000000000\t-1\t1\n")
	got, err := parseH2load(strings.NewReader(log.String()))
	if want := (loadResult{Requests: 201, Refused: 1, Failed: 1, P99: 198}); err != nil || got != want {
		t.Errorf("parseH2load() = %+v, %v, want %+v", got, err, want)
	}
	for _, broken := range []string{"1 200\n", "1 x 3\n", "1 200 x\n"} {
		if _, err := parseH2load(strings.NewReader(broken)); err == nil {
			t.Errorf("parseH2load(%q) gave no error", broken)
		}
	}
}
