package caddymodule

import (
	"net/http"
	"time"

	"github.com/ainative/portcullis/plugins/auth/bearer"
)

// healthJSON is what GET /gateway/health answers: 200 if every part can decide,
// else 503.
type healthJSON struct {
	// Status is ok or degraded.
	Status  string        `json:"status"`
	Store   storeHealth   `json:"store"`
	Limiter limiterHealth `json:"limiter"`
	Issuers []issuerJSON  `json:"issuers"`
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
		FetchedAt: timeOrNull(h.FetchedAt), Error: orNull(h.LastError),
	}
	if !h.FetchedAt.IsZero() {
		age := int64(h.Age / time.Second)
		shown.AgeSeconds = &age
	}
	return shown
}

func showHealth(r *adminRequest) (int, any, error) {
	answer := healthJSON{
		Status:  "ok",
		Store:   storeHealth{Name: r.app.store.Name(), Revocations: r.app.records.revoked.Len()},
		Limiter: r.app.limiters.health(),
		Issuers: []issuerJSON{},
	}
	status := http.StatusOK
	if err := r.records.revocationsStale(); err != nil {
		answer.Store.Error = orNull(err.Error())
		status = http.StatusServiceUnavailable
	}
	if r.app.verifier != nil {
		for _, h := range r.app.verifier.Health() {
			answer.Issuers = append(answer.Issuers, showIssuer(h))
			if !h.Usable {
				status = http.StatusServiceUnavailable
			}
		}
	}
	if status != http.StatusOK {
		answer.Status = "degraded"
	}
	return status, answer, nil
}
