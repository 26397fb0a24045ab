package auth

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins"
)

const (
	aKey   = "sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef"
	aToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2ln"
)

func request(t *testing.T, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/v1/things", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	return r
}

func TestFind(t *testing.T) {
	both := Headers{Key: DefaultKeyHeader}
	tokensOnly := Headers{}
	for _, tc := range []struct {
		name    string
		in      Headers
		headers []string
		want    string // value found
		source  Source
		reason  plugins.Reason
		detail  string
	}{
		{name: "nothing", in: both},
		{name: "empty Authorization is none", in: both, headers: []string{"Authorization", ""}},
		{name: "empty key header is none", in: both, headers: []string{"X-Api-Key", ""}},
		{name: "bearer token", in: both, headers: []string{"Authorization", "Bearer " + aToken}, want: aToken, source: FromAuthorization},
		{name: "scheme in any case", in: both, headers: []string{"Authorization", "bEaReR " + aToken}, want: aToken, source: FromAuthorization},
		{name: "several spaces", in: both, headers: []string{"Authorization", "Bearer   " + aToken}, want: aToken, source: FromAuthorization},
		{name: "key as bearer", in: both, headers: []string{"Authorization", "Bearer " + aKey}, want: aKey, source: FromAuthorization},
		{name: "key header", in: both, headers: []string{"X-Api-Key", aKey}, want: aKey, source: FromKeyHeader},
		{name: "the same key twice is one", in: both, headers: []string{"X-Api-Key", aKey, "Authorization", "Bearer " + aKey}, want: aKey, source: FromKeyHeader},
		{name: "token and key", in: both, headers: []string{"X-Api-Key", aKey, "Authorization", "Bearer " + aToken}, reason: plugins.ReasonCredentialConflict, detail: DetailCredentials},
		{name: "two tokens", in: both, headers: []string{"Authorization", "Bearer " + aToken, "Authorization", "Bearer x" + aToken}, reason: plugins.ReasonCredentialConflict, detail: DetailCredentials},
		{name: "the same token twice is one", in: both, headers: []string{"Authorization", "Bearer " + aToken, "Authorization", "bearer " + aToken}, want: aToken, source: FromAuthorization},
		{name: "longest key", in: both, headers: []string{"X-Api-Key", strings.Repeat("a", maxCredential)}, want: strings.Repeat("a", maxCredential), source: FromKeyHeader},
		{name: "longest token", in: both, headers: []string{"Authorization", "Bearer " + strings.Repeat("a", maxCredential)}, want: strings.Repeat("a", maxCredential), source: FromAuthorization},
		{name: "scheme and spaces", in: both, headers: []string{"Authorization", "Bearer  "}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "DEL in the key", in: both, headers: []string{"X-Api-Key", "a\x7fb"}, reason: plugins.ReasonCredentialMalformed, detail: DetailKey},
		{name: "not ASCII in the token", in: both, headers: []string{"Authorization", "Bearer a\xe9b"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "test key without bearer", in: both, headers: []string{"Authorization", "sk_test_x"}, reason: plugins.ReasonCredentialMisplaced, detail: DetailKey},
		{name: "key and a word", in: both, headers: []string{"Authorization", aKey + " x"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "two dots are no token", in: both, headers: []string{"Authorization", "a.b.c"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "half a token", in: both, headers: []string{"Authorization", "eyJhbGciOiJIUzI1NiJ9.x"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "a header without a name", in: tokensOnly, headers: []string{"", aKey}},
		{name: "two keys", in: both, headers: []string{"X-Api-Key", aKey, "X-Api-Key", aKey + "x"}, reason: plugins.ReasonCredentialConflict, detail: DetailCredentials},
		{name: "two tokens in one line", in: both, headers: []string{"Authorization", "Bearer a, Bearer b"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "colon after the scheme", in: both, headers: []string{"Authorization", "Bearer: " + aToken}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "scheme twice", in: both, headers: []string{"Authorization", "Bearer bearer " + aToken}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "scheme alone", in: both, headers: []string{"Authorization", "Bearer"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "basic", in: both, headers: []string{"Authorization", "Basic " + aToken}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "basic beside a key", in: both, headers: []string{"Authorization", "Basic dTpw", "X-Api-Key", aKey}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "token without bearer", in: both, headers: []string{"Authorization", aToken}, reason: plugins.ReasonCredentialMisplaced, detail: DetailCredentials},
		{name: "key without bearer", in: both, headers: []string{"Authorization", aKey}, reason: plugins.ReasonCredentialMisplaced, detail: DetailKey},
		{name: "tab in the token", in: both, headers: []string{"Authorization", "Bearer a\tb"}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "space in the key", in: both, headers: []string{"X-Api-Key", "a b"}, reason: plugins.ReasonCredentialMalformed, detail: DetailKey},
		{name: "key too long", in: both, headers: []string{"X-Api-Key", strings.Repeat("a", maxCredential+1)}, reason: plugins.ReasonCredentialMalformed, detail: DetailKey},
		{name: "token too long", in: both, headers: []string{"Authorization", "Bearer " + strings.Repeat("a", maxCredential+1)}, reason: plugins.ReasonCredentialMalformed, detail: DetailCredentials},
		{name: "key header is the upstream's where keys are not taken", in: tokensOnly, headers: []string{"X-Api-Key", aKey}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, found, d := tc.in.Find(request(t, tc.headers...))
			if tc.reason != "" {
				if d == nil || found {
					t.Fatalf("got credential %v, denial %v; want denial %s", found, d, tc.reason)
				}
				if d.Reason != tc.reason || d.Detail != tc.detail || d.Status != 401 {
					t.Errorf("got %d %s %q, want 401 %s %q", d.Status, d.Reason, d.Detail, tc.reason, tc.detail)
				}
				return
			}
			if d != nil {
				t.Fatalf("got denial %+v, want none", d)
			}
			if found != (tc.want != "") || c.Value != tc.want || c.Source != tc.source {
				t.Errorf("got %v %q from %d, want %q from %d", found, c.Value, c.Source, tc.want, tc.source)
			}
		})
	}
}

// What the log says of where a credential stood.
func TestFindExplains(t *testing.T) {
	hs := Headers{Key: DefaultKeyHeader}
	for _, tc := range []struct {
		headers []string
		want    string
	}{
		{[]string{"X-Api-Key", aKey, "Authorization", "Bearer " + aToken}, "Authorization and X-Api-Key"},
		{[]string{"X-Api-Key", aKey, "X-Api-Key", aKey + "x"}, "two X-Api-Key headers"},
		{[]string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "two Authorization headers"},
		{[]string{"Authorization", "basic dXNlcjpwYXNz"}, "Authorization with scheme Basic"},
		{[]string{"Authorization", "ApiKey secret"}, "Authorization with scheme ApiKey"},
		{[]string{"Authorization", "Bearer a b"}, "Authorization: Bearer with 4 bytes behind it"},
		// A first word that is no scheme may be a credential.
		{[]string{"Authorization", "hunter2"}, "Authorization with an unknown scheme"},
		{[]string{"Authorization", aKey[:12]}, "Authorization without Bearer"},
		{[]string{"Authorization", aKey + " x"}, "Authorization with an unknown scheme"},
		{[]string{"Authorization", aToken + " x"}, "Authorization with an unknown scheme"},
		{[]string{"Authorization", "Bearer:" + aKey}, "Authorization with an unknown scheme"},
	} {
		if _, _, d := hs.Find(request(t, tc.headers...)); d == nil || d.Value != tc.want {
			t.Errorf("got %+v, want %q", d, tc.want)
		}
	}
	if got := hs.Name(FromKeyHeader) + " " + hs.Name(FromAuthorization); got != "X-API-Key Authorization" {
		t.Errorf("got names %s", got)
	}
}

// Where keys are not taken, nobody is told to send one.
func TestMisplacedWithoutKeys(t *testing.T) {
	tokensOnly := Headers{}
	d := tokensOnly.Misplaced(request(t, "Api-Key", aKey), true)
	if d == nil || d.Detail != DetailCredentials {
		t.Fatalf("got %+v, want a refused token", d)
	}
	want := `Bearer realm="api", error="invalid_token", error_description="Send the token as Authorization: Bearer <token>"`
	if got := tokensOnly.Challenge("api", d); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	named := Headers{Key: "X-Token"}
	d = named.Misplaced(request(t, "Api-Key", aKey), true)
	if d == nil || d.Bound != "header X-Token or Authorization: Bearer" || !strings.Contains(named.Challenge("api", d), "in the X-Token header") {
		t.Errorf("got %+v %s, want the configured name", d, named.Challenge("api", d))
	}
}

func TestMisplaced(t *testing.T) {
	both := Headers{Key: DefaultKeyHeader}
	for _, tc := range []struct {
		name   string
		r      *http.Request
		sure   bool
		detail string // empty: nothing found
	}{
		{name: "nothing", r: request(t)},
		{name: "Api-Key", r: request(t, "Api-Key", aKey), detail: DetailKey},
		{name: "Api-Key with any value", r: request(t, "Api-Key", "hello"), detail: DetailKey},
		{name: "Api-Key with any value is not sure", r: request(t, "Api-Key", "hello"), sure: true},
		{name: "X-Api-Token with a token", r: request(t, "X-Api-Token", aToken), sure: true, detail: DetailCredentials},
		{name: "X-Auth-Token with a bearer token", r: request(t, "X-Auth-Token", "Bearer "+aToken), sure: true, detail: DetailCredentials},
		{name: "empty Api-Key", r: request(t, "Api-Key", "")},
		{name: "Api-Key without a line", r: &http.Request{Header: http.Header{"Api-Key": nil}, URL: &url.URL{}}},
		{name: "another header", r: request(t, "X-Csrf", aToken)},
		{name: "key in the query", r: httptest.NewRequest(http.MethodGet, "/?api_key="+aKey, nil), sure: true, detail: DetailKey},
		{name: "token in the query", r: httptest.NewRequest(http.MethodGet, "/?access_token="+aToken, nil), detail: DetailCredentials},
		{name: "another key in the query", r: httptest.NewRequest(http.MethodGet, "/?key=name", nil)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := both.Misplaced(tc.r, tc.sure)
			if tc.detail == "" {
				if d != nil {
					t.Fatalf("got %+v, want nothing", d)
				}
				return
			}
			if d == nil || d.Detail != tc.detail || d.Reason != plugins.ReasonCredentialMisplaced {
				t.Fatalf("got %+v, want a misplaced credential with %q", d, tc.detail)
			}
			challenge := both.Challenge("api", d)
			for _, want := range []string{`Bearer realm="api"`, `error="invalid_token"`, "X-API-Key", "Authorization: Bearer"} {
				if !strings.Contains(challenge, want) {
					t.Errorf("challenge %q lacks %q", challenge, want)
				}
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	hs := Headers{Key: DefaultKeyHeader}
	if got, want := hs.Challenge("api", DenyToken(plugins.ReasonNoCredential, "", "")), `Bearer realm="api"`; got != want {
		t.Errorf("no credential: got %s, want %s", got, want)
	}
	if got, want := hs.Challenge("api", DenyToken(plugins.ReasonNotAuthenticated, "", "")), `Bearer realm="api"`; got != want {
		t.Errorf("not authenticated: got %s, want %s", got, want)
	}
	for _, reason := range []plugins.Reason{plugins.ReasonTokenExpired, plugins.ReasonKeyRevoked, plugins.ReasonTokenSignature} {
		if got, want := hs.Challenge("api", DenyToken(reason, "", "")), `Bearer realm="api", error="invalid_token"`; got != want {
			t.Errorf("%s: got %s, want %s", reason, got, want)
		}
	}
	if got, want := hs.Challenge("a\"b\\c\r\nd\x7f\u00e9 ~", DenyToken(plugins.ReasonNoCredential, "", "")), `Bearer realm="a\"b\\cd ~"`; got != want {
		t.Errorf("realm: got %s, want %s", got, want)
	}
	if got, want := hs.Challenge("api", DenyToken(plugins.ReasonCredentialConflict, "", "")), `Bearer realm="api", error="invalid_token", error_description="Two credentials: send one of them"`; got != want {
		t.Errorf("two credentials: got %s, want %s", got, want)
	}
	if got, want := InsufficientScope("api", []string{"read", "write"}), `Bearer realm="api", error="insufficient_scope", scope="read write"`; got != want {
		t.Errorf("scope: got %s, want %s", got, want)
	}
}

// fakeScheme answers with what it holds.
type fakeScheme struct {
	p     *plugins.Principal
	d     *plugins.Denial
	err   error
	calls int
}

func (f *fakeScheme) Name() string { return "fake" }

func (f *fakeScheme) Authenticate(context.Context, Credential) (*plugins.Principal, *plugins.Denial, error) {
	f.calls++
	return f.p, f.d, f.err
}

func TestChain(t *testing.T) {
	notMine := func() *fakeScheme { return &fakeScheme{err: ErrNotMine} }
	good := func() *fakeScheme { return &fakeScheme{p: &plugins.Principal{Subject: "u1"}} }
	bad := func() *fakeScheme { return &fakeScheme{d: DenyToken(plugins.ReasonTokenExpired, "", "")} }
	down := func() *fakeScheme {
		return &fakeScheme{err: &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable}}
	}
	for _, tc := range []struct {
		name    string
		schemes []*fakeScheme
		reason  plugins.Reason // of the denial
		failed  bool
		calls   []int
	}{
		{name: "first takes it", schemes: []*fakeScheme{good(), good()}, calls: []int{1, 0}},
		{name: "second takes it", schemes: []*fakeScheme{notMine(), good()}, calls: []int{1, 1}},
		{name: "a bad one is not offered on", schemes: []*fakeScheme{bad(), good()}, reason: plugins.ReasonTokenExpired, calls: []int{1, 0}},
		{name: "a failure is not offered on", schemes: []*fakeScheme{down(), good()}, failed: true, calls: []int{1, 0}},
		{name: "nobody's", schemes: []*fakeScheme{notMine(), notMine()}, reason: plugins.ReasonCredentialUnknown, calls: []int{1, 1}},
		{name: "no schemes", reason: plugins.ReasonCredentialUnknown},
		{name: "undecided is a failure", schemes: []*fakeScheme{{}}, failed: true, calls: []int{1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ch Chain
			for _, s := range tc.schemes {
				ch = append(ch, s)
			}
			p, d, err := ch.Authenticate(t.Context(), Credential{Source: FromAuthorization, Value: aToken})
			if results := btoi(p != nil) + btoi(d != nil) + btoi(err != nil); results != 1 {
				t.Fatalf("got %d results, want exactly one", results)
			}
			switch {
			case tc.failed && tc.schemes[0].err != nil:
				if !errors.Is(err, tc.schemes[0].err) {
					t.Errorf("got error %v, want the scheme's own", err)
				}
			case tc.failed:
				if _, ok := errors.AsType[*plugins.Unavailable](err); !ok {
					t.Errorf("got error %v, want a *plugins.Unavailable", err)
				}
			case tc.reason != "":
				if d == nil || d.Reason != tc.reason {
					t.Errorf("got %+v, want %s", d, tc.reason)
				}
			case p == nil:
				t.Errorf("got %v %v, want a principal", d, err)
			}
			for i, want := range tc.calls {
				if got := tc.schemes[i].calls; got != want {
					t.Errorf("scheme %d: got %d calls, want %d", i, got, want)
				}
			}
		})
	}
}

// Nobody's credential gets the text of where it came from.
func TestChainNobodys(t *testing.T) {
	for source, want := range map[Source]string{FromAuthorization: DetailCredentials, FromKeyHeader: DetailKey} {
		if _, d, err := (Chain{}).Authenticate(t.Context(), Credential{Source: source, Value: "x"}); err != nil || d == nil || d.Detail != want {
			t.Errorf("source %d: got %+v, %v, want %q", source, d, err, want)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestStripIdentity(t *testing.T) {
	r := request(t,
		"X-User-Id", "admin", "x-user-id", "admin", "X_User_Id", "admin", "X.User.Role", "ADMIN", "X-User_Roles", "ADMIN",
		"-X-User-Tier", "enterprise", "Xuserid", "admin", "X-Auth-Scheme", "bearer", "X-Api-Key-Id", "k", "X-Gateway_Identity", "t", "X_Request_Id", "r",
		"X-Request-Id", "kept", "X-User-Agent", "kept", "X-Custom", "kept",
		"Connection", "close, X-User-Id, x_user_role", "Connection", "X-Request-Id, Upgrade",
	)
	r.Trailer = http.Header{"X-User-Role": nil, "X-Request-Id": nil, "X-Checksum": nil}
	StripIdentity(r)
	want := map[string]string{"X-Request-Id": "kept", "X-User-Agent": "kept", "X-Custom": "kept", "Connection": "close, Upgrade"}
	for name, values := range r.Header {
		if want[name] != strings.Join(values, "|") {
			t.Errorf("header %s: got %q, want %q", name, values, want[name])
		}
		delete(want, name)
	}
	if len(want) != 0 {
		t.Errorf("missing headers %v", want)
	}
	if len(r.Trailer) != 1 {
		t.Errorf("got trailers %v, want X-Checksum alone", r.Trailer)
	}

	// A Connection that names none of ours stays as it came.
	untouched := request(t, "Connection", "close", "Connection", "Upgrade,,TE")
	StripIdentity(untouched)
	if got := strings.Join(untouched.Header["Connection"], "|"); got != "close|Upgrade,,TE" {
		t.Errorf("got Connection %q, want it untouched", got)
	}
	gaps := request(t, "Connection", "close,, X-User-Id,TE")
	StripIdentity(gaps)
	if got := gaps.Header.Get("Connection"); got != "close, TE" {
		t.Errorf("got Connection %q, want close, TE", got)
	}

	only := request(t, "Connection", "X-User-Id")
	StripIdentity(only)
	if _, ok := only.Header["Connection"]; ok {
		t.Errorf("got Connection %q, want none", only.Header["Connection"])
	}
}

func TestFoldHeader(t *testing.T) {
	if got, want := foldHeader("AZaz09-_.@[`{/:\x7f\xff"), "azaz09"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeyHeaderUsable(t *testing.T) {
	for name, want := range map[string]string{
		"X-API-Key": "", "Token": "", "X-Key-9": "",
		strings.Repeat("a", 48): "",
		strings.Repeat("a", 49): "no header name",
		"":                      "no header name",
		"--":                    "no header name",
		"X Key":                 "no header name",
		"X_Key":                 "drops headers",
		"X.Key":                 "drops headers",
		"authorization":         "meaning of its own",
		"X-User-Id":             "meaning of its own",
		"x-gateway-identity":    "meaning of its own",
		"X-Request-ID":          "meaning of its own",
	} {
		err := KeyHeaderUsable(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}

func TestStripCredentials(t *testing.T) {
	r := request(t, "Authorization", "Bearer x", "X-Api-Key", aKey, "X_API_KEY", aKey, "X.Api.Key", aKey, "X-Api-Key-Note", "kept")
	Headers{Key: DefaultKeyHeader}.StripCredentials(r.Header)
	if len(r.Header) != 1 || r.Header.Get("X-Api-Key-Note") != "kept" {
		t.Errorf("got %v, want X-Api-Key-Note alone", r.Header)
	}
	r = request(t, "Authorization", "Bearer x", "X-Api-Key", "the upstream's")
	Headers{}.StripCredentials(r.Header)
	if len(r.Header) != 1 || r.Header.Get("X-Api-Key") == "" {
		t.Errorf("got %v, want X-Api-Key alone", r.Header)
	}
}

func TestSetIdentity(t *testing.T) {
	h := http.Header{}
	p := &plugins.Principal{Subject: "u1", Roles: []string{"USER", "x,ADMIN", "DEV", "a b"}, Scheme: plugins.SchemeAPIKey, KeyID: "k1"}
	SetIdentity(h, p, "USER", "free")
	for name, want := range map[string]string{
		HeaderUserID: "u1", HeaderUserRole: "USER", HeaderUserRoles: "USER,DEV", HeaderUserTier: "free", HeaderAuthScheme: "api_key", HeaderAPIKeyID: "k1",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	h = http.Header{}
	SetIdentity(h, &plugins.Principal{Subject: "u1\r\nX-User-Role: ADMIN", Roles: []string{"x,ADMIN", "a\nb", " USER"}, KeyID: " k1"}, "x,ADMIN", "gold ")
	if len(h) != 0 {
		t.Errorf("got %v, want no header", h)
	}
	for _, role := range []string{"x,ADMIN", "a\nb", "a b", ""} {
		h = http.Header{}
		SetIdentity(h, &plugins.Principal{Roles: []string{role}}, role, "")
		if len(h) != 0 {
			t.Errorf("role %q alone: got %v, want no header", role, h)
		}
		SetIdentity(h, &plugins.Principal{Roles: []string{"USER", role}}, "USER", "")
		if got := h.Get(HeaderUserRoles); got != "USER" {
			t.Errorf("USER and role %q: got %q, want USER", role, got)
		}
	}
	for role, want := range map[string]string{"ADMIN": "ADMIN", "": "other", "x,ADMIN": "other"} {
		h = http.Header{}
		SetIdentity(h, &plugins.Principal{Roles: []string{"a b", "other", "ADMIN"}}, role, "")
		if h.Get(HeaderUserRole) != want || h.Get(HeaderUserRoles) != "other,ADMIN" {
			t.Errorf("known by the role %q: got %v, want X-User-Role %s", role, h, want)
		}
	}
	// A later handler that edits in place must not reach another request.
	a, b := http.Header{}, http.Header{}
	SetIdentity(a, p, "USER", "free")
	SetIdentity(b, p, "USER", "free")
	a[HeaderUserID][0] = "changed"
	if b.Get(HeaderUserID) != "u1" {
		t.Error("two requests share one header value")
	}
}

func FuzzFind(f *testing.F) {
	f.Add("Bearer "+aToken, "", aKey)
	f.Add("bearer  x", "Basic eDp5", "")
	f.Add(aToken, "Bearer a, Bearer b", "\x00")
	f.Fuzz(func(t *testing.T, one, two, key string) {
		hs := Headers{Key: DefaultKeyHeader}
		r := &http.Request{Header: http.Header{"Authorization": {one, two}, "X-Api-Key": {key}}, URL: &url.URL{Path: "/"}}
		c, found, d := hs.Find(r)
		if found && d != nil {
			t.Fatal("found and denied")
		}
		if found && (c.Value == "" || !printable(c.Value) || len(c.Value) > maxCredential) {
			t.Fatalf("unsound credential %q", c.Value)
		}
		if !found && d == nil && (one != "" || two != "" || key != "") {
			t.Fatal("a non-empty header was taken for none")
		}
		hs.Misplaced(r, false)
		hs.StripCredentials(r.Header)
		if len(r.Header["Authorization"])+len(r.Header["X-Api-Key"]) != 0 {
			t.Fatal("credentials left")
		}
	})
}

func BenchmarkFindStripSet(b *testing.B) {
	hs := Headers{Key: DefaultKeyHeader}
	p := &plugins.Principal{Subject: "u1", Roles: []string{"USER"}, Scheme: plugins.SchemeBearer}
	r := httptest.NewRequest(http.MethodGet, "/v1/things", nil)
	for _, name := range []string{"Accept", "Accept-Encoding", "User-Agent", "X-Forwarded-For", "X-Custom"} {
		r.Header.Set(name, "value")
	}
	line := []string{"Bearer " + aToken}
	b.ReportAllocs()
	for b.Loop() {
		r.Header["Authorization"] = line
		StripIdentity(r)
		if _, found, _ := hs.Find(r); !found {
			b.Fatal("not found")
		}
		hs.StripCredentials(r.Header)
		SetIdentity(r.Header, p, "USER", "free")
	}
}
