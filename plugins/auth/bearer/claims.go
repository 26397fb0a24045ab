package bearer

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// maxIdentityBytes bounds subject, token id, tier and each role: they become
// header values, log fields and limit keys.
const maxIdentityBytes = 256

// maxNumericDate is the end of the year 9999 in seconds since 1970; beyond it
// RFC 3339 has no form for a time.
const maxNumericDate = 253402300799

// checkTimes applies RFC 7519 sections 4.1.4 to 4.1.6 and the issuer's bounds.
// Issued is zero where the token doesn't say.
func (is *issuer) checkTimes(claims *jsonValue, now time.Time) (expires, issued time.Time, denial *plugins.Denial) {
	expires, present, denial := numericDate(claims, "exp")
	if denial != nil {
		return expires, issued, denial
	}
	if !present {
		return expires, issued, auth.DenyToken(plugins.ReasonTokenClaimMissing, "exp is absent", "exp is required")
	}
	notBefore, _, denial := numericDate(claims, "nbf")
	if denial != nil {
		return expires, issued, denial
	}
	issued, hasIssued, denial := numericDate(claims, "iat")
	if denial != nil {
		return expires, issued, denial
	}

	bound := "now " + stamp(now) + ", leeway " + is.leeway.String()
	if !now.Before(expires.Add(is.leeway)) {
		return expires, issued, auth.DenyToken(plugins.ReasonTokenExpired, "exp "+stamp(expires), bound)
	}
	// Absent ones are zero, long ago.
	if now.Add(is.leeway).Before(notBefore) {
		return expires, issued, auth.DenyToken(plugins.ReasonTokenNotYetValid, "nbf "+stamp(notBefore), bound)
	}
	if now.Add(is.leeway).Before(issued) {
		return expires, issued, auth.DenyToken(plugins.ReasonTokenIssuedInFuture, "iat "+stamp(issued), bound)
	}

	lifetime, most, from := expires.Sub(issued), is.maxLifetime, "exp - iat "
	if !hasIssued {
		lifetime, most, from = expires.Sub(now), addDurations(is.maxLifetime, is.leeway), "exp - now "
	}
	if lifetime > most {
		return expires, issued, auth.DenyToken(plugins.ReasonTokenLifetime,
			from+lifetime.Round(time.Second).String(), "max_lifetime "+is.maxLifetime.String())
	}
	return expires, issued, nil
}

// addDurations adds without running over the largest one.
func addDurations(a, b time.Duration) time.Duration {
	if a+b < a {
		return math.MaxInt64
	}
	return a + b
}

// numericDate reads a NumericDate (RFC 7519 section 2): seconds, perhaps with a
// fraction. Only a number will do: exp as text is no exp.
func numericDate(claims *jsonValue, name string) (t time.Time, present bool, denial *plugins.Denial) {
	v := claims.member(name)
	if v == nil {
		return t, false, nil
	}
	if v.kind != jsonNumber {
		return t, true, auth.DenyToken(plugins.ReasonTokenClaimInvalid, name+" is "+describe(v), "a number of seconds")
	}
	t, ok := parseNumericDate(v.text)
	if !ok {
		return t, true, auth.DenyToken(plugins.ReasonTokenClaimInvalid, name+" "+quote(v.text), "a number of seconds, 0 to the year 9999")
	}
	return t, true, nil
}

