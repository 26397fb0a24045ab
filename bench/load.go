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

// load makes requests with wrk.
type load struct {
	script      string // file
	connections int
	pinned      []string // command prefix that keeps wrk on its core
}

// loadResult is what wrk.lua reports.
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
	return &load{script: script, connections: connections, pinned: pinned}, nil
}

// run sends requests to address for the given time, by the callers in a file.
func (l *load) run(ctx context.Context, address, callers string, turn time.Duration) (loadResult, error) {
	args := append(slices.Clone(l.pinned),
		"wrk", "-t1", "-c"+strconv.Itoa(l.connections), "-d"+strconv.Itoa(int(turn.Seconds()))+"s",
		"-s", l.script, "http://"+address)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "PORTCULLIS_BENCH_CALLERS="+callers)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return loadResult{}, fmt.Errorf("running wrk: %w\n%s", err, output)
	}
	at := bytes.LastIndex(output, []byte(`{"requests"`))
	if at < 0 {
		return loadResult{}, fmt.Errorf("reading wrk's report: there is none\n%s", output)
	}
	var result loadResult
	if err := json.Unmarshal(output[at:], &result); err != nil {
		return loadResult{}, fmt.Errorf("reading wrk's report: %w", err)
	}
	if result.Requests == 0 {
		return loadResult{}, fmt.Errorf("wrk got no answer from %s\n%s", address, output)
	}
	return result, nil
}
