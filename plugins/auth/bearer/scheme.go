package bearer

import (
	"context"
	"slices"
	"strings"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// Scheme recognises JSON Web Tokens in the Authorization header. It implements
// auth.Scheme.
type Scheme struct {
	verifier *Verifier
	policy   *policy
}

var _ auth.Scheme = (*Scheme)(nil)

// Name returns plugins.SchemeBearer.
func (*Scheme) Name() string { return plugins.SchemeBearer }

// Authenticate judges a token. What doesn't look like one, and all that comes in
// the key header, is auth.ErrNotMine; a broken token is a Denial, so that no
// other scheme gets to guess at it.
func (s *Scheme) Authenticate(ctx context.Context, c auth.Credential) (*plugins.Principal, *plugins.Denial, error) {
	if c.Source != auth.FromAuthorization || !looksLikeToken(c.Value) {
		return nil, nil, auth.ErrNotMine
	}
	return s.verifier.authenticate(ctx, s.policy, c.Value)
}

// looksLikeToken says what is judged as a token: everything that starts like the
// base64url form of `{"`, and everything with a dot, which our API keys never
// have.
func looksLikeToken(s string) bool {
	if strings.HasPrefix(s, "sk_live_") || strings.HasPrefix(s, "sk_test_") {
		return false
	}
	return strings.HasPrefix(s, "eyJ") || strings.IndexByte(s, '.') >= 0
}

// choose finds the issuer by exact iss, before anything is verified, so that
// one issuer's key can never vouch for another's name.
func (p *policy) choose(claims *jsonValue) (*issuer, *plugins.Denial) {
	v := claims.member("iss")
	if v != nil {
		if v.kind != jsonString {
			return nil, auth.DenyToken(plugins.ReasonTokenClaimInvalid, "iss is "+describe(v), "a string")
		}
		if is := p.byIss[v.text]; is != nil {
			return is, nil
		}
	}
	if p.fallback != nil {
		return p.fallback, nil
	}
	found := "iss is absent"
	if v != nil {
		found = "iss " + quote(v.text)
	}
	return nil, auth.DenyToken(plugins.ReasonTokenIssuer, found, "one of issuers "+p.names())
}

func (p *policy) names() string {
	names := make([]string, 0, len(p.byIss))
	for _, is := range p.byIss {
		names = append(names, is.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func denyRevoked(p *plugins.Principal) *plugins.Denial {
	found := "subject " + quote(p.Subject)
	if p.TokenID != "" {
		found = "jti " + quote(p.TokenID) + ", " + found
	}
	d := auth.DenyToken(plugins.ReasonTokenRevoked, found, "")
	d.Of = plugins.Evidence{Issuer: p.Issuer, SigningKey: p.SigningKey}
	return d
}
