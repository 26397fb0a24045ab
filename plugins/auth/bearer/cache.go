package bearer

import (
	"crypto/sha256"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"github.com/ainative/portcullis/plugins"
)

// maxCachedFor bounds how long a verified token is not verified again.
const maxCachedFor = 60 * time.Second

// cacheKey is the token's SHA-256 and the policy that judged it. The policy is
// part of the key because two sites with different issuers may judge one token
// differently (CVE-2021-32701: a cache key that missed a parameter).
//
// The rest of the configuration needs no place in it: a cache belongs to one
// Verifier, whose configuration never changes.
type cacheKey struct {
	sum    [sha256.Size]byte
	policy uint32
}

// keyOf hashes the token in place: a copy would be the one allocation of a hit.
func keyOf(token string, p *policy) cacheKey {
	return cacheKey{sum: sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token))), policy: p.number} //nolint:gosec // Sum256 reads the bytes of the string, and neither writes nor keeps them
}

// cacheEntry is what a hit needs, and all that it may rely on without checking
// again.
type cacheEntry struct {
	principal *plugins.Principal
	issuer    *issuer
	issued    time.Time
	// generation is the key set's that verified the token.
	generation uint64
	// until, in Unix nanoseconds, is exp with leeway or maxCachedFor after
	// verification, whichever comes first.
	until int64
}

// entryOverhead is the memory of an entry without its strings: key, entry,
// principal and the cache's own node.
const entryOverhead = int(unsafe.Sizeof(cacheKey{})+unsafe.Sizeof(cacheEntry{})+unsafe.Sizeof(plugins.Principal{})) + 128

// tokenCache holds tokens that were verified within the last minute. Entries
// past their end are not swept but evicted like others: the bound is the same,
// and no goroutine is needed.
type tokenCache struct {
	entries      *otter.Cache[cacheKey, *cacheEntry]
	hits, misses atomic.Uint64
}

// newTokenCache bounds the cache by entries and by bytes at once: no entry
// weighs less than its share of the bytes.
func newTokenCache(maxEntries, maxBytes int) *tokenCache {
	share := maxBytes / maxEntries
	return &tokenCache{entries: otter.Must(&otter.Options[cacheKey, *cacheEntry]{
		MaximumWeight: uint64(maxBytes),
		Weigher: func(_ cacheKey, e *cacheEntry) uint32 {
			return uint32(max(e.bytes(), share))
		},
	})}
}

func (c *tokenCache) get(key cacheKey) (*cacheEntry, bool) { return c.entries.GetIfPresent(key) }

func (c *tokenCache) set(key cacheKey, e *cacheEntry) { c.entries.Set(key, e) }

func (c *tokenCache) stats() CacheStats {
	return CacheStats{
		Hits:    c.hits.Load(),
		Misses:  c.misses.Load(),
		Entries: c.entries.EstimatedSize(),
		Bytes:   c.entries.WeightedSize(),
	}
}

func (e *cacheEntry) bytes() int {
	p := e.principal
	n := entryOverhead + len(p.Subject) + len(p.Tier) + len(p.TokenID) + len(p.Credential) + len(p.SigningKey)
	for _, list := range [][]string{p.Roles, p.Scopes} {
		for _, s := range list {
			n += len(s) + int(unsafe.Sizeof(s))
		}
	}
	return n
}

// live reports whether the entry may still stand for a verification: not past
// its end, and its issuer's keys are those that verified it.
func (e *cacheEntry) live(now time.Time) bool {
	if now.UnixNano() >= e.until {
		return false
	}
	set := e.issuer.source.current(now)
	return set != nil && set.generation == e.generation
}

// entryEnd is when an entry made at now must be verified again.
func entryEnd(now, expires time.Time, leeway time.Duration) int64 {
	end := now.Add(maxCachedFor)
	if e := expires.Add(leeway); e.Before(end) {
		end = e
	}
	return end.UnixNano()
}
