// Package bearer judges JSON Web Tokens (RFC 7519) sent as bearer credentials.
// It is one scheme of package auth's chain.
//
// A token goes through: the pre-scan (scan), which refuses by form alone; the
// choice of an issuer by exact `iss`; that issuer's types, algorithms and keys;
// the signature; the claims; revocation. What passes is remembered for at most
// a minute, and revocation and expiry are checked on every use all the same.
//
// golang-jwt computes signatures. It parses nothing: its parser lets through
// what a gateway must not (duplicate members, unknown `crit`, line breaks).
package bearer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Verifier judges tokens of a fixed set of issuers. It is safe for concurrent
// use.
type Verifier struct {
	issuers     []*issuer
	defaultRole string
	clock       plugins.Clock
	revoked     RevocationChecker
	// cache is nil when it is switched off.
	cache *tokenCache

	mu       sync.Mutex
	policies map[string]*policy
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New checks the whole configuration. Errors say what to write instead. It
// reads key files and dials nobody: fetching starts with Start.
func New(cfg Config) (*Verifier, error) {
	if len(cfg.Issuers) == 0 {
		return nil, errors.New("no issuer; bearer tokens need at least one")
	}
	v := &Verifier{
		defaultRole: cfg.DefaultRole,
		clock:       cfg.Clock,
		revoked:     cfg.Revoked,
		policies:    make(map[string]*policy),
	}
	if v.clock == nil {
		v.clock = time.Now
	}
	env := &environment{clock: v.clock, log: cfg.Log, storage: cfg.Storage, client: cfg.HTTPClient}
	if env.log == nil {
		env.log = func(Event) {}
	}
	for i := range cfg.Issuers {
		c := cfg.Issuers[i]
		if err := c.validate(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(v.issuers, func(is *issuer) bool { return is.name == c.Name }) {
			return nil, fmt.Errorf("issuer %s is defined twice; give the second another name", c.Name)
		}
		is, err := newIssuer(&c, env)
		if err != nil {
			return nil, err
		}
		v.issuers = append(v.issuers, is)
	}
	if err := v.newCache(cfg.CacheEntries, cfg.CacheBytes); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *Verifier) newCache(entries, bytes int) error {
	if entries < 0 {
		return nil
	}
	if entries == 0 {
		entries = DefaultCacheEntries
	}
	if bytes == 0 {
		bytes = DefaultCacheBytes
	}
	if bytes < entries {
		return fmt.Errorf("token cache of %d bytes for %d entries: give an entry at least a kilobyte", bytes, entries)
	}
	v.cache = newTokenCache(entries, bytes)
	return nil
}

// Start begins to fetch and refresh keys in the background, until ctx ends or
// Close. A second call without a Close between does nothing.
func (v *Verifier) Start(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stop != nil {
		return
	}
	ctx, v.stop = context.WithCancel(ctx)
	for _, is := range v.issuers {
		v.running.Go(func() { is.source.run(ctx) })
	}
}

// Close stops what Start began and waits for it. Tokens can still be judged
// with the keys that are there.
func (v *Verifier) Close() error {
	v.mu.Lock()
	stop := v.stop
	v.stop = nil
	v.mu.Unlock()
	if stop != nil {
		stop()
	}
	v.running.Wait()
	return nil
}

// policy is which issuers a site trusts, and how a token finds its own.
type policy struct {
	// number tells the cache entries of one policy from those of another.
	number uint32
	byIss  map[string]*issuer
	// fallback takes the tokens whose iss is in none of byIss; may be nil.
	fallback *issuer
}

// Scheme returns the bearer scheme for these issuers, or for all when none is
// named. At most one of them may be without Iss, and no two may have the same:
// which key decides must never be a matter of order.
func (v *Verifier) Scheme(issuers ...string) (*Scheme, error) {
	chosen := v.issuers
	if len(issuers) > 0 {
		chosen = nil
		for i, name := range issuers {
			at := slices.IndexFunc(v.issuers, func(is *issuer) bool { return is.name == name })
			if at < 0 {
				return nil, fmt.Errorf("issuer %s is not defined; defined are %s", quote(name), v.issuerNames())
			}
			if slices.Contains(issuers[:i], name) {
				return nil, fmt.Errorf("issuer %s is listed twice", name)
			}
			chosen = append(chosen, v.issuers[at])
		}
	}
	p := &policy{byIss: make(map[string]*issuer, len(chosen))}
	names := make([]string, 0, len(chosen))
	for _, is := range chosen {
		names = append(names, is.name)
		if is.iss == "" {
			if p.fallback != nil {
				return nil, fmt.Errorf("issuers %s and %s both have no iss, so a token can't be told to be of one or the other; give one of them an iss, or list only one of them here", p.fallback.name, is.name)
			}
			p.fallback = is
			continue
		}
		if other := p.byIss[is.iss]; other != nil {
			return nil, fmt.Errorf("issuers %s and %s have the same iss %s; list only one of them here", other.name, is.name, quote(is.iss))
		}
		p.byIss[is.iss] = is
	}
	slices.Sort(names)
	return &Scheme{verifier: v, policy: v.sharePolicy(strings.Join(names, " "), p)}, nil
}

// sharePolicy numbers policies, so that sites with the same issuers share cache
// entries.
func (v *Verifier) sharePolicy(names string, p *policy) *policy {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.policies[names]; known != nil {
		return known
	}
	p.number = uint32(len(v.policies))
	v.policies[names] = p
	return p
}

func (v *Verifier) issuerNames() string {
	names := make([]string, len(v.issuers))
	for i, is := range v.issuers {
		names[i] = is.name
	}
	return strings.Join(names, ", ")
}

// authenticate judges one token for one policy.
func (v *Verifier) authenticate(ctx context.Context, p *policy, token string) (*plugins.Principal, *plugins.Denial, error) {
	now := v.clock()
	if v.cache == nil {
		checked, _, denial, err := v.verify(ctx, p, token, now)
		if checked == nil {
			return nil, denial, err
		}
		return checked.principal, nil, nil
	}
	key := keyOf(token, p)
	if e, ok := v.cache.get(key); ok && e.live(now) {
		v.cache.hits.Add(1)
		if denial := v.checkRevoked(e.principal, e.issued); denial != nil {
			return nil, denial, nil
		}
		return e.principal, nil, nil
	}
	v.cache.misses.Add(1)
	checked, is, denial, err := v.verify(ctx, p, token, now)
	if checked == nil {
		return nil, denial, err
	}
	v.cache.set(key, &cacheEntry{
		principal:  checked.principal,
		issuer:     is,
		issued:     checked.issued,
		generation: checked.keys.generation,
		until:      entryEnd(now, checked.principal.ExpiresAt, is.leeway),
	})
	return checked.principal, nil, nil
}

// verify is a judgement without the cache.
func (v *Verifier) verify(ctx context.Context, p *policy, token string, now time.Time) (*verified, *issuer, *plugins.Denial, error) {
	t, denial := scan(token)
	if denial != nil {
		return nil, nil, denial, nil
	}
	is, denial := p.choose(&t.claims)
	if denial != nil {
		return nil, nil, denial, nil
	}
	checked, denial, err := is.verify(ctx, t, now, v.defaultRole)
	if checked == nil {
		if denial != nil {
			denial.Of = plugins.Evidence{Issuer: is.name, SigningKey: t.header.kid}
		}
		return nil, is, denial, err
	}
	if denial := v.checkRevoked(checked.principal, checked.issued); denial != nil {
		return nil, is, denial, nil
	}
	return checked, is, nil, nil
}

func (v *Verifier) checkRevoked(p *plugins.Principal, issued time.Time) *plugins.Denial {
	if v.revoked == nil || !v.revoked.Revoked(p.Issuer, p.TokenID, p.Subject, issued) && !v.revoked.KeyRevoked(p.Issuer, p.SigningKey) {
		return nil
	}
	return denyRevoked(p)
}
