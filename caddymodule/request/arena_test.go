package request

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Ids are UUIDs of version 7, of the time they were made at, and never the same,
// however many are made at once.
func TestRequestIDs(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var mine []string
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			for range 1000 {
				var x Exchange
				x.EnsureRequestID(r)
				mine = append(mine, x.RequestID)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range mine {
				u, err := uuid.Parse(id)
				if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 || u.String() != id {
					t.Fatalf("got %q: %v, version %d", id, err, u.Version())
				}
				if sec, _ := u.Time().UnixTime(); sec < time.Now().Unix()-60 || sec > time.Now().Unix()+1 {
					t.Fatalf("%s says %s", id, time.Unix(sec, 0))
				}
				if seen[id] {
					t.Fatalf("%s twice", id)
				}
				seen[id] = true
			}
		})
	}
	wg.Wait()
	a := new(arena)
	early := a.id(time.UnixMilli(1_700_000_000_000))
	for ms := range 100 {
		late := a.id(time.UnixMilli(1_700_000_000_000 + 1 + int64(ms)))
		if late <= early {
			t.Fatalf("%s after %s", late, early)
		}
		early = late
	}
}

// What one request keeps, no other request writes to.
func TestArenaNeverReuses(t *testing.T) {
	a := new(arena)
	var ids []string
	lines := make(map[*string]bool)
	exchanges := make(map[*Exchange]bool)
	var kept [][]string
	for range 1000 {
		id := a.id(time.Now())
		ids = append(ids, id)
		request, response := a.idLines(id)
		kept = append(kept, request, response)
		if cap(request) != 1 || cap(response) != 1 || lines[&request[0]] || lines[&response[0]] {
			t.Fatal("header lines are shared")
		}
		lines[&request[0]], lines[&response[0]] = true, true
		if x := a.exchange(); exchanges[x] || x.RequestID != "" {
			t.Fatal("an exchange is used twice")
		} else {
			x.RequestID = id
			exchanges[x] = true
		}
	}
	for i, id := range ids {
		if kept[2*i][0] != id || kept[2*i+1][0] != id {
			t.Fatalf("lines of request %d say %q and %q, want %q", i, kept[2*i][0], kept[2*i+1][0], id)
		}
	}
}
