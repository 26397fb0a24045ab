package gateway

import "testing"

// A handler that does not come back costs events, never requests.
func TestEventsNeverWait(t *testing.T) {
	e := &events{queue: make(chan event, maxEvents)}
	for range 2 * maxEvents {
		e.emit(eventLimitExceeded, nil)
	}
	if got := len(e.queue); got != maxEvents {
		t.Errorf("%d wait, want %d", got, maxEvents)
	}
}
