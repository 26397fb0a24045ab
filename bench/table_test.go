package main

import (
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

// contendersWith returns bare Caddy, stock and tuned, and a gateway whose CPU
// times are given.
func contendersWith(k kind, cpu ...float64) []*contender {
	turns := func(cpu ...float64) []sample {
		var s []sample
		for _, v := range cpu {
			s = append(s, sample{rate: 1e6 / v, p99: 5, cpu: v, memory: 50})
		}
		return s
	}
	return []*contender{
		{system: system{name: "bare", kind: bare}, settings: stock, samples: turns(100, 200, 100)},
		{system: system{name: "bare", kind: bare}, settings: tuned, samples: turns(80, 160, 80)},
		{system: system{name: "gateway", kind: k}, settings: tuned, samples: turns(cpu...)},
	}
}

// A round in which the whole machine was slow must not count against a system:
// its turns are held against bare Caddy's of the same round.
func TestSummarisePairsRounds(t *testing.T) {
	rows := summarise(contendersWith(allowed, 88, 176, 88))
	got := rows[2]
	if want := 1.1; !near(got.ratio.cpu, want) {
		t.Errorf("CPU ratio = %v, want %v", got.ratio.cpu, want)
	}
	if want := 0.88; !near(got.cpuOverStock, want) {
		t.Errorf("CPU over stock = %v, want %v", got.cpuOverStock, want)
	}
	if want := 88.0; got.value.cpu != want {
		t.Errorf("CPU = %v, want %v", got.value.cpu, want)
	}
	if want := 1.0; rows[0].ratio.cpu != want || rows[1].ratio.cpu != want {
		t.Errorf("ratios of bare Caddy to itself = %v and %v, want %v", rows[0].ratio.cpu, rows[1].ratio.cpu, want)
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestOverBudget(t *testing.T) {
	tests := map[string]struct {
		kind kind
		cpu  float64
		want bool
	}{
		"allowed below":       {allowed, 80, false},
		"allowed just within": {allowed, 87.9, false},
		"allowed above":       {allowed, 89, true},
		"refused within":      {refused, 39, false},
		"refused above":       {refused, 41, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			over := overBudget(summarise(contendersWith(tt.kind, tt.cpu, 2*tt.cpu, tt.cpu)))
			if got := len(over) == 1; got != tt.want {
				t.Errorf("overBudget() = %q, want one line: %v", over, tt.want)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	got := markdown(summarise(contendersWith(refused, 40, 80, 40)))
	want := "| gateway | tuned | 25000 (2.00) | 5.00 (1.00) | 40.0 (**0.50**) | 50 (1.00) | 0.40 |\n"
	if !strings.Contains(got, want) {
		t.Errorf("markdown() = %s\nwant a line %s", got, want)
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
				{kind: bare, settings: stock, value: sample{busy: 0.99}},
				{kind: bare, settings: tuned, value: sample{busy: tt.busy}},
				// The load generator does not keep up with refusals: that is no disturbance.
				{kind: refused, settings: tuned, value: sample{busy: 0.5}},
			}
			got := disturbed(rows)
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("disturbed() = %q, want %q in it", got, tt.want)
			}
		})
	}
}
