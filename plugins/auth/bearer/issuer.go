package bearer

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// issuer is a validated IssuerConfig with its keys.
type issuer struct {
	name        string
	kind        string
	iss         string
	algorithms  []string
	symmetric   bool
	audiences   []string
	maxLifetime time.Duration
	leeway      time.Duration
	types       []string
	require     []claimPath
	subject     claimPath
	role        claimPath
	tier        claimPath
	scope       claimPath
	tokenID     claimPath
	source      keySource
}

// newIssuer takes a validated configuration. It reads files and dials nobody.
func newIssuer(c *IssuerConfig, env *environment) (*issuer, error) {
	is := &issuer{
		name:        c.Name,
		iss:         c.Iss,
		algorithms:  c.Algorithms,
		symmetric:   c.symmetric(),
		audiences:   c.Audiences,
		maxLifetime: c.MaxLifetime,
		leeway:      *c.Leeway,
		types:       slices.Clone(c.Types),
		subject:     newClaimPath(c.Claims.Subject, "sub"),
		role:        newClaimPath(c.Claims.Role, "role", "roles"),
		tier:        newClaimPath(c.Claims.Tier, "tier"),
		scope:       newClaimPath(c.Claims.Scope, "scope", "scp"),
		tokenID:     newClaimPath(c.Claims.TokenID, "jti"),
	}
	if c.Types == nil {
		is.types = []string{"JWT", "at+jwt"}
	}
	for i, t := range is.types {
		is.types[i] = shortType(t)
	}
	for _, r := range c.Require {
		is.require = append(is.require, newClaimPath(r))
	}
	var err error
	if is.kind, is.source, err = newSource(c, env); err != nil {
		return nil, fmt.Errorf("issuer %s: %w", c.Name, err)
	}
	return is, nil
}

// newSource makes the key source that the configuration names.
func newSource(c *IssuerConfig, env *environment) (kind string, source keySource, err error) {
	switch {
	case c.symmetric():
		k := &verifyKey{material: []byte(c.Secret.Reveal())}
		for _, name := range c.Algorithms {
			k.algorithms = append(k.algorithms, algorithms[name])
		}
		return "secret", newFixedKeys(k), nil
	case len(c.PublicKey) > 0:
		keys, err := parsePEM(c.PublicKey, c.Algorithms)
		if err != nil {
			return "", nil, err
		}
		return "public_key", newFixedKeys(keys...), nil
	case c.PublicKeyFile != "":
		source, err := newKeyFile(c, env)
		return "public_key", source, err
	case c.JWKS != "":
		return "jwks", newJWKS(c, env), nil
	}
	return "discovery", newJWKS(c, env), nil
}

// environment is what key sources share.
type environment struct {
	clock   plugins.Clock
	log     func(Event)
	storage Storage
	client  *http.Client
}

// verified is what a good token says.
type verified struct {
	principal *plugins.Principal
	issued    time.Time
	keys      *keySet
}

// verify checks a scanned token that this issuer was chosen for. The signature
// comes before every claim but iss, so that what a denial says about claims is
// about claims that the issuer made.
func (is *issuer) verify(ctx context.Context, t *scanned, now time.Time, defaultRole string) (*verified, *plugins.Denial, error) {
	if denial := is.checkType(t.header.typ); denial != nil {
		return nil, denial, nil
	}
	if denial := is.checkAlgorithm(t.header.alg); denial != nil {
		return nil, denial, nil
	}
	set, kid, denial, err := is.checkSignature(ctx, t, now)
	if denial != nil || err != nil {
		return nil, denial, err
	}
	expires, issued, denial := is.checkTimes(&t.claims, now)
	if denial != nil {
		return nil, denial, nil
	}
	if denial := is.checkAudience(&t.claims); denial != nil {
		return nil, denial, nil
	}
	if denial := is.checkRequired(&t.claims); denial != nil {
		return nil, denial, nil
	}
	p, denial := is.principal(t, expires, defaultRole)
	if denial != nil {
		return nil, denial, nil
	}
	p.SigningKey = kid
	return &verified{principal: p, issued: issued, keys: set}, nil, nil
}

// checkType applies the allow-list of `typ` (RFC 8725 section 3.11): a logout
// token or an identity token is no access token. Media types compare without
// letter case, and "application/" may be left out (RFC 7515 section 4.1.9).
func (is *issuer) checkType(typ string) *plugins.Denial {
	if typ == "" {
		return nil
	}
	if slices.Contains(is.types, shortType(typ)) {
		return nil
	}
	return auth.DenyToken(plugins.ReasonTokenType, "typ "+quote(typ), "one of "+strings.Join(is.types, ", "))
}

func shortType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// checkAlgorithm holds the token's alg against the issuer's. It chooses nothing:
// which keys work with which algorithms was settled when they were loaded.
func (is *issuer) checkAlgorithm(alg string) *plugins.Denial {
	if len(is.algorithms) > 0 {
		if slices.Contains(is.algorithms, alg) {
			return nil
		}
		return auth.DenyToken(plugins.ReasonTokenAlgorithm, "alg "+quote(alg), "one of "+strings.Join(is.algorithms, ", "))
	}
	if a := algorithms[alg]; a == nil || a.family == familyHMAC {
		return auth.DenyToken(plugins.ReasonTokenAlgorithm, "alg "+quote(alg), "an algorithm of public keys")
	}
	return nil
}

// checkSignature finds the key and verifies. It returns the set that the key is
// of, so that a cached result can die with it, and the name of the key.
func (is *issuer) checkSignature(ctx context.Context, t *scanned, now time.Time) (*keySet, string, *plugins.Denial, error) {
	set := is.source.current(now)
	keys := set.candidates(t.header.kid)
	if len(keys) == 0 {
		// Not verified yet: a lie about it gains a 503 in the place of a 401.
		issued, has, _ := numericDate(&t.claims, "iat")
		if !has {
			issued = now
		}
		var err error
		if set, err = is.source.consult(ctx, t.header.kid, issued); err != nil {
			return nil, "", nil, err
		}
		if keys = set.candidates(t.header.kid); len(keys) == 0 {
			found := "kid is absent"
			if t.header.kid != "" {
				found = "kid " + quote(t.header.kid)
			}
			return nil, "", auth.DenyToken(plugins.ReasonTokenKeyUnknown, found,
				fmt.Sprintf("one of the %d keys of issuer %s", len(set.keys), is.name)), nil
		}
	}
	tried := 0
	for _, k := range keys {
		a := k.algorithm(t.header.alg)
		if a == nil {
			continue
		}
		if tried++; tried > maxKeyTries {
			break
		}
		if a.method.Verify(t.signingInput, t.signature, k.material) == nil {
			if k.id != "" {
				return set, k.id, nil, nil
			}
			// A copy: the name is part of the token.
			return set, strings.Clone(t.header.kid), nil, nil
		}
	}
	if tried == 0 {
		return nil, "", auth.DenyToken(plugins.ReasonTokenAlgorithm, "alg "+quote(t.header.alg), "the algorithm of the issuer's key"), nil
	}
	return nil, "", auth.DenyToken(plugins.ReasonTokenSignature, "alg "+t.header.alg, "a signature by issuer "+is.name), nil
}
