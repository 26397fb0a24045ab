package mint

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/bearer"
)

// SignerConfig says how an issuer's tokens are signed: exactly one of Secret and
// PrivateKey is set. The rest is what package bearer holds the tokens against.
type SignerConfig struct {
	// Secret for HS256, HS384 or HS512.
	Secret plugins.Secret
	// PrivateKey in PEM: Ed25519, EC on P-256, P-384 or P-521, or RSA of 2048 bits or
	// more.
	PrivateKey plugins.Secret
	// Algorithms of the issuer; the first that fits the key is used. Empty means
	// HS256 for a secret, else the usual one of the key.
	Algorithms []string
	// Types are the issuer's `typ` headers; the first is used, JWT where empty.
	Types []string
	// Iss and Audience are left out where empty.
	Iss, Audience string
	// Claims says where the identity stands.
	Claims bearer.ClaimPaths
}

// Signer signs the tokens of accounts. It is safe for concurrent use.
type Signer struct {
	config SignerConfig
	method jwt.SigningMethod
	key    any
	typ    string
	kid    string
	jwk    map[string]string
	public []byte
}

// AccessToken is what a token of an account says.
type AccessToken struct {
	// Subject is the user's id.
	Subject string
	// Role, Tier and Scopes granted.
	Role, Tier string
	Scopes     []string
	// ID is the jti, Family the sid.
	ID, Family string
	// IssuedAt and ExpiresAt, of which whole seconds are kept.
	IssuedAt, ExpiresAt time.Time
}

// minRSABits is what package bearer takes at least.
const minRSABits = 2048

// secretBytes is the least length of an HMAC secret by algorithm (RFC 7518
// section 3.2).
var secretBytes = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// NewSigner checks the configuration. The errors say what to write instead.
func NewSigner(c SignerConfig) (*Signer, error) {
	s := &Signer{config: c, typ: "JWT"}
	if len(c.Types) != 0 {
		s.typ = c.Types[0]
	}
	var err error
	switch {
	case c.Secret.Empty() == c.PrivateKey.Empty():
		return nil, errors.New("signing needs either `secret` or `private_key`")
	case !c.Secret.Empty():
		err = s.useSecret()
	default:
		err = s.usePrivateKey()
	}
	return s, err
}

func (s *Signer) useSecret() error {
	name := "HS256"
	if len(s.config.Algorithms) != 0 {
		name = s.config.Algorithms[0]
	}
	need, known := secretBytes[name]
	if !known {
		return fmt.Errorf("a secret can't sign with %s: use HS256, HS384 or HS512", name)
	}
	if s.config.Secret.Len() < need {
		return fmt.Errorf("secret has %d bytes, %s needs %d or more: make one with `openssl rand -base64 %d`", s.config.Secret.Len(), name, need, need*3/2)
	}
	s.method, s.key = jwt.GetSigningMethod(name), []byte(s.config.Secret.Reveal())
	return nil
}

func (s *Signer) usePrivateKey() error {
	key, err := parsePrivateKey(s.config.PrivateKey)
	if err != nil {
		return err
	}
	var fitting []string
	switch k := key.(type) {
	case ed25519.PrivateKey:
		fitting = []string{"EdDSA"}
		public, _ := k.Public().(ed25519.PublicKey)
		s.jwk = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": text(public)}
	case *ecdsa.PrivateKey:
		if err := s.describeEC(k); err != nil {
			return err
		}
		fitting = []string{map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[s.jwk["crv"]]}
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return fmt.Errorf("private_key has %d bits, RSA needs %d or more: make one with `openssl genpkey -algorithm ed25519`", bits, minRSABits)
		}
		fitting = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		s.jwk = map[string]string{"kty": "RSA", "n": text(k.N.Bytes()), "e": text(big.NewInt(int64(k.E)).Bytes())}
	}
	name := fitting[0]
	if len(s.config.Algorithms) != 0 {
		at := slices.IndexFunc(s.config.Algorithms, func(a string) bool { return slices.Contains(fitting, a) })
		if at < 0 {
			return fmt.Errorf("private_key can't sign with %s: it is for %s", strings.Join(s.config.Algorithms, ", "), strings.Join(fitting, ", "))
		}
		name = s.config.Algorithms[at]
	}
	public := key.(crypto.Signer).Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("reading private_key: %w", err)
	}
	s.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	s.method, s.key = jwt.GetSigningMethod(name), key
	s.kid = thumbprint(s.jwk)
	s.jwk["kid"], s.jwk["use"], s.jwk["alg"] = s.kid, "sig", name
	return nil
}

