package adminapi

// Usage is what is left of one limit for one caller.
type Usage struct {
	Zone string `json:"zone"`
	// Name of the limit, as in RateLimit and RateLimit-Policy.
	Name string `json:"name"`
	// By is what is counted: `owner`, or `credential` with its id.
	By string `json:"by"`
	// Limit in the Caddyfile's syntax, or `concurrency 50`.
	Limit string `json:"limit"`
	// Remaining is how many requests of cost 1 could pass now.
	Remaining int64 `json:"remaining"`
	// Reset is the time in seconds, rounded up, until all of them could.
	Reset int64 `json:"reset"`
	// Share is the part of the limit that the row is about, where this gateway counts
	// alone because the limiter's store can't be asked; null where it is the whole.
	Share *float64 `json:"share"`
}

// OwnerInput gives an owner limits of their own.
type OwnerInput struct {
	Tier        string   `json:"tier"`
	Limits      []string `json:"limits"`
	Concurrency int      `json:"concurrency"`
}

// Owner is an owner with limits of their own.
type Owner struct {
	Owner       string   `json:"owner"`
	Tier        *string  `json:"tier"`
	Limits      []string `json:"limits"`
	Concurrency int      `json:"concurrency"`
	// Source is `store`, or `config` for limits of the configuration.
	Source    string  `json:"source"`
	UpdatedAt *string `json:"updated_at"`
}
