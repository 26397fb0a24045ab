package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Defaults and bounds of the configuration.
const (
	DefaultMaxLifetime     = 8 * time.Hour
	DefaultLeeway          = 30 * time.Second
	MaxLeeway              = 60 * time.Second
	DefaultRefreshInterval = 5 * time.Minute
	MinRefreshInterval     = 30 * time.Second
	DefaultMaxStale        = 24 * time.Hour
	DefaultCacheEntries    = 50_000
	DefaultCacheBytes      = 64 << 20
)

// Config is everything a Verifier needs.
type Config struct {
	// Issuers whose tokens are accepted; at least one.
	Issuers []IssuerConfig
	// DefaultRole is the one role of a token that has no role claim at all. A
	// malformed or empty role claim grants nothing. Empty means no role.
	DefaultRole string
	// Clock is what `now` is; nil means the system's.
	Clock plugins.Clock
	// CacheEntries and CacheBytes bound the cache of verified tokens; 0 means the
	// defaults, 50,000 and 64 MiB. A negative CacheEntries switches it off.
	CacheEntries int
	CacheBytes   int
	// Revoked is asked about every token, cached or not; nil means none is revoked.
	Revoked RevocationChecker
	// Storage keeps the last good key set of each JWKS issuer across restarts; nil
	// means that they are not kept.
	Storage Storage
	// HTTPClient fetches key sets instead of the built-in client, which refuses
	// link-local addresses. Its redirect policy, timeout and cookies are replaced.
	HTTPClient *http.Client
	// Log receives what happens to key sources; nil means nobody. It is called from
	// several goroutines and must not block.
	Log func(Event)
}

// IssuerConfig is one party whose tokens are accepted. Exactly one of Secret,
// PublicKey, PublicKeyFile, JWKS and Discovery is set.
type IssuerConfig struct {
	// Name is how the configuration, the log and Principal.Issuer call the issuer.
	Name string

	// Secret is the key of HS256, HS384 and HS512.
	Secret plugins.Secret
	// PublicKey is one or more public keys or certificates in PEM. A token is good
	// if any of them signed it.
	PublicKey []byte
	// PublicKeyFile is the path of a PEM file as in PublicKey. It is read again when
	// it changes.
	PublicKeyFile string
	// JWKS is the URL of a JSON Web Key Set (RFC 7517): https, or http for loopback.
	JWKS string
	// Discovery is the issuer URL of an OpenID provider, whose metadata names the
	// JWKS. Iss defaults to it.
	Discovery string

	// Algorithms that a token may be signed with. Default: HS256 for a secret; else
	// what the key declares, or RS256 for RSA, ES256/384/512 by the curve, EdDSA.
	Algorithms []string
	// Iss is compared to the token's `iss`, byte for byte. An issuer without it
	// takes the tokens that no other issuer claims.
	Iss string
	// Audiences accepted; one of the token's must be one of these, byte for byte.
	// Empty accepts any.
	Audiences []string
	// MaxLifetime bounds exp - iat, or exp - now for a token without iat. 0 means 8 h.
	MaxLifetime time.Duration
	// Leeway is how far clocks may differ, at most 60 s; nil means 30 s.
	Leeway *time.Duration
	// Require lists claims, as dotted paths, that must be there and not be null or "".
	Require []string
	// Claims says where the identity stands.
	Claims ClaimPaths
	// Types are the accepted `typ` headers, letter case and "application/" aside. Nil
	// means JWT and at+jwt. A token without typ is accepted.
	Types []string

	// RefreshInterval is how often a JWKS is fetched, 30 s or more; 0 means 5 min. A
	// key that the issuer removed is refused after this time at the latest.
	RefreshInterval time.Duration
	// MaxStale is how long the last good JWKS is used while no fetch succeeds; 0
	// means 24 h.
	MaxStale time.Duration
}

// ClaimPaths are dotted paths into the claims, such as `realm_access.roles`. A
// top-level claim whose whole name is the path, dots and all, is found as well.
type ClaimPaths struct {
	// Subject defaults to `sub`.
	Subject string
	// Role defaults to `role`, then `roles`.
	Role string
	// Tier defaults to `tier`.
	Tier string
	// Scope defaults to `scope`, then `scp`.
	Scope string
	// TokenID defaults to `jti`.
	TokenID string
}

// RevocationChecker says whether a token has been revoked. It is asked for every
// request, so it must be fast and free of locks.
type RevocationChecker interface {
	// Revoked gets the configured name of the issuer, the token's id and subject
	// (empty where it has none) and when it was issued. A token that doesn't say
	// when has the zero time, which is before any `issued before`.
	Revoked(issuer, jti, subject string, issuedAt time.Time) bool
	// KeyRevoked gets the configured name of the issuer and the kid of the key that
	// signed the token; empty where neither the key nor the token names one.
	KeyRevoked(issuer, kid string) bool
}

// Storage keeps small values across restarts. Load of a key that isn't there
// returns an error that is fs.ErrNotExist.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
}

// validate checks one issuer and fills in defaults. Every message says what to
// write instead.
func (c *IssuerConfig) validate() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if err := c.checkSource(); err != nil {
		return fmt.Errorf("issuer %s: %w", c.Name, err)
	}
	if err := c.checkAlgorithms(); err != nil {
		return fmt.Errorf("issuer %s: %w", c.Name, err)
	}
	if err := c.checkDurations(); err != nil {
		return fmt.Errorf("issuer %s: %w", c.Name, err)
	}
	if err := c.checkClaims(); err != nil {
		return fmt.Errorf("issuer %s: %w", c.Name, err)
	}
	return nil
}

