package decision

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// heap is how much of the heap is in use, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A path is a piece of the request line. Records of requests with long queries kept
// the lines alive: 10,000 of them 173 MB. The texts below are pieces of 150 MB; what
// may stay is a tenth of that, and what does stay some 10 MB.
func TestRecordsKeepNoRequestAlive(t *testing.T) {
	const (
		records = 10_000
		query   = 15 << 10
		most    = records * query / 10
	)
	journal := NewJournal(records)
	before := heap()
	for i := range records {
		line := "GET /v1/users/" + strconv.Itoa(i) + "?" + strings.Repeat("q", query)
		method, rest, _ := strings.Cut(line, " ")
		path, _, _ := strings.Cut(rest, "?")
		journal.Add(&Record{
			RequestID: strconv.Itoa(i), Method: method, Path: Text(path), RewrittenPath: Text(line), Outcome: Refused,
			Value: Text(rest[:10]), Roles: []string{line[:2]}, Steps: []Step{{Policy: "gateway_auth", Result: StepRefused, Value: Text(path)}},
			Limits: []LimitRow{{Name: line[4:9]}},
		})
	}
	if kept := heap() - before; kept > most {
		t.Errorf("%d records keep %d MB, want less than %d MB", records, kept>>20, most>>20)
	}
	if got, ok := journal.Get("9999"); !ok || got.Path != "/v1/users/9999" || got.Method != http.MethodGet || got.Roles[0] != "GE" || got.Limits[0].Name != "/v1/u" {
		t.Errorf("got %+v, want the texts as they were", got)
	}
	runtime.KeepAlive(journal)
}

// What a record costs beside itself: its texts are cut from room that is taken for
// many records at once.
func TestAddAllocates(t *testing.T) {
	journal := NewJournal(1)
	journal.Add(&Record{RequestID: "x"})
	records := make([]Record, 2001)
	for i := range records {
		records[i] = Record{RequestID: "x", Method: "GET", Host: "api.example.com", Path: "/v1/users", ClientIP: "192.0.2.1", Value: "no credential"}
	}
	i := 0
	got := testing.AllocsPerRun(2000, func() {
		journal.Add(&records[i])
		i++
	})
	if got > 0.5 {
		t.Errorf("got %.1f allocations a record, want less than one", got)
	}
}
