package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// load makes requests, with wrk or h2load.
type load struct {
	dir         string   // for files of a run
	script      string   // of wrk
	connections int      // requests at a time
	pinned      []string // command prefix that keeps the program on its cores
}

// loadResult is what a run reports.
type loadResult struct {
	Requests     int64 `json:"requests"`
	Microseconds int64 `json:"microseconds"` // how long the run took
	Refused      int64 `json:"refused"`      // answers with status >= 400
	Failed       int64 `json:"failed"`       // connect, read, write errors and timeouts
	P99          int64 `json:"p99"`          // microseconds
}

func newLoad(dir string, connections int, pinned []string) (*load, error) {
	script := filepath.Join(dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o600); err != nil {
		return nil, fmt.Errorf("writing the wrk script: %w", err)
	}
	return &load{dir: dir, script: script, connections: connections, pinned: pinned}, nil
}

// run sends a contender's requests for the given time.
func (l *load) run(ctx context.Context, c *contender, turn time.Duration) (loadResult, error) {
	var result loadResult
	var err error
	if c.workload.http2 {
		result, err = l.runH2load(ctx, c, turn)
	} else {
		result, err = l.runWrk(ctx, c, turn)
	}
	if err == nil && result.Requests == 0 {
		err = fmt.Errorf("there was no answer from %s", c.address)
	}
	return result, err
}

// runWrk sends requests as all callers in turn.
func (l *load) runWrk(ctx context.Context, c *contender, turn time.Duration) (loadResult, error) {
	output, err := l.execute(ctx,
		[]string{
			"PORTCULLIS_BENCH_CALLERS=" + c.callers, "PORTCULLIS_BENCH_METHOD=" + c.workload.method,
			"PORTCULLIS_BENCH_PATH=" + c.workload.path, "PORTCULLIS_BENCH_BODY=" + strconv.Itoa(c.workload.body),
		},
		"wrk", "-t1", "-c"+strconv.Itoa(l.connections), "-d"+seconds(turn), "-s", l.script, "http://"+c.address)
	if err != nil {
		return loadResult{}, err
	}
	at := bytes.LastIndex(output, []byte(`{"requests"`))
	if at < 0 {
		return loadResult{}, fmt.Errorf("reading wrk's report: there is none\n%s", output)
	}
	var result loadResult
	if err := json.Unmarshal(output[at:], &result); err != nil {
		return loadResult{}, fmt.Errorf("reading wrk's report: %w", err)
	}
	return result, nil
}

// execute runs a load generator on its cores and returns what it prints.
func (l *load) execute(ctx context.Context, env []string, args ...string) ([]byte, error) {
	args = append(slices.Clone(l.pinned), args...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running %s: %w\n%s", args[len(l.pinned)], err, output)
	}
	return output, nil
}

func seconds(turn time.Duration) string { return strconv.Itoa(int(turn.Seconds())) + "s" }