// parsePrivateKey reads PKCS #8, PKCS #1 and SEC 1.
func parsePrivateKey(secret plugins.Secret) (any, error) {
	const advice = "make one with `openssl genpkey -algorithm ed25519`"
	block, rest := pem.Decode([]byte(secret.Reveal()))
	if block == nil {
		return nil, errors.New("private_key is not PEM: " + advice)
	}
	if len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("private_key holds more than one key: give the one that signs")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("private_key holds %.40q: use an unencrypted PRIVATE KEY; %s", block.Type, advice)
	}
	if err != nil {
		return nil, fmt.Errorf("reading private_key: %w: %s", err, advice)
	}
	switch key.(type) {
	case ed25519.PrivateKey, *ecdsa.PrivateKey, *rsa.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("private_key is a %T: use Ed25519, EC or RSA; %s", key, advice)
}

func (s *Signer) describeEC(k *ecdsa.PrivateKey) error {
	curve := k.Curve.Params().Name
	if curve != "P-256" && curve != "P-384" && curve != "P-521" {
		return fmt.Errorf("private_key is on curve %s: use P-256, P-384 or P-521", curve)
	}
	// An uncompressed point: 4, x, y.
	point, err := k.PublicKey.Bytes()
	if err != nil {
		return fmt.Errorf("reading private_key: %w", err)
	}
	half := (len(point) - 1) / 2
	s.jwk = map[string]string{"kty": "EC", "crv": curve, "x": text(point[1 : 1+half]), "y": text(point[1+half:])}
	return nil
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// thumbprint is RFC 7638's: the required members in order, without spaces, which
// is how encoding/json writes a map.
func thumbprint(jwk map[string]string) string {
	// Marshalling strings does not fail.
	canonical, _ := json.Marshal(jwk)
	sum := sha256.Sum256(canonical)
	return text(sum[:])
}

// Sign makes a token.
func (s *Signer) Sign(t AccessToken) (string, error) {
	claims := jwt.MapClaims{"iat": t.IssuedAt.Unix(), "exp": t.ExpiresAt.Unix(), "sid": t.Family}
	if s.config.Iss != "" {
		claims["iss"] = s.config.Iss
	}
	if s.config.Audience != "" {
		claims["aud"] = s.config.Audience
	}
	// A dotted path is written as the whole name of one claim, in which form it is
	// read too.
	paths := s.config.Claims
	for _, c := range []struct {
		path, standard, value string
	}{
		{paths.Subject, "sub", t.Subject},
		{paths.TokenID, "jti", t.ID},
		{paths.Role, "role", t.Role},
		{paths.Tier, "tier", t.Tier},
		{paths.Scope, "scope", strings.Join(t.Scopes, " ")},
	} {
		if c.path == "" {
			c.path = c.standard
		}
		if c.value != "" {
			claims[c.path] = c.value
		}
	}
	token := jwt.NewWithClaims(s.method, claims)
	token.Header["typ"] = s.typ
	if s.kid != "" {
		token.Header["kid"] = s.kid
	}
	return token.SignedString(s.key)
}

// Asymmetric reports whether others can check the tokens by a public key.
func (s *Signer) Asymmetric() bool { return s.public != nil }

// PublicKey is the public half in PEM; nil for a secret.
func (s *Signer) PublicKey() []byte { return s.public }

// Keys is the JSON Web Key Set (RFC 7517) of the public key; empty for a secret.
func (s *Signer) Keys() []byte {
	keys := []map[string]string{}
	if s.Asymmetric() {
		keys = append(keys, s.jwk)
	}
	// Marshalling strings does not fail.
	set, _ := json.Marshal(map[string]any{"keys": keys})
	return set
}
