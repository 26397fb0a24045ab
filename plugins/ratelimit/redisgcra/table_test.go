package redisgcra_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The failure table: what was promised and what was measured. Each test of a fault
// adds its row; PORTCULLIS_FAULT_TABLE=file writes the table of a run as Markdown,
// and PORTCULLIS_LONG=1 makes the runs ten times as long.

type tableRow struct{ id, fault, promise, got string }

var table struct {
	sync.Mutex
	rows []tableRow
}

// faults are the rows in their order.
var faults = []string{
	"F0", "F0b", "F1", "F2", "F3", "F4", "F5", "F5s", "F6", "F7", "F8", "F9", "F10", "F11", "F12",
	"F13", "F14", "F15", "F16", "F17", "F18", "F19", "F20",
}

// measured adds what one run of a fault gave.
func measured(t *testing.T, id, fault, promise, format string, args ...any) {
	t.Helper()
	row := tableRow{id, fault, promise, fmt.Sprintf(format, args...)}
	t.Logf("%s %s: promised %s; measured %s", row.id, row.fault, row.promise, row.got)
	if !slices.Contains(faults, id) {
		t.Errorf("there is no fault %s", id)
	}
	table.Lock()
	defer table.Unlock()
	table.rows = append(table.rows, row)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := writeTable(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func writeTable() error {
	var b strings.Builder
	b.WriteString("| # | fault | promised | measured |\n|---|---|---|---|\n")
	for _, id := range faults {
		var rows []tableRow
		for _, row := range table.rows {
			if row.id == id {
				rows = append(rows, row)
			}
		}
		if len(rows) == 0 {
			continue
		}
		var got []string
		for _, row := range rows {
			if !slices.Contains(got, row.got) {
				got = append(got, row.got)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", id, rows[0].fault, rows[0].promise, strings.Join(got, "; "))
	}
	if testing.Verbose() && len(table.rows) > 0 {
		fmt.Print("\n", b.String(), "\n")
	}
	if file := os.Getenv("PORTCULLIS_FAULT_TABLE"); file != "" {
		return os.WriteFile(file, []byte(b.String()), 0o600)
	}
	return nil
}

// long is a duration, longer where PORTCULLIS_LONG asks for it.
func long(d time.Duration) time.Duration {
	if os.Getenv("PORTCULLIS_LONG") != "" {
		return 10 * d
	}
	return d
}
