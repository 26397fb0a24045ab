// Package decision keeps why requests were refused, so that an operator can ask.
// A record is made for a refused request only; one that passes costs nothing.
package decision

import (
	"sync"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Record says what became of one request and why. It holds no credential.
type Record struct {
	RequestID string    `json:"request_id"`
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	Path      string    `json:"path"`
	ClientIP  string    `json:"client_ip"`
	// Status that the client got.
	Status int `json:"status"`

	// Reason, Value and Bound are those of the gateway's own denial: the exact cause,
	// what was found, and what it was held against.
	Reason plugins.Reason `json:"reason,omitempty"`
	Value  string         `json:"value,omitempty"`
	Bound  string         `json:"bound,omitempty"`
	// RetryAfter in whole seconds.
	RetryAfter int `json:"retry_after,omitempty"`

	// Who called, as far as it was found out.
	Subject string   `json:"subject,omitempty"`
	Roles   []string `json:"roles,omitempty"`
	Tier    string   `json:"tier,omitempty"`
	Scheme  string   `json:"scheme,omitempty"`
	KeyID   string   `json:"key_id,omitempty"`
	Issuer  string   `json:"issuer,omitempty"`

	// Limits are the limits that were asked.
	Limits []LimitRow `json:"limits,omitempty"`

	// UpstreamStatus, Reader, Rule and Leak say how an upstream's error was read.
	UpstreamStatus int    `json:"upstream_status,omitempty"`
	Reader         string `json:"reader,omitempty"`
	Rule           int    `json:"rule,omitempty"`
	Leak           string `json:"leak,omitempty"`

	// Failure is the private text of an error, the gateway's own or a handler's.
	Failure string `json:"failure,omitempty"`
}

// LimitRow is the state of one limit after the decision.
type LimitRow struct {
	Name      string `json:"name"`
	Limit     string `json:"limit"`
	Remaining int64  `json:"remaining"`
	// RetryAfter is how long until this limit lets the request pass; empty where it
	// did not refuse.
	RetryAfter string `json:"retry_after,omitempty"`
}

// DefaultSize is how many records are kept unless asked otherwise.
const DefaultSize = 10_000

// Ring keeps the newest records. It is safe for concurrent use.
type Ring struct {
	mu    sync.Mutex
	slots []Record
	next  int
	byID  map[string]int
}

// NewRing keeps the newest size records, at least one.
func NewRing(size int) *Ring {
	return &Ring{slots: make([]Record, 0, max(size, 1)), byID: map[string]int{}}
}

// Add keeps a record and drops the oldest where there is no room. Of two with the
// same request id the newer is found.
func (r *Ring) Add(record Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.slots) < cap(r.slots) {
		r.slots = append(r.slots, record)
	} else {
		if old := r.slots[r.next].RequestID; r.byID[old] == r.next {
			delete(r.byID, old)
		}
		r.slots[r.next] = record
	}
	r.byID[record.RequestID] = r.next
	r.next = (r.next + 1) % cap(r.slots)
}

// Get returns the record of a request.
func (r *Ring) Get(requestID string) (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.byID[requestID]
	if !ok {
		return Record{}, false
	}
	return r.slots[at], true
}
