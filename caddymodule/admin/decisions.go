package admin

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

const (
	// maxDecisions is how many records one answer has at most.
	maxDecisions = 10_000
	// followBeat is how often a follower gets an empty object while there are no new
	// records, which shows whether it is still connected. followPatience is how long a
	// write to it may take.
	followBeat     = 15 * time.Second
	followPatience = 10 * time.Second
)

// listDecisions answers with the newest records, or follows them.
func listDecisions(w http.ResponseWriter, r *http.Request) {
	kept, ok := gateway.RunningJournal()
	if !ok {
		writeAdmin(w, 0, nil, gateway.ErrNotRunning)
		return
	}
	query := r.URL.Query()
	filter := decision.Filter{
		Reason: plugins.Reason(query.Get("reason")), Owner: query.Get("owner"), Policy: query.Get("policy"),
		Path: query.Get("path"), Outcome: decision.Outcome(query.Get("outcome")),
	}
	limit, after := uint64(adminapi.DefaultDecisions), uint64(math.MaxUint64)
	for name, into := range map[string]struct {
		value *uint64
		most  uint64
	}{"limit": {&limit, maxDecisions}, "after": {&after, math.MaxUint64}} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n > into.most || n == 0 && name == "limit" {
			writeAdmin(w, 0, nil, plugins.Invalid(name, "write a whole number, up to "+strconv.FormatUint(into.most, 10)))
			return
		}
		*into.value = n
	}
	if text := query.Get("status"); text != "" {
		n, err := strconv.Atoi(strings.TrimSuffix(text, "xx"))
		if err != nil || n < 1 || n > 599 {
			writeAdmin(w, 0, nil, plugins.Invalid("status", "write a status like 403, or a class like 4xx"))
			return
		}
		filter.Status = n
	}
	switch follow := query.Get("follow"); follow {
	case "", "0":
		writeAdmin(w, http.StatusOK, kept.Recent(filter, int(limit)), nil)
	case "1":
		followDecisions(w, r, kept, filter, after)
	default:
		writeAdmin(w, 0, nil, plugins.Invalid("follow", "write follow=1"))
	}
}

// errTooManyFollowers is the answer to a client that follows a journal which has as many
// followers as it may have.
var errTooManyFollowers = errors.New("too many follow the decisions already: end another `caddy gateway tail`")

// followDecisions writes each record as a line of JSON, until the client goes or
// the configuration ends. A client that reads too slowly misses records, and gets
// {"dropped": N} for them.
func followDecisions(w http.ResponseWriter, r *http.Request, j *decision.Journal, filter decision.Filter, after uint64) {
	follower, ok := j.Follow(filter, after)
	if !ok {
		writeAdmin(w, 0, nil, errTooManyFollowers)
		return
	}
	defer j.Unfollow(follower)
	// The admin endpoint waits for its requests when a configuration ends.
	ended := caddy.ActiveContext().Done()
	beat := time.NewTicker(followBeat)
	defer beat.Stop()

	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	encoder := json.NewEncoder(w)
	send := func(line any) bool {
		if err := control.SetWriteDeadline(time.Now().Add(followPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return false
		}
		err := encoder.Encode(line)
		if err == nil {
			err = control.Flush()
		}
		if err != nil {
			pool.Log("admin").Debug("a follower of the decisions is gone", zap.Error(err))
		}
		return err == nil
	}
	type note struct {
		Dropped uint64 `json:"dropped"`
	}
	if control.Flush() != nil {
		return
	}
	for {
		var line any
		select {
		case <-r.Context().Done():
			return
		case <-ended:
			return
		case record := <-follower.Records:
			line = record
		case <-beat.C:
			line = struct{}{}
		}
		if lost := follower.Dropped(); lost != 0 && !send(note{lost}) {
			return
		}
		if !send(line) {
			return
		}
	}
}

// showShadow sums up the requests that shadow mode let pass.
func showShadow(j *decision.Journal, r *http.Request) (int, any, error) {
	now := time.Now().UTC()
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		if ago, err := caddy.ParseDuration(text); err == nil && ago > 0 {
			since = now.Add(-ago)
		} else if since, err = time.Parse(time.RFC3339, text); err != nil {
			return 0, nil, plugins.Invalid("since", "write a duration like 24h or 7d, or a time like 2026-01-31T08:00:00Z")
		}
	}
	rows, from := j.Shadows.Report(since, now)
	return http.StatusOK, adminapi.ShadowReport{Since: from, Rows: rows}, nil
}

// resetShadow answers with the sum and sets it to zero.
func resetShadow(j *decision.Journal, _ *http.Request) (int, any, error) {
	now := time.Now().UTC()
	rows, from := j.Shadows.Report(time.Time{}, now)
	j.Shadows.Reset(now)
	return http.StatusOK, adminapi.ShadowReport{Since: from, Rows: rows}, nil
}

// errNoRecord is the answer for a request that has no record.
var errNoRecord = errors.New("no record of this request: it was not refused, went through another gateway, or newer refusals have taken its place")

// showDecision answers with the record of a request.
func showDecision(j *decision.Journal, r *http.Request) (int, any, error) {
	record, ok := j.Get(r.PathValue("id"))
	if !ok {
		return 0, nil, errNoRecord
	}
	return http.StatusOK, record, nil
}