func checkName(name string) error {
	if name == "" {
		return errors.New("an issuer needs a name, such as main")
	}
	if len(name) > 64 {
		return fmt.Errorf("issuer name %s: at most 64 characters", quote(name))
	}
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		default:
			return fmt.Errorf("issuer name %s: use letters, digits, dot, dash and underscore only", quote(name))
		}
	}
	return nil
}

func (c *IssuerConfig) checkSource() error {
	var given []string
	for _, s := range []struct {
		name string
		set  bool
	}{
		{"secret", !c.Secret.Empty()},
		{"public_key", len(c.PublicKey) > 0 || c.PublicKeyFile != ""},
		{"jwks", c.JWKS != ""},
		{"discovery", c.Discovery != ""},
	} {
		if s.set {
			given = append(given, s.name)
		}
	}
	switch {
	case len(given) == 0:
		return errors.New("no key; give one of secret, public_key, jwks, discovery (an unset or empty secret counts as none)")
	case len(given) > 1:
		return fmt.Errorf("%s at once; keep one, and make a second issuer for the other", strings.Join(given, " and "))
	case len(c.PublicKey) > 0 && c.PublicKeyFile != "":
		return errors.New("public_key both inline and as a file; keep one")
	case c.JWKS != "":
		if _, err := checkURL(c.JWKS); err != nil {
			return fmt.Errorf("jwks %s: %w", quote(c.JWKS), err)
		}
	case c.Discovery != "":
		u, err := checkURL(c.Discovery)
		if err != nil {
			return fmt.Errorf("discovery %s: %w", quote(c.Discovery), err)
		}
		if u.RawQuery != "" {
			return fmt.Errorf("discovery %s: give the issuer's URL without a query", quote(c.Discovery))
		}
		if c.Iss == "" {
			c.Iss = c.Discovery
		}
	}
	return nil
}

// symmetric says whether the issuer's key is a shared secret.
func (c *IssuerConfig) symmetric() bool { return !c.Secret.Empty() }

func (c *IssuerConfig) checkAlgorithms() error {
	for i, name := range c.Algorithms {
		a := algorithms[name]
		switch {
		case a == nil:
			return fmt.Errorf("algorithm %s is not known; the choices are %s", quote(name), algorithmNames())
		case slices.Contains(c.Algorithms[:i], name):
			return fmt.Errorf("algorithm %s is given twice", name)
		case c.symmetric() && a.family != familyHMAC:
			return fmt.Errorf("%s needs a public key and this issuer has a secret; use HS256, HS384 or HS512, or make a second issuer", name)
		case !c.symmetric() && a.family == familyHMAC:
			return fmt.Errorf("%s needs a secret and this issuer has public keys; a public key is no secret, so the two never mix", name)
		}
	}
	if !c.symmetric() {
		return nil
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"HS256"}
	}
	for _, name := range c.Algorithms {
		if need := algorithms[name].secretBytes; c.Secret.Len() < need {
			return fmt.Errorf("secret has %d bytes, %s needs %d or more; make one with: openssl rand -base64 %d",
				c.Secret.Len(), name, need, need*3/2)
		}
	}
	return nil
}

func (c *IssuerConfig) checkDurations() error {
	if c.Leeway == nil {
		leeway := DefaultLeeway
		c.Leeway = &leeway
	}
	if *c.Leeway < 0 || *c.Leeway > MaxLeeway {
		return fmt.Errorf("leeway %s: use 0s to %s; a larger one keeps expired tokens alive", *c.Leeway, MaxLeeway)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		dflt  time.Duration
		least time.Duration
	}{
		{"max_lifetime", &c.MaxLifetime, DefaultMaxLifetime, time.Second},
		{"refresh_interval", &c.RefreshInterval, DefaultRefreshInterval, MinRefreshInterval},
		{"max_stale", &c.MaxStale, DefaultMaxStale, time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.dflt
		}
		if *d.value < d.least {
			return fmt.Errorf("%s %s: use %s or more", d.name, *d.value, d.least)
		}
	}
	return nil
}

func (c *IssuerConfig) checkClaims() error {
	paths := append([]string{c.Claims.Subject, c.Claims.Role, c.Claims.Tier, c.Claims.Scope, c.Claims.TokenID}, c.Require...)
	for i, p := range paths {
		if p == "" && i < 5 {
			continue
		}
		if p == "" || strings.HasPrefix(p, ".") || strings.HasSuffix(p, ".") || strings.Contains(p, "..") {
			return fmt.Errorf("claim path %s: write names with single dots between, such as user.role", quote(p))
		}
		if strings.Count(p, ".") >= maxDepth {
			return fmt.Errorf("claim path %s: at most %d levels", quote(p), maxDepth)
		}
	}
	if slices.Contains(c.Audiences, "") {
		return errors.New("an empty audience matches nothing; leave audience out to accept any")
	}
	if slices.Contains(c.Types, "") {
		return errors.New("an empty typ can't be listed; a token without typ is accepted in any case")
	}
	return nil
}
