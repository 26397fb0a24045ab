package adminapi

// Health is whether the gateway can decide: the part of the answer that a person
// reads. The status of the answer is 503 where it can't.
type Health struct {
	// Status is ok or degraded.
	Status string `json:"status"`
	Store  struct {
		Name string `json:"name"`
		// Revocations is how many revocations are in force.
		Revocations int     `json:"revocations"`
		Error       *string `json:"error"`
	} `json:"store"`
	Limiter struct {
		Name string `json:"name"`
		// Redis is null for other limiters, and while no zone uses it.
		Redis *RedisHealth `json:"redis"`
	} `json:"limiter"`
	Issuers []IssuerHealth `json:"issuers"`
}

// RedisHealth is how the Redis limiter does.
type RedisHealth struct {
	Target  string `json:"target"`
	Breaker string `json:"breaker"`
	Bound   string `json:"bound"`
}

// IssuerHealth is how the key set of an issuer does.
type IssuerHealth struct {
	Name   string  `json:"name"`
	Source string  `json:"source"`
	Usable bool    `json:"usable"`
	Keys   int     `json:"keys"`
	Error  *string `json:"error"`
}
