package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// streams is how many requests share an HTTP/2 connection.
const streams = 4

// runH2load sends requests as one caller: h2load knows one header only.
func (l *load) runH2load(ctx context.Context, c *contender, turn time.Duration) (loadResult, error) {
	log := filepath.Join(l.dir, "h2load.log")
	// It appends.
	if err := os.Remove(log); err != nil && !os.IsNotExist(err) {
		return loadResult{}, fmt.Errorf("removing an old log: %w", err)
	}
	start := time.Now()
	_, err := l.execute(ctx, nil, "h2load", "-t1",
		"-c"+strconv.Itoa(max(1, l.connections/streams)), "-m"+strconv.Itoa(streams),
		"-D", seconds(turn), "--log-file", log, "-H", c.header, "https://"+c.address+c.workload.path)
	if err != nil {
		return loadResult{}, err
	}
	elapsed := time.Since(start)
	file, err := os.Open(log)
	if err != nil {
		return loadResult{}, fmt.Errorf("reading h2load's log: %w", err)
	}
	defer file.Close()
	result, err := parseH2load(file)
	result.Microseconds = elapsed.Microseconds()
	return result, err
}

// parseH2load reads a line for each request: when it began, its status and how long
// it took, the first and the last in microseconds.
func parseH2load(log io.Reader) (loadResult, error) {
	var result loadResult
	var times []int64
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return result, fmt.Errorf("reading h2load's log: %q", lines.Text())
		}
		status, err := strconv.Atoi(fields[1])
		if err != nil {
			return result, fmt.Errorf("reading h2load's log: %w", err)
		}
		took, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return result, fmt.Errorf("reading h2load's log: %w", err)
		}
		if status < 100 {
			result.Failed++
			continue
		}
		if status >= 400 {
			result.Refused++
		}
		result.Requests++
		times = append(times, took)
	}
	if err := lines.Err(); err != nil {
		return result, fmt.Errorf("reading h2load's log: %w", err)
	}
	if len(times) > 0 {
		slices.Sort(times)
		result.P99 = times[len(times)*99/100]
	}
	return result, nil
}
