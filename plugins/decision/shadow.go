package decision

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Shadows counts what shadow mode let pass, by policy, reason and route, for each hour. It
// is bounded: if there is no room for another row, the request counts in the row with
// route OtherRoutes of its policy and reason. The zero value is ready to use; it is safe
// for concurrent use.
type Shadows struct {
	mu   sync.Mutex
	rows map[shadowKey]*shadowRow
	// routes counts the rows of one policy and reason, which is a key without route.
	routes map[shadowKey]int
	since  time.Time
}

type shadowKey struct{ policy, reason, route string }

type shadowRow struct {
	count       uint64
	status      int
	first, last time.Time
	lastRequest string
	// hours counts by hour, at the hour's number modulo the length; hour is the
	// newest that has been counted in.
	hours [shadowHours]uint32
	hour  int64
}

const (
	// OtherRoutes is the route of requests without room for a row of their own.
	OtherRoutes = "other"
	// maxRoutes is how many routes one policy and reason may have, and maxRows how many
	// rows there may be in all, both without OtherRoutes.
	maxRoutes = 100
	maxRows   = 2000
	// shadowHours is how many hours a report can go back.
	shadowHours = 7 * 24
)

// ShadowRow is how often a policy would have refused for a reason on a route.
type ShadowRow struct {
	Policy string `json:"policy"`
	Reason string `json:"reason"`
	Route  string `json:"route"`
	// Status that the clients would have got.
	Status int    `json:"status"`
	Count  uint64 `json:"count"`
	// First and Last are when the first and the last such request came.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// LastRequestID is an example for `explain`.
	LastRequestID string `json:"last_request_id"`
}

// Add counts a request that would have been refused.
func (s *Shadows) Add(policy, reason, route string, status int, requestID string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.reset(now)
	}
	row := s.row(shadowKey{policy, reason, route}, now)
	row.count++
	row.status, row.last, row.lastRequest = status, now, requestID
	hour := hourOf(now)
	if hour > row.hour {
		for h := max(row.hour+1, hour-shadowHours+1); h <= hour; h++ {
			row.hours[h%shadowHours] = 0
		}
		row.hour = hour
	}
	if hour > row.hour-shadowHours {
		row.hours[hour%shadowHours]++
	}
}

// row finds or makes a row.
func (s *Shadows) row(key shadowKey, now time.Time) *shadowRow {
	if row := s.rows[key]; row != nil {
		return row
	}
	kind := shadowKey{key.policy, key.reason, ""}
	if key.route != OtherRoutes && (s.routes[kind] >= maxRoutes || len(s.rows) >= maxRows) {
		key.route = OtherRoutes
		return s.row(key, now)
	}
	row := &shadowRow{first: now, hour: hourOf(now)}
	s.rows[key] = row
	s.routes[kind]++
	return row
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// Report returns the rows since a time, the most frequent first, and the exact start of
// the report: whole hours, seven days back at most. With the zero time it covers all since
// the start or the last Reset.
func (s *Shadows) Report(since, now time.Time) ([]ShadowRow, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []ShadowRow{}
	from := s.since
	if s.rows == nil {
		from = now
	}
	earliest := hourOf(now) - shadowHours + 1
	if !since.IsZero() {
		earliest = max(earliest, hourOf(since))
		if at := time.Unix(earliest*3600, 0).UTC(); at.After(from) {
			from = at
		}
	}
	for key, row := range s.rows {
		shown := ShadowRow{
			Policy: key.policy, Reason: key.reason, Route: key.route, Status: row.status, Count: row.count,
			First: row.first, Last: row.last, LastRequestID: row.lastRequest,
		}
		if !since.IsZero() {
			shown.Count = 0
			for h := max(earliest, row.hour-shadowHours+1); h <= row.hour; h++ {
				shown.Count += uint64(row.hours[h%shadowHours])
			}
			if shown.Count == 0 {
				continue
			}
			if shown.First.Before(from) {
				shown.First = from
			}
		}
		list = append(list, shown)
	}
	slices.SortFunc(list, func(a, b ShadowRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Policy, b.Policy),
			strings.Compare(a.Reason, b.Reason), strings.Compare(a.Route, b.Route))
	})
	return list, from
}

// Reset removes all rows.
func (s *Shadows) Reset(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset(now)
}

func (s *Shadows) reset(now time.Time) {
	s.rows, s.routes, s.since = map[shadowKey]*shadowRow{}, map[shadowKey]int{}, now
}

// Route is the group of a path in the report: its first two segments. A segment that looks
// like an id, such as a number, a UUID or a long word, becomes `*`, and so does the rest.
func Route(path string) string {
	var b strings.Builder
	rest := strings.TrimPrefix(path, "/")
	for range 2 {
		if rest == "" {
			break
		}
		segment, after, _ := strings.Cut(rest, "/")
		b.WriteByte('/')
		if isID(segment) {
			b.WriteByte('*')
		} else {
			b.WriteString(segment)
		}
		rest = after
	}
	switch {
	case b.Len() == 0:
		return "/"
	case rest != "":
		b.WriteString("/*")
	}
	return b.String()
}

// isID reports whether a segment looks like the id of one resource, and not like the name
// of a collection.
func isID(segment string) bool {
	const longest = 32
	if len(segment) > longest || segment == "" {
		return true
	}
	digits := 0
	for i := range len(segment) {
		switch c := segment[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.', c == '~':
		default:
			return true
		}
	}
	// `v1` and `oauth2` are names, `8c1f03` and `2024-05` are ids.
	return digits > 2 || digits == len(segment)
}
