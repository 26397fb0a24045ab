package bearer

import "time"

// IssuerHealth says how the keys of one issuer are doing.
type IssuerHealth struct {
	// Name of the issuer and the kind of its source: secret, public_key, jwks or
	// discovery.
	Name   string
	Source string
	// Keys that can be used, and those that were offered and can't.
	Keys    int
	Skipped int
	// Generation differs after every change of the keys.
	Generation uint64
	// FetchedAt is when the source last confirmed the keys; zero for keys in the
	// configuration, and before the first success.
	FetchedAt time.Time
	// AttemptedAt is when the source was last asked.
	AttemptedAt time.Time
	// Age is how old the confirmation is; zero without FetchedAt.
	Age time.Duration
	// Usable is false when tokens of the issuer can't be checked: they get a 503.
	Usable bool
	// LastError is what went wrong at the last attempt; empty after a success.
	LastError string
}

func (h *IssuerHealth) fill(set *keySet) {
	if set == nil {
		return
	}
	h.Keys, h.Skipped = len(set.keys), set.skipped
	h.Generation, h.FetchedAt = set.generation, set.fetched
}

// Health reports on every issuer, in the order of the configuration.
func (v *Verifier) Health() []IssuerHealth {
	now := v.clock()
	all := make([]IssuerHealth, 0, len(v.issuers))
	for _, is := range v.issuers {
		h := IssuerHealth{Name: is.name, Source: is.kind, Usable: is.source.current(now) != nil}
		is.source.health(&h)
		if !h.FetchedAt.IsZero() {
			h.Age = now.Sub(h.FetchedAt)
		}
		all = append(all, h)
	}
	return all
}

// CacheStats counts what the cache of verified tokens did since it was made.
type CacheStats struct {
	Hits, Misses uint64
	// Entries and Bytes are estimates of what it holds now.
	Entries int
	Bytes   uint64
}

// CacheStats returns the counters; all zero when the cache is off.
func (v *Verifier) CacheStats() CacheStats {
	if v.cache == nil {
		return CacheStats{}
	}
	return v.cache.stats()
}
