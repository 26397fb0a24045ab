package caddymodule_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// What configurations, dashboards and scripts name does not change without a word: each
// line of testdata/contract.txt is there, and what is new has a line. A name that is
// taken away breaks somebody's start, alert or script.
func TestContract(t *testing.T) {
	var got []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "gateway") && !strings.Contains(id, ".test_") {
			got = append(got, "module "+id)
		}
	}
	for _, name := range metricNames(t) {
		got = append(got, "metric "+name)
	}
	for _, name := range literals(t, `"(caddy_gateway_[a-z_]+)"`, "proxyhandler/metrics.go") {
		got = append(got, "metric "+name)
	}
	c := start(t, gatewayOptions(""), "gateway_errors\nrespond ok")
	for path, operations := range described(t, c).Paths {
		for method := range operations {
			got = append(got, "route "+strings.ToUpper(method)+" "+path)
		}
	}
	for _, event := range literals(t, `"(gateway\.[a-z_]+)"`, "gateway/events.go") {
		got = append(got, "event "+event)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	want := strings.Split(strings.TrimSpace(read(t, "testdata/contract.txt")), "\n")
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s is gone", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s is new: add it to testdata/contract.txt", line)
		}
	}
}
