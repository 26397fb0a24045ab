package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/bearer"
)

// verifierRef is a pooled verifier: configurations with the same issuers share its keys
// and its cache of verified tokens.
type verifierRef struct {
	*bearer.Verifier
}

// Destruct stops fetching. Requests in flight can use the keys that were fetched.
func (v *verifierRef) Destruct() error { return v.Close() }

// acquireVerifier acquires the verifier of the issuers from the pool, if there are any.
func (a *App) acquireVerifier(ctx caddy.Context) error {
	if len(a.Issuers) == 0 {
		return nil
	}
	cfg := bearer.Config{
		DefaultRole: a.DefaultRole,
		Revoked:     a.shared.revoked,
		Storage:     keySetStorage{ctx.Storage()},
		Log:         logKeyEvent,
	}
	// The pool's key distinguishes configurations and holds no secret.
	fingerprint := sha256.New()
	describe := json.NewEncoder(fingerprint)
	if err := describe.Encode([]any{a.shared.provider.Identity(), a.DefaultRole}); err != nil {
		return err
	}
	var errs []error
	for i := range a.Issuers {
		issuer := &a.Issuers[i]
		c, err := issuer.config()
		if err != nil {
			errs = append(errs, issuer.Located(err))
			continue
		}
		issuer.warn()
		cfg.Issuers = append(cfg.Issuers, c)
		// Each issuer alone, so that its mistakes are reported with its place.
		if _, err := bearer.New(bearer.Config{Issuers: []bearer.IssuerConfig{c}, CacheEntries: -1}); err != nil {
			errs = append(errs, issuer.Located(err))
		}
		unlocated := *issuer
		unlocated.At = ""
		if err := describe.Encode([]any{unlocated, c.Secret.Reveal(), string(c.PublicKey)}); err != nil {
			return err
		}
	}
	if len(errs) != 0 {
		return errors.Join(errs...)
	}
	verifier, release, err := pool.Acquire(pool.Key{Kind: "verifier", Name: hex.EncodeToString(fingerprint.Sum(nil))}, func() (*verifierRef, error) {
		v, err := bearer.New(cfg)
		return &verifierRef{v}, err
	})
	if err != nil {
		return err
	}
	a.verifier = verifier
	a.acquired = append(a.acquired, release)
	return nil
}

// revocationKept is how long a revocation is kept at least. It is longer than the
// lifetime of the tokens that it revokes, even if max_lifetime is raised in between.
const revocationKept = 31 * 24 * time.Hour

// RevocationsKept is how long a revocation of many tokens is kept.
func (a *App) RevocationsKept() time.Duration {
	longest := revocationKept
	for _, issuer := range a.Issuers {
		longest = max(longest, time.Duration(issuer.MaxLifetime)+bearer.MaxLeeway)
	}
	return longest
}

// Scheme returns the scheme of this name, for the issuers named or for all.
func (a *App) Scheme(name string, issuers []string) (auth.Scheme, error) {
	switch {
	case name == plugins.SchemeAPIKey:
		a.keys.used.Store(true)
		return a.keys, nil
	case a.verifier == nil:
		return nil, ErrNoIssuers
	}
	made, err := a.verifier.Scheme(issuers...)
	if err != nil {
		return nil, err
	}
	return &tokenScheme{Scheme: made, shared: a.shared}, nil
}

// tokenScheme accepts tokens only while the set of revocations is up to date.
type tokenScheme struct {
	*bearer.Scheme
	shared *sharedStore
}

// Authenticate implements auth.Scheme.
func (t *tokenScheme) Authenticate(ctx context.Context, c auth.Credential) (*plugins.Principal, *plugins.Denial, error) {
	o, err := t.shared.open(ctx)
	if err != nil {
		return nil, nil, &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err}
	}
	p, d, err := t.Scheme.Authenticate(ctx, c)
	if p == nil {
		return nil, d, err
	}
	if err := o.revocationsStale(); err != nil {
		return nil, nil, &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err}
	}
	return p, nil, nil
}

// keySetStorage keeps key sets in Caddy's storage, so that a restart does not need the
// issuers.
type keySetStorage struct{ certmagic.Storage }

const keySetPrefix = "portcullis/keysets/"

func (s keySetStorage) Load(ctx context.Context, key string) ([]byte, error) {
	return s.Storage.Load(ctx, keySetPrefix+key)
}

func (s keySetStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.Storage.Store(ctx, keySetPrefix+key, value)
}

// logKeyEvent logs events of the issuers' key sources.
func logKeyEvent(e bearer.Event) {
	if e.Kind == bearer.EventKeysFailed {
		metrics.KeySetFailures.WithLabelValues(e.Issuer).Inc()
	}
	pool.Log("issuers").Info(string(e.Kind), zap.String("issuer", e.Issuer), zap.String("kid", e.KeyID),
		zap.Int("keys", e.Keys), zap.Int("skipped", e.Skipped), zap.Error(e.Err))
}

// watchEvery is how often the health of key sets is checked.
const watchEvery = time.Second

// watchIssuers emits an event when the key set of an issuer becomes unreadable, and when
// it is readable again, until the configuration ends.
func (a *App) watchIssuers() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
			a.checkIssuers()
		}
	}
}

func (a *App) checkIssuers() {
	for _, h := range a.verifier.Health() {
		// Before the first answer no key set is stale.
		stale := h.LastError != "" || (!h.Usable && !h.FetchedAt.IsZero())
		if h.AttemptedAt.IsZero() || !a.events.stale.Turned(h.Name, stale) {
			continue
		}
		data := map[string]any{"issuer": h.Name, "keys": h.Keys, "usable": h.Usable}
		if !stale {
			a.events.emit(eventJWKSRecovered, data)
			continue
		}
		data["error"] = h.LastError
		if !h.FetchedAt.IsZero() {
			data["age_seconds"] = int64(h.Age / time.Second)
		}
		a.events.emit(eventJWKSStale, data)
	}
}
