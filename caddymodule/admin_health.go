package caddymodule

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/store"
)

// The states of the gateway, or of what is wrong with a part of it.
const (
	healthOK = "ok"
	// healthDegraded: this node decides, but worse than it should.
	healthDegraded = "degraded"
	// healthFailing: this node can't decide some requests, which get 503.
	healthFailing = "failing"
)

// healthJSON is what GET /gateway/health answers: 503 if the gateway is failing,
// else 200.
type healthJSON struct {
	// Status is ok, degraded or failing: the worst of the problems'.
	Status string `json:"status"`
	// Detail is the problems in words, in the format of every other error; null where
	// the gateway is not failing.
	Detail *string `json:"detail,omitempty"`
	// Problems are what is wrong, the worst first.
	Problems []healthProblem `json:"problems"`
	Store    storeHealth     `json:"store"`
	Limiter  LimiterHealth   `json:"limiter"`
	Issuers  []issuerJSON    `json:"issuers"`
}

// healthProblem is something that is wrong with a part.
type healthProblem struct {
	// Part is store, limiter, or issuer and its name.
	Part string `json:"part"`
	// Status is degraded or failing.
	Status string `json:"status"`
	// Why names the cause and what it means for requests.
	Why string `json:"why"`
	// Since is when it began, null where that is not known.
	Since *string `json:"since"`
}

type storeHealth struct {
	Name  string  `json:"name"`
	Error *string `json:"error"`
	// Revocations is how many revocations are in force.
	Revocations int `json:"revocations"`
}

type issuerJSON struct {
	Name      string  `json:"name"`
	Source    string  `json:"source"`
	Usable    bool    `json:"usable"`
	Keys      int     `json:"keys"`
	Skipped   int     `json:"skipped"`
	FetchedAt *string `json:"fetched_at"`
	// AgeSeconds is how old the key set is; null for keys in the configuration.
	AgeSeconds *int64  `json:"age_seconds"`
	Error      *string `json:"error"`
}

func showIssuer(h bearer.IssuerHealth) issuerJSON {
	shown := issuerJSON{
		Name: h.Name, Source: h.Source, Usable: h.Usable, Keys: h.Keys, Skipped: h.Skipped,
		FetchedAt: adminapi.Time(h.FetchedAt), Error: adminapi.OrNull(h.LastError),
	}
	if !h.FetchedAt.IsZero() {
		age := int64(h.Age / time.Second)
		shown.AgeSeconds = &age
	}
	return shown
}

// healthPatience bounds how long the parts are asked.
const healthPatience = 2 * time.Second

// showHealth asks every part. It works while the store does not.
func showHealth(r *adminRequest) (int, any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), healthPatience)
	defer cancel()
	answer := healthJSON{
		Status:   healthOK,
		Problems: []healthProblem{},
		Store:    storeHealth{Name: r.app.store.Name(), Revocations: r.app.Revocations().Len()},
		Issuers:  []issuerJSON{},
	}
	// At the same time: each may take all of the patience.
	var limiter LimiterHealth
	var asking sync.WaitGroup
	asking.Go(func() { limiter = r.app.limiters.Health(ctx) })
	if p := r.app.storeProblem(ctx); p != nil {
		answer.Store.Error = &p.Why
		answer.Problems = append(answer.Problems, *p)
	}
	asking.Wait()
	answer.Limiter = limiter
	if p := limiter.Problem; p != nil {
		answer.Problems = append(answer.Problems, healthProblem{"limiter", healthStatus(p.Undecided), p.Why, adminapi.Time(p.Since)})
	}
	if r.app.verifier != nil {
		for _, h := range r.app.verifier.Health() {
			answer.Issuers = append(answer.Issuers, showIssuer(h))
			if p := issuerProblem(h); p != nil {
				answer.Problems = append(answer.Problems, *p)
			}
		}
	}
	slices.SortStableFunc(answer.Problems, func(x, y healthProblem) int { return cmp.Compare(y.Status, x.Status) })
	if len(answer.Problems) == 0 {
		return http.StatusOK, answer, nil
	}
	if answer.Status = answer.Problems[0].Status; answer.Status == healthDegraded {
		return http.StatusOK, answer, nil
	}
	var texts []string
	for _, p := range answer.Problems {
		texts = append(texts, p.text())
	}
	detail := strings.Join(texts, "\n")
	answer.Detail = &detail
	return http.StatusServiceUnavailable, answer, nil
}

func healthStatus(failing bool) string {
	if failing {
		return healthFailing
	}
	return healthDegraded
}

// text is the problem in one line.
func (p *healthProblem) text() string {
	text := p.Part + " " + p.Status
	if p.Since != nil {
		text += " since " + *p.Since
	}
	return text + ": " + p.Why
}

// storeProblem asks the store and says what is wrong with it.
func (a *App) storeProblem(ctx context.Context) *healthProblem {
	r := a.records
	o, err := r.open(ctx)
	if err != nil {
		return &healthProblem{"store", healthFailing, err.Error() + "; what the store must be asked gets 503", nil}
	}
	failed := store.Check(ctx, o.store)
	stale := o.revocationsStale()
	if failed == nil && stale == nil {
		return nil
	}
	p := &healthProblem{Part: "store", Status: healthDegraded}
	if age, ok := o.poller.Stale(); ok {
		// The poller asks several times a second: what it heard last was the end.
		p.Since = adminapi.Time(time.Now().Add(-age))
	}
	if failed == nil {
		p.Status, p.Why = healthFailing, stale.Error()+"; tokens get 503"
		return p
	}
	p.Why = failed.Error()
	switch {
	case stale != nil:
		p.Status = healthFailing
		p.Why += "; " + stale.Error() + ", so that tokens get 503, and so do API keys that were not used in the last five minutes"
	case a.keys.used.Load() && !a.keys.answers():
		p.Status = healthFailing
		p.Why += "; every API key gets 503, since none was used in the last five minutes"
	case r.undecided.Load():
		p.Status = healthFailing
		p.Why += "; API keys that were not used in the last five minutes get 503"
	default:
		p.Why += "; tokens are taken for a minute, and API keys that were used in the last five minutes"
	}
	return p
}

// issuerProblem says what is wrong with the keys of an issuer.
func issuerProblem(h bearer.IssuerHealth) *healthProblem {
	why := h.LastError
	switch {
	case !h.Usable && why == "":
		why = "its keys have not been fetched yet"
	case h.Usable && why == "":
		return nil
	}
	if h.Usable {
		why += "; the keys of before are used"
	} else {
		why += "; its tokens get 503"
	}
	return &healthProblem{"issuer " + h.Name, healthStatus(!h.Usable), why, adminapi.Time(h.FetchedAt)}
}
