package gateway

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
)

// Issuer is a party whose tokens are accepted. Set exactly one of Secret, PublicKey,
// PrivateKey, JWKS and Discovery.
type Issuer struct {
	// Name of the issuer in the configuration, the log and {http.auth.user.issuer}.
	Name string `json:"name"`

	// Secret shared with the issuer, for HS256 (32 bytes or more), HS384 (48) and
	// HS512 (64). Placeholders {env.*} and {file.*} are supported.
	Secret string `json:"secret,omitempty"`

	// PublicKey is one or more public keys or certificates in PEM, or the path of a file
	// with them, which is read again when it changes. Placeholders {env.*} and
	// {file.*} are supported.
	PublicKey string `json:"public_key,omitempty"`

	// PrivateKey is one private key in PEM, Ed25519, EC or RSA, or the path of a file with
	// it. gateway_accounts signs with it, and its public key verifies the tokens.
	// Placeholders {env.*} and {file.*} are supported.
	PrivateKey string `json:"private_key,omitempty"`
	// JWKS is the URL of the issuer's key set.
	JWKS string `json:"jwks,omitempty"`

	// Discovery is the URL of an OpenID provider, whose metadata has the key set.
	Discovery string `json:"discovery,omitempty"`

	// Algorithms that tokens may be signed with. The token has no say in it. Default:
	// HS256 for a secret, else by the key.
	Algorithms []string `json:"algorithms,omitempty"`

	// Iss that tokens must have, compared exactly. Without it, or with `any`, the issuer
	// accepts tokens that no other issuer claims.
	Iss string `json:"iss,omitempty"`

	// Audiences of which a token must have one; `any` alone accepts every audience.
	// Default: any, with a warning in the log if the issuer has public keys, because it
	// may issue tokens for other APIs too.
	Audiences []string `json:"audiences,omitempty"`

	// MaxLifetime bounds exp - iat. Default: 8h.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	// Leeway for differences between clocks, at most 60s. Default: 30s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Require lists claims that a token must have.
	Require []string `json:"require,omitempty"`

	// Types are the accepted `typ` headers. Default: JWT and at+jwt; a token
	// without typ is always accepted.
	Types []string `json:"types,omitempty"`

	// Claims maps subject, role, tier, scope and token_id to claims, as dotted paths.
	// Defaults: sub, role or roles, tier, scope or scp, jti.
	Claims map[string]string `json:"claims,omitempty"`

	// RefreshInterval is how often the key set is fetched. Default: 5m.
	RefreshInterval caddy.Duration `json:"refresh_interval,omitempty"`

	// MaxStale is how long the last good key set is used if every fetch fails.
	// Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	// At is the issuer's place in the Caddyfile, for messages.
	At string `json:"at,omitempty"`
}

// config resolves the issuer's secrets and makes its configuration.
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
	if err := i.acceptAny(&c); err != nil {
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

// anyValue is the value of `iss` and `audience` that accepts every token.
const anyValue = "any"

// acceptAny removes the checks that `any` switches off.
func (i *Issuer) acceptAny(c *bearer.IssuerConfig) error {
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

// warn logs a configuration that is allowed and seldom intended.
func (i *Issuer) warn() {
	if i.Secret == "" && len(i.Audiences) == 0 {
		pool.Log("issuers").Warn("tokens for any audience are taken: add `audience`, or `audience any` if that is meant",
			zap.String("issuer", i.Name), zap.String("at", i.At))
	}
}

// signer returns a signer of tokens that the issuer accepts. c is its configuration.
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

// Signer returns a signer of tokens that the issuer accepts.
func (i *Issuer) Signer() (*mint.Signer, error) {
	cfg, err := i.config()
	if err != nil {
		return nil, err
	}
	return i.signer(cfg)
}

// LongestLifetime is how long a token may be valid at most.
func (i *Issuer) LongestLifetime() time.Duration {
	if i.MaxLifetime == 0 {
		return bearer.DefaultMaxLifetime
	}
	return time.Duration(i.MaxLifetime)
}

// CanSign reports whether there is a key to sign with.
func (i *Issuer) CanSign() bool { return i.Secret != "" || i.PrivateKey != "" }

// Located adds the issuer's place in the Caddyfile to an error.
func (i *Issuer) Located(err error) error {
	if i.At == "" {
		return err
	}
	return fmt.Errorf("%w, at %s", err, i.At)
}
