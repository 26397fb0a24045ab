package adminapi

// Health is whether the gateway can decide: the part of the answer that a person
// reads. The status of the answer is 503 where it can't.
type Health struct {
	// Status is ok, degraded or failing: the worst of the problems'.
	Status string `json:"status"`
	// Detail is the problems in words, in the format of every other error; null where
	// the gateway is not failing.
	Detail *string `json:"detail,omitempty"`
	// Problems are what is wrong, the worst first.
	Problems []HealthProblem `json:"problems"`
	Store    StoreHealth     `json:"store"`
	Limiter  LimiterHealth   `json:"limiter"`
	Issuers  []IssuerHealth  `json:"issuers"`
}

// StoreHealth is the state of the store.
type StoreHealth struct {
	Name  string  `json:"name"`
	Error *string `json:"error"`
	// Revocations is how many revocations are in force.
	Revocations int `json:"revocations"`
}

// LimiterHealth is the state of the limiter.
type LimiterHealth struct {
	Name string `json:"name"`
	// Redis is null for other limiters, and while no zone uses it.
	Redis *RedisHealth `json:"redis"`
}

// RedisHealth is the state of the Redis limiter.
type RedisHealth struct {
	Target  string `json:"target"`
	Breaker string `json:"breaker"`
	Bound   string `json:"bound"`
	// Gateways is how many gateways share the Redis.
	Gateways int `json:"gateways"`
}

// IssuerHealth is the state of an issuer's key set.
type IssuerHealth struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Usable bool   `json:"usable"`
	Keys   int    `json:"keys"`
	// Skipped is how many of its keys can't be used.
	Skipped   int     `json:"skipped"`
	FetchedAt *string `json:"fetched_at"`
	// AgeSeconds is how old the key set is; null for keys in the configuration.
	AgeSeconds *int64  `json:"age_seconds"`
	Error      *string `json:"error"`
}

// HealthProblem is a fault of one part of the gateway.
type HealthProblem struct {
	// Part is store, limiter, or issuer and its name.
	Part string `json:"part"`
	// Status is degraded or failing.
	Status string `json:"status"`
	// Why names the cause and what it means for requests.
	Why string `json:"why"`
	// Since is when it began, null if that is not known.
	Since *string `json:"since"`
}

// Text is the problem in one line.
func (p *HealthProblem) Text() string {
	text := p.Part + " " + p.Status
	if p.Since != nil {
		text += " since " + *p.Since
	}
	return text + ": " + p.Why
}
