// Package mint signs short tokens that tell an upstream who calls. They prove
// that a request came through the gateway; the identity headers beside them do
// so only as far as the network keeps others out.
package mint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
)

// The bounds of a token's life.
const (
	DefaultLifetime = time.Minute
	MaxLifetime     = 5 * time.Minute
)

// minSecret is the least length of an HS256 secret, in bytes.
const minSecret = 32

// issuer is the `iss` of the tokens.
const issuer = "portcullis"

// Config says how tokens are signed: exactly one of Secret and PrivateKey is set.
type Config struct {
	// Secret for HS256, 32 bytes or more.
	Secret plugins.Secret
	// PrivateKey is an Ed25519 key in PEM (PKCS #8), for EdDSA.
	PrivateKey plugins.Secret
	// Audience names the upstream; required.
	Audience string
	// Lifetime of a token. Default: a minute; 5 minutes at most.
	Lifetime time.Duration
	// Clock is time.Now where nil.
	Clock plugins.Clock
}

// Minter signs tokens. It is safe for concurrent use.
type Minter struct {
	method   jwt.SigningMethod
	key      any
	kid      string
	audience string
	lifetime time.Duration
	now      plugins.Clock
	keys     []byte
}

// New checks the configuration. The errors say what to write instead.
func New(c Config) (*Minter, error) {
	m := &Minter{audience: c.Audience, lifetime: c.Lifetime, now: c.Clock}
	if m.now == nil {
		m.now = time.Now
	}
	if m.lifetime == 0 {
		m.lifetime = DefaultLifetime
	}
	switch {
	case c.Audience == "":
		return nil, errors.New("an identity token needs an audience: write `audience NAME-OF-THE-UPSTREAM`")
	case m.lifetime < time.Second || m.lifetime > MaxLifetime:
		return nil, fmt.Errorf("an identity token lives for %s: write a lifetime from 1s to %s", m.lifetime, MaxLifetime)
	case c.Secret.Empty() == c.PrivateKey.Empty():
		return nil, errors.New("an identity token needs either `secret` or `private_key`")
	case !c.Secret.Empty():
		return m, m.useSecret(c.Secret)
	}
	return m, m.usePrivateKey(c.PrivateKey)
}

func (m *Minter) useSecret(secret plugins.Secret) error {
	if secret.Len() < minSecret {
		return fmt.Errorf("the secret of identity tokens has %d bytes and needs %d or more: make one with `openssl rand -base64 48`", secret.Len(), minSecret)
	}
	m.method, m.key = jwt.SigningMethodHS256, []byte(secret.Reveal())
	m.keys = []byte(`{"keys":[]}`)
	return nil
}

func (m *Minter) usePrivateKey(text plugins.Secret) error {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return errors.New("the private_key of identity tokens is not PEM: make one with `openssl genpkey -algorithm ed25519`")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("reading the private_key of identity tokens: %w: make one with `openssl genpkey -algorithm ed25519`", err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return fmt.Errorf("the private_key of identity tokens is a %T, not Ed25519: make one with `openssl genpkey -algorithm ed25519`", parsed)
	}
	public, _ := key.Public().(ed25519.PublicKey)
	x := base64.RawURLEncoding.EncodeToString(public)
	// RFC 7638 thumbprint: the required members in order, without spaces.
	thumbprint := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	m.method, m.key = jwt.SigningMethodEdDSA, key
	m.kid = base64.RawURLEncoding.EncodeToString(thumbprint[:])
	m.keys, err = json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "x": x, "kid": m.kid, "use": "sig", "alg": "EdDSA",
	}}})
	return err
}

// Mint signs a token for a principal in the given tier.
func (m *Minter) Mint(p *plugins.Principal, tier string) (string, error) {
	now := m.now()
	claims := jwt.MapClaims{
		"iss": issuer, "aud": m.audience, "sub": p.Subject, "iat": now.Unix(), "exp": now.Add(m.lifetime).Unix(),
		"roles": p.Roles, "tier": tier, "scheme": p.Scheme,
	}
	if len(p.Scopes) != 0 {
		claims["scopes"] = p.Scopes
	}
	if p.KeyID != "" {
		claims["key_id"] = p.KeyID
	}
	token := jwt.NewWithClaims(m.method, claims)
	if m.kid != "" {
		token.Header["kid"] = m.kid
	}
	return token.SignedString(m.key)
}

// Keys is the JSON Web Key Set (RFC 7517) by which tokens can be checked; it is
// empty for a shared secret.
func (m *Minter) Keys() []byte { return m.keys }
