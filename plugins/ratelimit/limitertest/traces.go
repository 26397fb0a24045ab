package limitertest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// tracesJSON has sequences of calls with their answers, taken from the tests and
// documents of other limiters with the same model.
//
//go:embed testdata/traces.json
var tracesJSON []byte

// A Trace is a sequence of calls on one key with the answers to them.
type Trace struct {
	Name   string
	Source string
	Limit  ratelimit.Limit
	Rows   []TraceRow
}

// A TraceRow is one call. Times are since the first call; Retry is -1 for never.
type TraceRow struct {
	At, Reset, Retry time.Duration
	Cost, Remaining  int64
	Allowed          bool
}

// Traces are the traces with known answers that hold for GCRA.
func Traces() ([]Trace, error) {
	var raw []struct {
		Name, Source, Limit string
		Rows                [][]any
	}
	if err := json.Unmarshal(tracesJSON, &raw); err != nil {
		return nil, fmt.Errorf("reading the traces: %w", err)
	}
	var traces []Trace
	for _, r := range raw {
		limit, err := ratelimit.ParseLimitString(r.Limit)
		if err != nil {
			return nil, fmt.Errorf("trace %s: %w", r.Name, err)
		}
		trace := Trace{Name: r.Name, Source: r.Source, Limit: limit}
		for i, row := range r.Rows {
			if len(row) != 6 {
				return nil, fmt.Errorf("trace %s: row %d has %d columns", r.Name, i, len(row))
			}
			trace.Rows = append(trace.Rows, TraceRow{
				At: span(row[0]), Cost: int64(row[1].(float64)), Allowed: row[2].(bool),
				Remaining: int64(row[3].(float64)), Reset: span(row[4]), Retry: span(row[5]),
			})
		}
		traces = append(traces, trace)
	}
	return traces, nil
}

func span(v any) time.Duration {
	s := v.(float64)
	if s == -1 {
		return -1
	}
	return time.Duration(math.Round(s * float64(time.Second)))
}

func runTraces(t *testing.T, s Subject) {
	traces, err := Traces()
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range traces {
		t.Run(trace.Name, func(t *testing.T) {
			b := newBench(t, s)
			at := time.Duration(0)
			for i, want := range trace.Rows {
				b.advance(want.At - at)
				at = want.At
				got := b.take(want.Cost, trace.Limit)
				row := got.Rows[0]
				if got.Allowed != want.Allowed || row.Remaining != want.Remaining ||
					!s.near(row.ResetAfter, want.Reset) || !s.near(earliest(got), want.Retry) {
					t.Errorf("row %d at %s, cost %d: got allowed %v, remaining %d, reset %s, retry %s; want %+v",
						i, want.At, want.Cost, got.Allowed, row.Remaining, row.ResetAfter, earliest(got), want)
				}
			}
		})
	}
}
