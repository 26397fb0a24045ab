package redisgcra

import (
	"fmt"
	"strconv"
	"time"
)

// Health is the state of the limiter for operators. It has no secret and no
// caller in it.
type Health struct {
	Target    string    `json:"target"`
	Mode      Mode      `json:"mode"`
	Engine    Engine    `json:"engine"`
	OnFailure OnFailure `json:"on_failure"`
	// Share is the part of each limit that this node grants while Redis is gone.
	Share float64 `json:"share"`
	// Gateways is how many share the Redis by their signs of life, this one
	// included; 0 while that is not known.
	Gateways int    `json:"gateways"`
	Timeout  string `json:"timeout"`
	// Bound is what is admitted in any window of length W, where B is the burst, R
	// the rate and Redis answers.
	Bound string `json:"bound"`
	// OutageBound is what is admitted on top of it while Redis does not answer.
	OutageBound string `json:"outage_bound"`

	// Breaker is "closed" while Redis is asked and "open" while it is not, for a
	// cluster while one of its masters is not.
	Breaker string `json:"breaker"`
	// OpenSince is when it opened, null while it is closed.
	OpenSince *time.Time `json:"open_since"`
	// Opened counts how often it opened.
	Opened int64 `json:"opened"`
	// LastError is the last failure, empty if there was none.
	LastError string `json:"last_error"`
	// Masters are those of a cluster that the gateway has met, empty for others.
	Masters []Master `json:"masters"`

	// Hears says that the node hears of resets and refunds by other nodes, for which
	// it listens once a caller has to wait for more than a second.
	Hears bool `json:"hears"`

	// Answered counts decisions of Redis, Denied refusals without asking it.
	Answered int64 `json:"answered"`
	Denied   int64 `json:"denied_without_asking"`
	// Trips counts round trips and Calls the calls in them.
	Trips int64 `json:"trips"`
	Calls int64 `json:"calls"`
	// Errors counts failures, Timeouts those of them by time.
	Errors   int64 `json:"errors"`
	Timeouts int64 `json:"timeouts"`
	// Corrupt counts values that were no counts and were removed, Impossible
	// counts that could not be and were put right, OutOfStep connections whose
	// answers were not to the questions and were closed.
	Corrupt    int64 `json:"corrupt"`
	Impossible int64 `json:"impossible"`
	OutOfStep  int64 `json:"out_of_step"`
	// Owed is how many counts have usage of an outage to be charged, Settled and
	// Unsettled how many were and could not be.
	Owed      int   `json:"owed"`
	Settled   int64 `json:"settled"`
	Unsettled int64 `json:"unsettled"`

	// FailedAt is when LastError was, null if there was none.
	FailedAt *time.Time `json:"failed_at"`
}

// A Master is one of a cluster.
type Master struct {
	Address string `json:"address"`
	Breaker string `json:"breaker"`
	// OpenSince is when it opened, null while it is closed.
	OpenSince *time.Time `json:"open_since"`
}

// Health returns the state of now.
func (l *Limiter) Health() Health {
	h := Health{
		Target: l.o.Target.String(), Mode: l.o.Mode, Engine: l.o.Engine,
		OnFailure: l.o.OnFailure, Share: l.share(), Gateways: l.gateways.known(), Timeout: l.o.Timeout.String(),
		Bound: "B + R*W", Breaker: "closed", Masters: []Master{},
		Hears:    l.deny.heard.Load(),
		Answered: l.answered.Load(), Denied: l.denied.Load(),
		Trips: l.b.trips.Load(), Calls: l.b.calls.Load(),
		Errors: l.errs.Load(), Timeouts: l.timeouts.Load(),
		Corrupt: l.corrupt.Load(), Impossible: l.impossible.Load(), OutOfStep: l.b.shifts.Load(),
		Owed: l.outage.debtors(), Settled: l.settled.Load(), Unsettled: l.unsettled.Load(),
	}
	if l.o.Mode == ModeBounded {
		h.Bound = fmt.Sprintf("B + R*(W + %s)", leaseTerm)
		if l.o.Error > 0 {
			h.Bound += fmt.Sprintf(" + %v%% of B", l.o.Error*100)
		}
	}
	switch l.o.OnFailure {
	case FailLocal:
		h.OutageBound = fmt.Sprintf("N * %s * (B + R*W) on N nodes", strconv.FormatFloat(h.Share, 'g', 3, 64))
	case FailOpen:
		h.OutageBound = "everything"
	case FailClosed:
		h.OutageBound = "nothing"
	}
	for _, ln := range l.b.lanes() {
		state := ln.breaker.state()
		h.Opened += state.opened
		if state.lastErr != nil && (h.FailedAt == nil || !state.failed.Before(*h.FailedAt)) {
			h.LastError, h.FailedAt = Explain(state.lastErr), &state.failed
		}
		m := Master{Address: ln.addr, Breaker: "closed"}
		if state.open {
			m.Breaker, m.OpenSince = "open", &state.since
			if h.OpenSince == nil || state.since.Before(*h.OpenSince) {
				h.OpenSince = m.OpenSince
			}
			h.Breaker = "open"
		}
		if ln.addr != "" {
			h.Masters = append(h.Masters, m)
		}
	}
	return h
}
