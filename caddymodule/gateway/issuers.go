package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Issuer is a party whose tokens are taken. Exactly one of Secret, PublicKey,
// PrivateKey, JWKS and Discovery is given.
type Issuer struct {
	// Name is how the config, the log and {http.auth.user.issuer} call the issuer.
	Name string `json:"name"`

	// Secret shared with the issuer, for HS256 (32 bytes or more), HS384 (48) and
	// HS512 (64). Placeholders {env.*} and {file.*} are supported.
	Secret string `json:"secret,omitempty"`

	// PublicKey is one or more public keys or certificates in PEM, or the path of
	// such a file, which is read again when it changes. Placeholders {env.*} and
	// {file.*} are supported.
	PublicKey string `json:"public_key,omitempty"`

	// PrivateKey is one private key in PEM, Ed25519, EC or RSA, or the path of such a
	// file: gateway_accounts signs with it, and tokens are checked by its public half.
	// Placeholders {env.*} and {file.*} are supported.
	PrivateKey string `json:"private_key,omitempty"`
	// JWKS is the URL of the issuer's key set.
	JWKS string `json:"jwks,omitempty"`

	// Discovery is the URL of an OpenID provider, which names its key set.
	Discovery string `json:"discovery,omitempty"`

	// Algorithms that tokens may be signed with; never read from the token.
	// Default: HS256 for a secret, else by the key.
	Algorithms []string `json:"algorithms,omitempty"`

	// Iss that tokens must carry, compared exactly. Without it, or with `any`, the
	// issuer takes tokens that no other issuer claims.
	Iss string `json:"iss,omitempty"`

	// Audiences of which a token must carry one; `any` alone says that it does not
	// matter for whom a token is. Default: any, with a warning in the log where the
	// issuer has public keys, because others than this API may get tokens from it.
	Audiences []string `json:"audiences,omitempty"`

	// MaxLifetime bounds exp - iat. Default: 8h.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	// Leeway for clocks that differ, at most 60s. Default: 30s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Require lists claims that a token must carry.
	Require []string `json:"require,omitempty"`

	// Types are the accepted `typ` headers. Default: JWT and at+jwt; a token
	// without typ is always accepted.
	Types []string `json:"types,omitempty"`

	// Claims says in which claims, as dotted paths, the identity stands: subject,
	// role, tier, scope and token_id. Defaults: sub, role or roles, tier, scope or
	// scp, jti.
	Claims map[string]string `json:"claims,omitempty"`

	// RefreshInterval is how often the key set is fetched. Default: 5m.
	RefreshInterval caddy.Duration `json:"refresh_interval,omitempty"`

	// MaxStale is how long the last good key set is used while no fetch succeeds.
	// Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	// At is where the issuer stands in the Caddyfile, for messages.
	At string `json:"at,omitempty"`
}

// config resolves the issuer's secrets.
func (i *Issuer) config() (bearer.IssuerConfig, error) {
	c := bearer.IssuerConfig{
		Name:            i.Name,
		JWKS:            i.JWKS,
		Discovery:       i.Discovery,
		Algorithms:      i.Algorithms,
		Iss:             i.Iss,
		Audiences:       i.Audiences,
		MaxLifetime:     time.Duration(i.MaxLifetime),
		Leeway:          (*time.Duration)(i.Leeway),
		Require:         i.Require,
		Types:           i.Types,
		RefreshInterval: time.Duration(i.RefreshInterval),
		MaxStale:        time.Duration(i.MaxStale),
	}
	if err := i.optOut(&c); err != nil {
		return c, err
	}
	var err error
	if i.Secret != "" {
		if c.Secret, err = secret.Resolve("issuer "+i.Name+": secret", i.Secret); err != nil {
			return c, err
		}
	}
	if i.PublicKey != "" {
		key, err := secret.Resolve("issuer "+i.Name+": public_key", i.PublicKey)
		if err != nil {
			return c, err
		}
		if info, err := os.Stat(key.Reveal()); err == nil && !info.IsDir() {
			c.PublicKeyFile = key.Reveal()
		} else {
			c.PublicKey = []byte(key.Reveal())
		}
	}
	if i.PrivateKey != "" {
		if i.Secret != "" || i.PublicKey != "" || i.JWKS != "" || i.Discovery != "" {
			return c, fmt.Errorf("issuer %s: private_key stands alone: its public half checks the tokens; make a second issuer for other keys", i.Name)
		}
		signer, err := i.signer(c)
		if err != nil {
			return c, err
		}
		c.PublicKey = signer.PublicKey()
	}
	for name, path := range i.Claims {
		into := map[string]*string{
			"subject": &c.Claims.Subject, "role": &c.Claims.Role, "tier": &c.Claims.Tier,
			"scope": &c.Claims.Scope, "token_id": &c.Claims.TokenID,
		}[name]
		if into == nil {
			return c, fmt.Errorf("issuer %s: unknown claim %s: write `claim subject|role|tier|scope|token_id PATH`", i.Name, name)
		}
		*into = path
	}
	return c, nil
}

// anyValue is what `iss` and `audience` say where a token may have any.
const anyValue = "any"

