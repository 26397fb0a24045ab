package bearer

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestTokenTricks has a group for each way to get a token past a JWT library
// that was found in golang-jwt, in other gateways or in a CVE. Every token here
// has a good signature unless the group is about signatures.
func TestTokenTricks(t *testing.T) {
	s := newScheme(t, secretIssuer())
	claims := mustJSON(t, goodClaims())
	withHeader := func(header string) string { return hs256(t, header, claims) }
	withPayload := func(payload string) string { return hs256(t, `{"alg":"HS256"}`, payload) }
	inObject := func(members string) string { return `{` + members + `,` + claims[1:] }
	good := hs256Claims(t, goodClaims())
	parts := strings.Split(good, ".")

	for _, group := range []struct {
		name  string
		cases []struct{ name, token, want string }
	}{
		{"alg", []struct{ name, token, want string }{
			{"absent", withHeader(`{"typ":"JWT"}`), "token_algorithm_refused"},
			{"null", withHeader(`{"alg":null}`), "token_algorithm_refused"},
			{"a number", withHeader(`{"alg":256}`), "token_algorithm_refused"},
			{"a list", withHeader(`{"alg":["HS256"]}`), "token_algorithm_refused"},
			{"none and then HS256", withHeader(`{"alg":"none","alg":"HS256"}`), "token_duplicate_member"},
			{"HS256 and then none", withHeader(`{"alg":"HS256","alg":"none"}`), "token_duplicate_member"},
			{"HS256 and ALG", withHeader(`{"alg":"HS256","ALG":"none"}`), "token_duplicate_member"},
			{"RS256 with an HMAC", withHeader(`{"alg":"RS256"}`), "token_algorithm_refused"},
		}},
		{"kid", []struct{ name, token, want string }{
			{"a path", withHeader(`{"alg":"HS256","kid":"../../etc/passwd"}`), "ok"},
			{"SQL", withHeader(`{"alg":"HS256","kid":"x' OR 1=1 --"}`), "ok"},
			{"256 bytes", withHeader(`{"alg":"HS256","kid":"` + strings.Repeat("k", 256) + `"}`), "ok"},
			{"257 bytes", withHeader(`{"alg":"HS256","kid":"` + strings.Repeat("k", 257) + `"}`), "token_header_refused"},
			{"a line break", withHeader(`{"alg":"HS256","kid":"a\nb"}`), "token_header_refused"},
			{"a NUL", withHeader(`{"alg":"HS256","kid":"a\u0000"}`), "token_header_refused"},
			{"a number", withHeader(`{"alg":"HS256","kid":123}`), "token_header_refused"},
			{"null", withHeader(`{"alg":"HS256","kid":null}`), "token_header_refused"},
			{"an object", withHeader(`{"alg":"HS256","kid":{}}`), "token_header_refused"},
		}},
		{"headers that ask for something", []struct{ name, token, want string }{
			{"jku", withHeader(`{"alg":"HS256","jku":"https://evil.example/keys"}`), "token_header_refused"},
			{"jwk", withHeader(`{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`), "token_header_refused"},
			{"x5u", withHeader(`{"alg":"HS256","x5u":"https://evil.example/cert"}`), "token_header_refused"},
			{"x5c", withHeader(`{"alg":"HS256","x5c":["AAAA"]}`), "token_header_refused"},
			{"crit", withHeader(`{"alg":"HS256","crit":["exp"],"exp":1}`), "token_header_refused"},
			{"empty crit", withHeader(`{"alg":"HS256","crit":[]}`), "token_header_refused"},
			{"b64 false", withHeader(`{"alg":"HS256","b64":false}`), "token_header_refused"},
			{"b64 true", withHeader(`{"alg":"HS256","b64":true}`), "token_header_refused"},
			{"zip", withHeader(`{"alg":"HS256","zip":"DEF"}`), "token_header_refused"},
			{"CRIT", withHeader(`{"alg":"HS256","CRIT":["x"]}`), "token_header_refused"},
			{"one that means nothing to us", withHeader(`{"alg":"HS256","x5t":"AA","vendor":{"a":1}}`), "ok"},
		}},
		{"typ", []struct{ name, token, want string }{
			{"absent", withHeader(`{"alg":"HS256"}`), "ok"},
			{"JWT", withHeader(`{"alg":"HS256","typ":"JWT"}`), "ok"},
			{"jwt", withHeader(`{"alg":"HS256","typ":"jwt"}`), "ok"},
			{"at+jwt", withHeader(`{"alg":"HS256","typ":"at+jwt"}`), "ok"},
			{"application/at+JWT", withHeader(`{"alg":"HS256","typ":"application/at+JWT"}`), "ok"},
			{"a logout token", withHeader(`{"alg":"HS256","typ":"logout+jwt"}`), "token_type_refused"},
			{"a DPoP proof", withHeader(`{"alg":"HS256","typ":"dpop+jwt"}`), "token_type_refused"},
			{"application/", withHeader(`{"alg":"HS256","typ":"application/"}`), "token_type_refused"},
			{"a number", withHeader(`{"alg":"HS256","typ":1}`), "token_type_refused"},
			{"null", withHeader(`{"alg":"HS256","typ":null}`), "token_type_refused"},
			{"twice", withHeader(`{"alg":"HS256","typ":"JWT","Typ":"x"}`), "token_duplicate_member"},
		}},
		{"duplicate members", []struct{ name, token, want string }{
			{"sub twice", withPayload(inObject(`"sub":"admin"`)), "token_duplicate_member"},
			{"sub and SUB", withPayload(inObject(`"SUB":"admin"`)), "token_duplicate_member"},
			{"sub and ſub, whose s folds to s", withPayload(inObject(`"\u017fub":"admin"`)), "token_duplicate_member"},
			{"exp and EXP", withPayload(inObject(`"EXP":99999999999`)), "token_duplicate_member"},
			{"role and Role", withPayload(inObject(`"role":"USER","Role":"ADMIN"`)), "token_duplicate_member"},
			{"deep down", withPayload(inObject(`"a":{"b":1,"b":2}`)), "token_duplicate_member"},
			{"custom claims that differ in case", withPayload(inObject(`"color":"red","Color":"blue"`)), "ok"},
			{"SUB without sub", withPayload(`{"SUB":"admin","exp":` + stampOf(time.Hour) + `}`), "ok"},
			{"EXP without exp", withPayload(`{"sub":"alice","EXP":` + stampOf(time.Hour) + `}`), "token_claim_missing"},
		}},
		{"the shape of the payload", []struct{ name, token, want string }{
			{"null", withPayload(`null`), "token_malformed"},
			{"a list", withPayload(`[]`), "token_malformed"},
			{"text", withPayload(`"foo"`), "token_malformed"},
			{"a number", withPayload(`1`), "token_malformed"},
			{"data after the claims", withPayload(claims + `{"sub":"admin"}`), "token_malformed"},
			{"white space after the claims", withPayload(claims + "\n"), "ok"},
			{"not UTF-8", withPayload(inObject("\"x\":\"\xff\"")), "token_malformed"},
			{"17 levels", withPayload(inObject(`"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16))), "token_malformed"},
			{"257 members", withPayload(inObject(manyMembers(257))), "token_malformed"},
			{"a header of null", withHeader(`null`), "token_malformed"},
			{"a header with data after it", withHeader(`{"alg":"HS256"} {}`), "token_malformed"},
		}},
		{"base64url", []struct{ name, token, want string }{
			{"as it is", good, "ok"},
			{"a line break in the header", parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1] + "." + parts[2], "token_malformed"},
			{"a carriage return in the payload", parts[0] + "." + parts[1][:4] + "\r" + parts[1][4:] + "." + parts[2], "token_malformed"},
			{"a line break in the signature", good + "\n", "token_malformed"},
			{"padding", good + "=", "token_malformed"},
			{"the standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+/", "token_malformed"},
			{"a space", good + " ", "token_malformed"},
			{"trailing bits", good[:len(good)-1] + nextBase64(good[len(good)-1]), "token_malformed"},
			{"a length that no bytes have", good + "AA", "token_malformed"},
			{"no signature", parts[0] + "." + parts[1] + ".", "token_malformed"},
			{"no payload", parts[0] + ".." + parts[2], "token_malformed"},
			{"no header", "." + parts[1] + "." + parts[2], "token_malformed"},
		}},
		{"size", []struct{ name, token, want string }{
			{"8 KiB", ofLength(t, maxTokenBytes), "ok"},
			{"a byte more", good + strings.Repeat("A", maxTokenBytes+1-len(good)), "token_too_long"},
			{"a million dots", strings.Repeat(".", 1<<20), "token_too_long"},
		}},
		{"the signature", []struct{ name, token, want string }{
			{"of another payload", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(inObject(`"role":"ADMIN"`))) + "." + parts[2], "token_signature_invalid"},
			{"of another header", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + parts[1] + "." + parts[2], "token_signature_invalid"},
			{"by another secret", signRaw(t, jwt.SigningMethodHS256, []byte("x"+testSecret), `{"alg":"HS256"}`, claims), "token_signature_invalid"},
			{"by no secret", signRaw(t, jwt.SigningMethodHS256, []byte{}, `{"alg":"HS256"}`, claims), "token_signature_invalid"},
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tc := range group.cases {
				t.Run(tc.name, func(t *testing.T) { expect(t, s, tc.token, tc.want) })
			}
		})
	}
}

// TestDenialsExplain holds what explain shows: what was found and what it was
// held against.
func TestDenialsExplain(t *testing.T) {
	c := secretIssuer()
	c.Audiences, c.Iss = []string{"api", "web"}, "https://issuer.example"
	c.Leeway = ptr(time.Duration(0))
	s := newScheme(t, c)
	claims := func(changes map[string]any) string {
		changes["iss"] = "https://issuer.example"
		if _, given := changes["aud"]; !given {
			changes["aud"] = "api"
		}
		return hs256Claims(t, with(changes))
	}
	for _, tc := range []struct{ token, value, bound string }{
		{hs256(t, `{"alg":256}`, `{}`), "alg is a number", "a string"},
		{hs256(t, `{}`, `{}`), "alg is absent", "a string"},
		{hs256(t, `{"alg":"HS256","kid":"`+strings.Repeat("k", 300)+`"}`, `{}`), "kid of 300 bytes", "at most 256 bytes"},
		{hs256(t, `{"alg":"HS256","jku":"x"}`, `{}`), `"jku"`, "not accepted in a token"},
		{hs256(t, `{"alg":"HS256"}`, `{"iss":"a\u001bb"}`), `iss "a\x1bb"`, "one of issuers main"},
		{hs256(t, `{"alg":"HS256"}`, `{"iss":"`+strings.Repeat("é", 100)+`"}`), `iss "` + strings.Repeat(`\u00e9`, 32) + `"...`, "one of issuers main"},
		{claims(map[string]any{"exp": testNow.Unix()}), "exp 2026-02-03T10:00:00Z", "now 2026-02-03T10:00:00Z, leeway 0s"},
		{claims(map[string]any{"exp": testNow.Add(9 * time.Hour).Unix()}), "exp - iat 9h0m0s", "max_lifetime 8h0m0s"},
		{claims(map[string]any{"aud": []string{"x", "y", "z"}}), `aud "x" and 2 more`, "one of api, web"},
		{claims(map[string]any{"aud": []string{}}), "aud is absent", "one of api, web"},
		{claims(map[string]any{"sub": "a\nb"}), `sub "a\nb"`, "no control characters"},
	} {
		_, denial, err := s.Authenticate(t.Context(), bearerOf(tc.token))
		if err != nil || denial == nil || denial.Value != tc.value || denial.Bound != tc.bound {
			t.Errorf("denial %+v (%v)\nwant %s, %s", denial, err, tc.value, tc.bound)
		}
	}
}

// stampOf is the NumericDate that lies d from the tests' now.
func stampOf(d time.Duration) string {
	return strconv.FormatInt(testNow.Add(d).Unix(), 10)
}

// nextBase64 changes the last character so that only bits beyond the last whole
// byte differ: 32 bytes leave two such bits in the 43rd character.
func nextBase64(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

// ofLength makes a good token of exactly n bytes. Base64 has no form of every
// length, so white space in the header shifts the rest.
func ofLength(t testing.TB, n int) string {
	t.Helper()
	for shift := range 3 {
		for pad := n*3/4 - 300; ; pad++ {
			token := hs256(t, `{"alg":"HS256"`+strings.Repeat(" ", shift)+`}`, mustJSON(t, with(map[string]any{"pad": strings.Repeat("x", pad)})))
			if len(token) == n {
				return token
			}
			if len(token) > n {
				break
			}
		}
	}
	t.Fatalf("no token of %d bytes", n)
	return ""
}

func TestTimes(t *testing.T) {
	at := func(d time.Duration) int64 { return testNow.Add(d).Unix() }
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name   string
		leeway time.Duration
		claims map[string]any
		want   string
	}{
		{"good", 0, map[string]any{}, "ok"},
		{"no exp", 0, map[string]any{"exp": nil}, "token_claim_missing"},
		{"exp in a second", 0, map[string]any{"exp": at(time.Second)}, "ok"},
		{"exp now", 0, map[string]any{"exp": at(0)}, "token_expired"},
		{"exp a second ago", 0, map[string]any{"exp": at(-time.Second)}, "token_expired"},
		{"exp within the leeway", 30 * time.Second, map[string]any{"exp": at(-29 * time.Second), "iat": at(-time.Hour)}, "ok"},
		{"exp at the end of the leeway", 30 * time.Second, map[string]any{"exp": at(-30 * time.Second), "iat": at(-time.Hour)}, "token_expired"},
		{"exp 0", 0, map[string]any{"exp": 0}, "token_expired"},
		{"exp negative", 0, map[string]any{"exp": -1}, "token_claim_invalid"},
		{"exp as text", 0, map[string]any{"exp": "1900000000"}, "token_claim_invalid"},
		{"exp null", 0, map[string]any{"exp": raw("null")}, "token_claim_invalid"},
		{"exp true", 0, map[string]any{"exp": true}, "token_claim_invalid"},
		{"exp a list", 0, map[string]any{"exp": []int{1}}, "token_claim_invalid"},
		{"exp with a fraction", 0, map[string]any{"exp": raw(stampOf(time.Hour) + ".5")}, "ok"},
		{"exp half a second ahead", 0, map[string]any{"exp": raw(stampOf(0) + ".5")}, "ok"},
		{"exp with an exponent", 0, map[string]any{"exp": raw("1.770116400e9")}, "ok"},
		{"exp 1e30", 0, map[string]any{"exp": raw("1e30")}, "token_claim_invalid"},
		{"exp 1e400", 0, map[string]any{"exp": raw("1e400")}, "token_claim_invalid"},
		{"exp -1e30", 0, map[string]any{"exp": raw("-1e30")}, "token_claim_invalid"},
		{"exp of 20 digits", 0, map[string]any{"exp": raw("99999999999999999999")}, "token_claim_invalid"},
		{"exp the largest int64", 0, map[string]any{"exp": raw("9223372036854775807")}, "token_claim_invalid"},
		{"exp past the year 9999", 0, map[string]any{"exp": int64(maxNumericDate + 1)}, "token_claim_invalid"},

		{"nbf now", 0, map[string]any{"nbf": at(0)}, "ok"},
		{"nbf in a second", 0, map[string]any{"nbf": at(time.Second)}, "token_not_yet_valid"},
		{"nbf within the leeway", 30 * time.Second, map[string]any{"nbf": at(30 * time.Second)}, "ok"},
		{"nbf beyond the leeway", 30 * time.Second, map[string]any{"nbf": at(31 * time.Second)}, "token_not_yet_valid"},
		{"nbf as text", 0, map[string]any{"nbf": "1"}, "token_claim_invalid"},
		{"nbf null", 0, map[string]any{"nbf": raw("null")}, "token_claim_invalid"},

		{"no iat", 0, map[string]any{"iat": nil}, "ok"},
		{"iat now", 0, map[string]any{"iat": at(0)}, "ok"},
		{"iat in a second", 0, map[string]any{"iat": at(time.Second)}, "token_issued_in_future"},
		{"iat within the leeway", 30 * time.Second, map[string]any{"iat": at(30 * time.Second)}, "ok"},
		{"iat beyond the leeway", 30 * time.Second, map[string]any{"iat": at(31 * time.Second)}, "token_issued_in_future"},
		{"iat as text", 0, map[string]any{"iat": "x"}, "token_claim_invalid"},
		{"iat negative", 0, map[string]any{"iat": -5}, "token_claim_invalid"},

		{"a lifetime of 8 hours", 0, map[string]any{"iat": at(-time.Hour), "exp": at(7 * time.Hour)}, "ok"},
		{"a second more", 0, map[string]any{"iat": at(-time.Hour), "exp": at(7*time.Hour + time.Second)}, "token_lifetime_too_long"},
		{"8 hours to go, no iat", 0, map[string]any{"iat": nil, "exp": at(8 * time.Hour)}, "ok"},
		{"a second more, no iat", 0, map[string]any{"iat": nil, "exp": at(8*time.Hour + time.Second)}, "token_lifetime_too_long"},
		{"leeway without iat", 30 * time.Second, map[string]any{"iat": nil, "exp": at(8*time.Hour + 30*time.Second)}, "ok"},
		{"a century", 0, map[string]any{"exp": at(36500 * day)}, "token_lifetime_too_long"},
		{"to the year 9999", 0, map[string]any{"iat": 0, "exp": int64(maxNumericDate)}, "token_lifetime_too_long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := secretIssuer()
			c.Leeway = &tc.leeway
			expect(t, newScheme(t, c), hs256Claims(t, with(tc.claims)), tc.want)
		})
	}
}

func TestDefaultLeewayIsThirtySeconds(t *testing.T) {
	s := newScheme(t, secretIssuer())
	expect(t, s, hs256Claims(t, with(map[string]any{"iat": nil, "exp": testNow.Add(-29 * time.Second).Unix()})), "ok")
	expect(t, s, hs256Claims(t, with(map[string]any{"iat": nil, "exp": testNow.Add(-30 * time.Second).Unix()})), "token_expired")
}