func parseNumericDate(literal string) (time.Time, bool) {
	// All whole seconds up to the bound are exact in it, and what is out of its range
	// is an infinity.
	f, _ := strconv.ParseFloat(literal, 64)
	if f < 0 || f > maxNumericDate {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkAudience compares byte for byte (RFC 7519 section 4.1.3). The form is
// checked even where no audience is configured.
func (is *issuer) checkAudience(claims *jsonValue) *plugins.Denial {
	invalid := func(v *jsonValue) *plugins.Denial {
		return auth.DenyToken(plugins.ReasonTokenClaimInvalid, "aud holds "+describe(v), "a string or a list of strings")
	}
	aud := claims.member("aud")
	var values []jsonValue
	switch {
	case aud == nil:
	case aud.kind == jsonString:
		values = []jsonValue{*aud}
	case aud.kind == jsonArray:
		values = aud.items
	default:
		return invalid(aud)
	}
	matched := len(is.audiences) == 0
	for i := range values {
		if values[i].kind != jsonString {
			return invalid(&values[i])
		}
		matched = matched || slices.Contains(is.audiences, values[i].text)
	}
	if matched {
		return nil
	}
	found := "aud is absent"
	if len(values) > 0 {
		found = "aud " + quote(values[0].text)
		if len(values) > 1 {
			found += " and " + strconv.Itoa(len(values)-1) + " more"
		}
	}
	return auth.DenyToken(plugins.ReasonTokenAudience, found, "one of "+strings.Join(is.audiences, ", "))
}

// checkRequired wants each claim present, and neither null nor "".
func (is *issuer) checkRequired(claims *jsonValue) *plugins.Denial {
	for _, path := range is.require {
		v, _, ambiguous := path.find(claims)
		if ambiguous {
			return denyDuplicate("payload", path.String())
		}
		if v == nil || v.kind == jsonNull || v.kind == jsonString && v.text == "" {
			return auth.DenyToken(plugins.ReasonTokenClaimMissing, path.String()+" is "+describe(v), "required by the issuer's configuration")
		}
	}
	return nil
}

// principal reads the identity. The result shares no memory with the token.
func (is *issuer) principal(t *scanned, expires time.Time, defaultRole string) (*plugins.Principal, *plugins.Denial) {
	subject, denial := is.identity(&t.claims, is.subject, true)
	if denial != nil {
		return nil, denial
	}
	tokenID, denial := is.identity(&t.claims, is.tokenID, false)
	if denial != nil {
		return nil, denial
	}
	roles, denial := is.readRoles(&t.claims, defaultRole)
	if denial != nil {
		return nil, denial
	}
	scopes, denial := is.readScopes(&t.claims)
	if denial != nil {
		return nil, denial
	}
	tier, denial := is.readTier(&t.claims)
	if denial != nil {
		return nil, denial
	}

	p := &plugins.Principal{
		Subject:   subject,
		Owner:     subject,
		Roles:     roles,
		Tier:      tier,
		Scopes:    scopes,
		Scheme:    plugins.SchemeBearer,
		Issuer:    is.name,
		TokenID:   tokenID,
		ExpiresAt: expires,
	}
	if tokenID != "" {
		p.Credential = is.name + ":" + tokenID
	} else {
		// The signing input and not the token: an ECDSA signature can be rewritten into
		// a second valid one, which must not make a second identity.
		sum := sha256.Sum256([]byte(t.signingInput))
		p.Credential = is.name + ":sha256-" + hex.EncodeToString(sum[:16])
	}
	if p.Owner == "" {
		// Tokens without a subject must not share one limit.
		p.Owner = p.Credential
	}
	return p, nil
}

// identity reads a claim that becomes an identity: text, or for the subject an
// integer, whose digits are kept exactly as they were sent. Absent is "".
func (is *issuer) identity(claims *jsonValue, path claimPath, integers bool) (string, *plugins.Denial) {
	v, blocked, ambiguous := path.find(claims)
	switch {
	case ambiguous:
		return "", denyDuplicate("payload", path.String())
	case blocked:
		return "", auth.DenyToken(plugins.ReasonTokenClaimInvalid, path.String()+" is not inside an object", "")
	case v == nil:
		return "", nil
	case v.kind == jsonString && v.text != "":
		if denial := checkIdentityText(path.String(), v.text); denial != nil {
			return "", denial
		}
		return strings.Clone(v.text), nil
	case v.kind == jsonNumber && integers && isInteger(v.text) && len(v.text) <= maxIdentityBytes:
		return strings.Clone(v.text), nil
	}
	return "", auth.DenyToken(plugins.ReasonTokenClaimInvalid, path.String()+" is "+describe(v), "text that is not empty")
}

func isInteger(literal string) bool {
	return !strings.ContainsAny(literal, ".eE") && literal != "-0"
}

// checkIdentityText refuses what would change its meaning on the way through
// headers and logs: control characters, line separators, and white space at the
// ends, which header parsers cut off.
func checkIdentityText(claim, text string) *plugins.Denial {
	if len(text) > maxIdentityBytes {
		return auth.DenyToken(plugins.ReasonTokenClaimInvalid,
			claim+" of "+strconv.Itoa(len(text))+" bytes", "at most "+strconv.Itoa(maxIdentityBytes)+" bytes")
	}
	if hasControl(text) {
		return auth.DenyToken(plugins.ReasonTokenClaimInvalid, claim+" "+quote(text), "no control characters")
	}
	if strings.TrimSpace(text) != text {
		return auth.DenyToken(plugins.ReasonTokenClaimInvalid, claim+" "+quote(text), "no white space at the ends")
	}
	return nil
}

func hasControl(text string) bool {
	for _, r := range text {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return true
		}
	}
	return false
}

// readRoles takes text as one role and a list as several. Anything else in the
// claim, a comma in a role included (roles travel in a comma-separated header),
// makes it malformed: then no role is granted, not the default one.
func (is *issuer) readRoles(claims *jsonValue, defaultRole string) ([]string, *plugins.Denial) {
	v, blocked, ambiguous := is.role.find(claims)
	switch {
	case ambiguous:
		return nil, denyDuplicate("payload", is.role.String())
	case blocked:
		return nil, nil
	case v == nil && defaultRole != "":
		return []string{defaultRole}, nil
	case v == nil:
		return nil, nil
	}
	ok := true
	var roles []string
	for _, role := range texts(v) {
		if hasControl(role) {
			return nil, auth.DenyToken(plugins.ReasonTokenClaimInvalid, is.role.String()+" "+quote(role), "no control characters")
		}
		if role == "" || len(role) > maxIdentityBytes || strings.TrimSpace(role) != role || strings.Contains(role, ",") {
			ok = false
		}
		if !slices.Contains(roles, role) {
			roles = append(roles, strings.Clone(role))
		}
	}
	if !ok {
		return nil, nil
	}
	return roles, nil
}

// readScopes takes text and list elements alike as space-separated scopes (RFC
// 6749 section 3.3). A malformed claim grants none.
func (is *issuer) readScopes(claims *jsonValue) ([]string, *plugins.Denial) {
	v, _, ambiguous := is.scope.find(claims)
	if ambiguous {
		return nil, denyDuplicate("payload", is.scope.String())
	}
	if v == nil {
		return nil, nil
	}
	var scopes []string
	for _, text := range texts(v) {
		if hasControl(text) {
			return nil, auth.DenyToken(plugins.ReasonTokenClaimInvalid, is.scope.String()+" "+quote(text), "no control characters")
		}
		for scope := range strings.SplitSeq(text, " ") {
			if scope != "" {
				scopes = append(scopes, strings.Clone(scope))
			}
		}
	}
	if len(scopes) > maxElements {
		return nil, nil
	}
	return scopes, nil
}

// readTier ignores what is not text: a tier only chooses limits, and none means
// the default ones.
func (is *issuer) readTier(claims *jsonValue) (string, *plugins.Denial) {
	v, _, ambiguous := is.tier.find(claims)
	if ambiguous {
		return "", denyDuplicate("payload", is.tier.String())
	}
	if v == nil || v.kind != jsonString {
		return "", nil
	}
	if denial := checkIdentityText(is.tier.String(), v.text); denial != nil {
		return "", denial
	}
	return strings.Clone(v.text), nil
}

// texts returns the strings of a string or a list of nothing else; of anything
// else none.
func texts(v *jsonValue) []string {
	switch v.kind {
	case jsonString:
		return []string{v.text}
	case jsonArray:
		all := make([]string, len(v.items))
		for i := range v.items {
			if v.items[i].kind != jsonString {
				return nil
			}
			all[i] = v.items[i].text
		}
		return all
	}
	return nil
}