// optOut takes `any` for what it says.
func (i *Issuer) optOut(c *bearer.IssuerConfig) error {
	if c.Iss == anyValue {
		if i.Discovery != "" {
			return fmt.Errorf("issuer %s: iss any: an OpenID provider names its iss: leave iss out", i.Name)
		}
		c.Iss = ""
	}
	if slices.Contains(c.Audiences, anyValue) {
		if len(c.Audiences) != 1 {
			return fmt.Errorf("issuer %s: audience any stands alone: keep it or the others", i.Name)
		}
		c.Audiences = nil
	}
	return nil
}

// warn tells of what is allowed and seldom meant.
func (i *Issuer) warn() {
	if i.Secret == "" && len(i.Audiences) == 0 {
		pool.Log("issuers").Warn("tokens for any audience are taken: add `audience`, or `audience any` if that is meant",
			zap.String("issuer", i.Name), zap.String("at", i.At))
	}
}

// signer makes tokens that the issuer's own rules take. c is the issuer's config.
func (i *Issuer) signer(c bearer.IssuerConfig) (*mint.Signer, error) {
	s := mint.SignerConfig{Secret: c.Secret, Algorithms: c.Algorithms, Types: c.Types, Iss: c.Iss, Claims: c.Claims}
	if len(c.Audiences) != 0 {
		s.Audience = c.Audiences[0]
	}
	if i.PrivateKey != "" {
		var err error
		if s.PrivateKey, err = secret.ResolvePEM("issuer "+i.Name+": private_key", i.PrivateKey); err != nil {
			return nil, err
		}
	}
	signer, err := mint.NewSigner(s)
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", i.Name, err)
	}
	return signer, nil
}

// Signer makes tokens that the issuer's own rules take.
func (i *Issuer) Signer() (*mint.Signer, error) {
	cfg, err := i.config()
	if err != nil {
		return nil, err
	}
	return i.signer(cfg)
}

// Longest is how long a token may be good at most.
func (i *Issuer) Longest() time.Duration {
	if i.MaxLifetime == 0 {
		return bearer.DefaultMaxLifetime
	}
	return time.Duration(i.MaxLifetime)
}

// Signs reports whether there is a key to sign with.
func (i *Issuer) Signs() bool { return i.Secret != "" || i.PrivateKey != "" }

// verifierRef is a pooled verifier: configurations whose issuers are the same
// share its keys and its cache of verified tokens.
type verifierRef struct {
	*bearer.Verifier
}

// Destruct stops fetching. Requests under way can go on with the keys there are.
func (v *verifierRef) Destruct() error { return v.Close() }

// acquireVerifier takes the verifier of the issuers from the pool, or none where
// no issuer is configured.
func (a *App) acquireVerifier(ctx caddy.Context) error {
	if len(a.Issuers) == 0 {
		return nil
	}
	cfg := bearer.Config{
		DefaultRole: a.DefaultRole,
		Revoked:     a.records.revoked,
		Storage:     keySetStorage{ctx.Storage()},
		Log:         logKeyEvent,
	}
	// The pool's key tells configurations apart without holding a secret.
	fingerprint := sha256.New()
	describe := json.NewEncoder(fingerprint)
	if err := describe.Encode([]any{a.records.provider.Identity(), a.DefaultRole}); err != nil {
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
		// Each issuer alone, so that its mistakes are told with its place.
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

// Located adds the place in the Caddyfile to a mistake.
func (i *Issuer) Located(err error) error {
	if i.At == "" {
		return err
	}
	return fmt.Errorf("%w, at %s", err, i.At)
}

// revocationKept is how long a revocation is kept at least: longer than a token
// that it ends can live, even if max_lifetime is raised meanwhile.
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
	return &tokenScheme{Scheme: made, records: a.records}, nil
}

// tokenScheme takes tokens only while it is known which are revoked.
type tokenScheme struct {
	*bearer.Scheme
	records *records
}

// Authenticate implements auth.Scheme.
func (t *tokenScheme) Authenticate(ctx context.Context, c auth.Credential) (*plugins.Principal, *plugins.Denial, error) {
	o, err := t.records.open(ctx)
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

// keySetStorage keeps key sets in Caddy's own storage, so that a restart does not
// depend on the issuer being up.
type keySetStorage struct{ certmagic.Storage }

const keySetPrefix = "portcullis/keysets/"

func (s keySetStorage) Load(ctx context.Context, key string) ([]byte, error) {
	return s.Storage.Load(ctx, keySetPrefix+key)
}

func (s keySetStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.Storage.Store(ctx, keySetPrefix+key, value)
}

// logKeyEvent logs what happens to the key sources of issuers.
func logKeyEvent(e bearer.Event) {
	if e.Kind == bearer.EventKeysFailed {
		metrics.KeySetFailures.WithLabelValues(e.Issuer).Inc()
	}
	pool.Log("issuers").Info(string(e.Kind), zap.String("issuer", e.Issuer), zap.String("kid", e.KeyID),
		zap.Int("keys", e.Keys), zap.Int("skipped", e.Skipped), zap.Error(e.Err))
}
