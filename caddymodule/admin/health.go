package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/plugins/auth/bearer"
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
	adminapi.Health
	// Limiter has more than adminapi.Health tells of Redis.
	Limiter gateway.LimiterHealth `json:"limiter"`
}

func newIssuerHealth(h bearer.IssuerHealth) adminapi.IssuerHealth {
	shown := adminapi.IssuerHealth{
		Name: h.Name, Source: h.Source, Usable: h.Usable, Keys: h.Keys, Skipped: h.Skipped,
		FetchedAt: adminapi.Time(h.FetchedAt), Error: adminapi.OrNull(h.LastError),
	}
	if !h.FetchedAt.IsZero() {
		age := int64(h.Age / time.Second)
		shown.AgeSeconds = &age
	}
	return shown
}

func newHealthProblem(part string, p *gateway.Problem) adminapi.HealthProblem {
	status := healthDegraded
	if p.Undecided {
		status = healthFailing
	}
	return adminapi.HealthProblem{Part: part, Status: status, Why: p.Why, Since: adminapi.Time(p.Since)}
}

// healthPatience bounds how long the parts are asked.
const healthPatience = 2 * time.Second

// showHealth asks every part. It works while the store does not.
func showHealth(r *adminRequest) (int, any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), healthPatience)
	defer cancel()
	answer := healthJSON{Health: adminapi.Health{
		Status:   healthOK,
		Problems: []adminapi.HealthProblem{},
		Store:    adminapi.StoreHealth{Name: r.app.StoreName(), Revocations: r.app.Revocations().Len()},
		Issuers:  []adminapi.IssuerHealth{},
	}}
	wrong := func(part string, p *gateway.Problem) {
		if p != nil {
			answer.Problems = append(answer.Problems, newHealthProblem(part, p))
		}
	}
	// At the same time: each may take all of the patience.
	var asking sync.WaitGroup
	asking.Go(func() { answer.Limiter = r.app.LimiterHealth(ctx) })
	broken := r.app.StoreProblem(ctx)
	asking.Wait()
	if broken != nil {
		answer.Store.Error = &broken.Why
	}
	wrong("store", broken)
	wrong("limiter", answer.Limiter.Problem)
	if verifier := r.app.Verifier(); verifier != nil {
		for _, h := range verifier.Health() {
			answer.Issuers = append(answer.Issuers, newIssuerHealth(h))
			wrong("issuer "+h.Name, issuerProblem(h))
		}
	}
	slices.SortStableFunc(answer.Problems, func(x, y adminapi.HealthProblem) int { return cmp.Compare(y.Status, x.Status) })
	if len(answer.Problems) == 0 {
		return http.StatusOK, answer, nil
	}
	if answer.Status = answer.Problems[0].Status; answer.Status == healthDegraded {
		return http.StatusOK, answer, nil
	}
	var texts []string
	for _, p := range answer.Problems {
		texts = append(texts, p.Text())
	}
	detail := strings.Join(texts, "\n")
	answer.Detail = &detail
	return http.StatusServiceUnavailable, answer, nil
}

// issuerProblem says what is wrong with the keys of an issuer; nil is nothing.
func issuerProblem(h bearer.IssuerHealth) *gateway.Problem {
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
	return &gateway.Problem{Undecided: !h.Usable, Why: why, Since: h.FetchedAt}
}
