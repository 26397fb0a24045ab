package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/store"
)

// stateMetrics reads the state of the store, the caches, the keys and the limiter at each
// scrape. What it reads is pooled, so that its counts survive a reload, unless the reload
// changes what counts: other issuers, another Redis.
type stateMetrics struct{ app *App }

var (
	cacheHits = prometheus.NewDesc("caddy_gateway_cache_hits_total",
		"Credentials found in a cache (tokens, keys).", []string{"cache"}, nil)
	cacheMisses = prometheus.NewDesc("caddy_gateway_cache_misses_total",
		"Credentials not found in a cache: tokens that were verified, questions to the store of keys.", []string{"cache"}, nil)
	cacheStale = prometheus.NewDesc("caddy_gateway_cache_stale_total",
		"Requests answered from an old record of an API key because the store failed.", nil, nil)
	cacheEntries = prometheus.NewDesc("caddy_gateway_cache_entries",
		"Entries of a cache (tokens, keys, unknown_keys).", []string{"cache"}, nil)
	cacheBytes = prometheus.NewDesc("caddy_gateway_cache_bytes",
		"Memory of a cache (tokens), about.", []string{"cache"}, nil)
	keySetAge = prometheus.NewDesc("caddy_gateway_jwks_age_seconds",
		"How long ago an issuer confirmed its key set.", []string{"issuer"}, nil)
	keySetKeys = prometheus.NewDesc("caddy_gateway_issuer_keys",
		"Keys of an issuer, by state (usable, skipped).", []string{"issuer", "state"}, nil)
	issuerUsable = prometheus.NewDesc("caddy_gateway_issuer_usable",
		"Whether tokens of an issuer can be checked, 1 or 0.", []string{"issuer"}, nil)
	revocations = prometheus.NewDesc("caddy_gateway_revocations",
		"Revocations in force.", nil, nil)
	revocationsAge = prometheus.NewDesc("caddy_gateway_revocations_age_seconds",
		"How long ago the store was last asked for revocations; past 60 no token is taken.", nil, nil)
	keysByState = prometheus.NewDesc("caddy_gateway_keys",
		"API keys by state (active, expired, revoked), counted at most every 30 seconds.", []string{"state"}, nil)
	decisionsKept = prometheus.NewDesc("caddy_gateway_decisions_kept",
		"Records of decisions that can be asked for.", nil, nil)
	limiterKeys = prometheus.NewDesc("caddy_gateway_limiter_keys",
		"Counts in the memory of this process, of all zones.", nil, nil)
	limiterEvicted = prometheus.NewDesc("caddy_gateway_limiter_evicted_total",
		"Counts in memory that had to go for new ones, by whether they were over their limit.", []string{"over_limit"}, nil)
	breakerOpen = prometheus.NewDesc("caddy_gateway_limiter_breaker_open",
		"Whether the breaker before the limiter's store is open, 1 or 0.", nil, nil)
	storeTrips = prometheus.NewDesc("caddy_gateway_limiter_store_trips_total",
		"Round trips to the limiter's store.", nil, nil)
	deniedUnasked = prometheus.NewDesc("caddy_gateway_limiter_denied_unasked_total",
		"Refusals from memory, without asking the limiter's store.", nil, nil)
	storeRepairs = prometheus.NewDesc("caddy_gateway_limiter_store_repairs_total",
		"What was found wrong in the limiter's store and put right, by kind (corrupt, impossible, out_of_step).", []string{"kind"}, nil)
)

var stateDescs = []*prometheus.Desc{
	cacheHits, cacheMisses, cacheStale, cacheEntries, cacheBytes, keySetAge, keySetKeys, issuerUsable,
	revocations, revocationsAge, keysByState, decisionsKept, limiterKeys, limiterEvicted,
	breakerOpen, storeTrips, deniedUnasked, storeRepairs,
}

// Describe implements prometheus.Collector.
func (stateMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range stateDescs {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (s stateMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}
	s.collectIssuers(gauge, counter)
	s.collectStore(gauge, counter)
	s.collectLimiter(gauge, counter)
	gauge(decisionsKept, float64(s.app.journal.Len()))
}

type emitter func(desc *prometheus.Desc, value float64, labels ...string)

func (s stateMetrics) collectIssuers(gauge, counter emitter) {
	if s.app.verifier == nil {
		return
	}
	stats := s.app.verifier.CacheStats()
	counter(cacheHits, float64(stats.Hits), "tokens")
	counter(cacheMisses, float64(stats.Misses), "tokens")
	gauge(cacheEntries, float64(stats.Entries), "tokens")
	gauge(cacheBytes, float64(stats.Bytes), "tokens")
	for _, h := range s.app.verifier.Health() {
		gauge(issuerUsable, oneIf(h.Usable), h.Name)
		gauge(keySetKeys, float64(h.Keys), h.Name, "usable")
		gauge(keySetKeys, float64(h.Skipped), h.Name, "skipped")
		if !h.FetchedAt.IsZero() {
			gauge(keySetAge, h.Age.Seconds(), h.Name)
		}
	}
}

func (s stateMetrics) collectStore(gauge, counter emitter) {
	keys := s.app.shared.cacheStats()
	counter(cacheHits, float64(keys.Hits), "keys")
	counter(cacheMisses, float64(keys.Lookups), "keys")
	counter(cacheStale, float64(keys.Stale))
	gauge(cacheEntries, float64(keys.Entries), "keys")
	gauge(cacheEntries, float64(keys.Unknown), "unknown_keys")
	gauge(revocations, float64(s.app.shared.revoked.Len()))
	opened := s.app.shared.opened.Load()
	if opened == nil {
		return
	}
	if age, known := opened.poller.Stale(); known {
		gauge(revocationsAge, age.Seconds())
	}
	if counts, known := opened.counts.get(opened.store); known {
		gauge(keysByState, float64(counts.Active), "active")
		gauge(keysByState, float64(counts.Expired), "expired")
		gauge(keysByState, float64(counts.Revoked), "revoked")
	}
}

func (s stateMetrics) collectLimiter(gauge, counter emitter) {
	memory := memoryStats()
	gauge(limiterKeys, float64(memory.Keys))
	counter(limiterEvicted, float64(memory.Evicted-memory.EvictedOverLimit), "false")
	counter(limiterEvicted, float64(memory.EvictedOverLimit), "true")
	if h := s.app.redisState(); h != nil {
		gauge(breakerOpen, oneIf(h.Breaker == "open"))
		counter(storeTrips, float64(h.Trips))
		counter(deniedUnasked, float64(h.Denied))
		counter(storeRepairs, float64(h.Corrupt), "corrupt")
		counter(storeRepairs, float64(h.Impossible), "impossible")
		counter(storeRepairs, float64(h.OutOfStep), "out_of_step")
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// keyCounts caches the number of keys, since counting reads all of them.
type keyCounts struct {
	mu     sync.Mutex
	at     time.Time
	counts store.KeyCounts
}

const (
	// countEvery is how old a cached count may be.
	countEvery = 30 * time.Second
	// countTimeout is how long a scrape waits for a count.
	countTimeout = 2 * time.Second
)

// get returns the counts, or false if they are not known.
func (k *keyCounts) get(s store.Store) (store.KeyCounts, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.IsZero() && time.Since(k.at) < countEvery {
		return k.counts, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	counts, err := s.CountKeys(ctx, time.Now())
	if err != nil {
		pool.Log("store").Warn("counting API keys for the metrics", zap.Error(err))
		return store.KeyCounts{}, false
	}
	k.at, k.counts = time.Now(), counts
	return counts, true
}
