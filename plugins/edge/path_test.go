package edge

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins"
)

// parse reads a request target as net/http does.
func parse(t testing.TB, target string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	return u
}

func TestStrictRefuses(t *testing.T) {
	groups := map[string][]string{
		"dot segments": {
			"/v1/admin/../../healthz", "/v1/admin/users/..%2f..%2f..%2fhealthz", "/a/./b", "/a/%2e/b", "/a/.%2e/b", "/a/%2E%2e",
			"/..", "/.", "/a/..", "/a/..;x=1/b", "/a/.;/b", "/a/..%3bx/b", "/a/..%5cb", "/..\\b", "/a/..%20/b", "/a/%20../b",
		},
		"path parameters":    {"/v1/admin;x=1/users", "/v1;x/admin/users", "/v1/users;x/u2", "/search;x", "/search;", "/;", "/a/;x/b", "/a%3bx"},
		"empty segments":     {"//", "//v1/admin", "/v1//admin", "/v1/admin//", "///", "/a%2f%2fb"},
		"encoded slashes":    {"/v1%2fadmin", "/v1%2Fadmin/users", "/a%2f"},
		"backslashes":        {"/v1\\admin", "/v1%5cadmin", "/v1%5Cadmin", "/\\admin"},
		"control characters": {"/v1/admin%00", "/v1/admin%00.json", "/a%0ab", "/a%0d%0aX:%20y", "/a%09", "/a%7f", "/a%c2%85b"},
		"double escapes":     {"/%252e%252e/admin", "/v1%252fadmin", "/v1/%2561dmin", "/a/%25%36%39", "/a/%2561%25", "/a/%252e%25", "/%25u002e/a"},
		"trailing dots":      {"/v1/admin.", "/v1./admin", "/v1/admin...", "/.../a", "/a./"},
		"trailing spaces":    {"/v1/admin%20", "/v1%20/admin", "/%20v1/admin", "/v1/%20", "/v1/admin%c2%a0", "/v1/admin.%20"},
		"bytes not UTF-8":    {"/%c0%ae%c0%ae/admin", "/a%c0%afb", "/a%ff", "/%e0%80%af"},
		"lookalikes":         {"/v1%ef%bc%8fadmin", "/%ef%bc%8e%ef%bc%8e/admin", "/%e2%80%a5/admin", "/a%ef%bc%bcb", "/a%ef%bc%852e", "/a%ef%bc%9bx"},
		"no path":            {"*"},
	}
	for name, targets := range groups {
		t.Run(name, func(t *testing.T) {
			for _, target := range targets {
				d := PathPolicy{}.Apply(parse(t, target))
				if d == nil || d.Status != 400 || d.Reason != plugins.ReasonAmbiguousPath {
					t.Errorf("%s: got %+v, want a denial", target, d)
				}
			}
		})
	}
}

func TestStrictPasses(t *testing.T) {
	for _, target := range []string{
		"/", "/v1/items", "/v1/items/", "/v1/items/1", "/.well-known/jwks.json", "/a.b/c.tar.gz", "/~user/x", "/a-b_c/:id/@me/$x,y=1&z!*'()+",
		"/a%20b", "/100%25", "/100%25%20off", "/a%3fb", "/a%23b", "/caf%C3%A9", "/café", "/%E6%97%A5%E6%9C%AC/x", "/a..b", "/..a", "/%61dmin", "/a%26b",
	} {
		u := parse(t, target)
		want := *u
		if d := (PathPolicy{}).Apply(u); d != nil {
			t.Errorf("%s: refused: %+v", target, d)
		}
		if *u != want {
			t.Errorf("%s: became %+v", target, u)
		}
	}
}

func TestEmptyPathIsRoot(t *testing.T) {
	for _, mode := range []Mode{Strict, Normalize, Off} {
		u := parse(t, "http://host")
		if d := (PathPolicy{Mode: mode}).Apply(u); d != nil || u.Path != "/" {
			t.Errorf("%s: got %+v, path %q", mode, d, u.Path)
		}
		for want, target := range map[string]*url.URL{"*": {Path: "*"}, "mail@host": {Opaque: "mail@host"}, "other": {Opaque: "other", Path: "/x"}, "v1": {Path: "v1"}} {
			if d := (PathPolicy{Mode: mode}).Apply(target); d == nil || d.Value != want {
				t.Errorf("%s: %+v: got %+v", mode, target, d)
			}
		}
	}
}

func TestNormalize(t *testing.T) {
	cases := []struct{ name, target, want string }{
		{"dots", "/a/./b/../c", "/a/c"},
		{"dots at the end name a directory", "/a/b/..", "/a/"},
		{"a dot at the end", "/a/.", "/a/"},
		{"no higher than the root", "/../../x", "/x"},
		{"encoded dots", "/a/%2e%2E/b", "/b"},
		{"encoded slashes", "/v1%2Fadmin", "/v1/admin"},
		{"encoded slashes around dots", "/v1/x/..%2f..%2fadmin", "/admin"},
		{"parameters", "/v1/admin;x=1/users;y", "/v1/admin/users"},
		{"parameters behind dots", "/a/..;x/b", "/b"},
		{"slashes", "//v1///admin//", "/v1/admin/"},
		{"backslashes", "/v1%5cadmin\\x", "/v1/admin/x"},
		{"trailing dots and spaces", "/v1/admin.%20./x", "/v1/admin/x"},
		{"trailing dots reveal nothing", "/a/x./b", "/a/x/b"},
		{"the rest stays as written", "/a%20b/../%E6%97%A5/x", "/%E6%97%A5/x"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			u := parse(t, tc.target)
			if d := (PathPolicy{Mode: Normalize}).Apply(u); d != nil {
				t.Fatalf("refused: %+v", d)
			}
			if got := u.RequestURI(); got != tc.want {
				t.Errorf("forwarded %s, want %s", got, tc.want)
			}
			if again := parse(t, u.RequestURI()); again.Path != u.Path || (PathPolicy{}).Apply(again) != nil {
				t.Errorf("%s would not pass the strict policy as it is", u.RequestURI())
			}
		})
	}
	u := parse(t, "/caf%C3%A9/a%20b")
	want := *u
	if d := (PathPolicy{Mode: Normalize}).Apply(u); d != nil || *u != want {
		t.Errorf("a path with nothing to clean: got %+v and %+v", d, u)
	}
	for _, target := range []string{"/a%00", "/%252e%252e/x", "/%c0%ae/x", "/%ef%bc%8f", "/a%0a"} {
		if d := (PathPolicy{Mode: Normalize}).Apply(parse(t, target)); d == nil {
			t.Errorf("%s: has no cleaned form, and passes", target)
		}
	}
}

func TestAllowed(t *testing.T) {
	cases := []struct {
		name   string
		allow  Form
		target string
		path   string // as policies read it; "" for refused
	}{
		{"an encoded slash stays in its segment", EncodedSlash, "/v1/projects/a%2fb/delete", "/v1/projects/a%2Fb/delete"},
		{"what is decoded beside it", EncodedSlash, "/v1/p/a%2Fb%20c/%41", "/v1/p/a%2Fb c/A"},
		{"no dot segment behind it", EncodedSlash, "/v1/p/..%2fadmin", ""},
		{"no empty name behind it", EncodedSlash, "/v1/p/a%2f", ""},
		{"not the other forms", EncodedSlash, "/v1/p;x/a%2fb", ""},
		{"parameters are cut", PathParameters, "/v1/admin;x=1/users;y=2", "/v1/admin/users"},
		{"several in one segment", PathParameters, "/v1/cars;colour=red;year=2012/1", "/v1/cars/1"},
		{"no parameters without a name", PathParameters, "/v1/;x/admin", ""},
		{"nor at the end", PathParameters, "/v1/users/;x", ""},
		{"but where empty segments are merged", PathParameters | EmptySegment, "/v1/;x/admin", "/v1/admin"},
		{"an encoded semicolon is another form", PathParameters, "/v1/users/u2%3Bx", ""},
		{"an encoded semicolon", EncodedSemicolon, "/v1/users/u2%3Bx", "/v1/users/u2;x"},
		{"empty segments are merged", EmptySegment, "/v1//admin///x", "/v1/admin/x"},
		{"not at the start", EmptySegment, "//v1/admin", ""},
		{"a backslash", Backslash, "/v1/a%5Cb", `/v1/a\b`},
		{"no dot segment behind a backslash", Backslash, "/v1/..%5Cb", ""},
		{"an escape of an escape", DoubleEscape, "/v1/a%2520b", "/v1/a%20b"},
		{"a dot", TrailingDot, "/v1/Inc./x", "/v1/Inc./x"},
		{"a space", TrailingSpace, "/v1/a%20/x", "/v1/a /x"},
		{"two forms", EncodedSlash | PathParameters, "/v1;v=2/a%2Fb", "/v1/a%2Fb"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			u := parse(t, tc.target)
			d := PathPolicy{Allow: tc.allow}.Apply(u)
			if tc.path == "" {
				if d == nil {
					t.Fatalf("passes as %s", u.Path)
				}
				return
			}
			if d != nil {
				t.Fatalf("refused: %+v", d)
			}
			if u.Path != tc.path {
				t.Errorf("policies read %s, want %s", u.Path, tc.path)
			}
			if got := u.RequestURI(); got != tc.target {
				t.Errorf("forwarded %s, want it as it came, %s", got, tc.target)
			}
		})
	}
}

func TestOffLetsPass(t *testing.T) {
	u := parse(t, "/a/../b;x//c%2f")
	want := *u
	if d := (PathPolicy{Mode: Off}).Apply(u); d != nil || *u != want {
		t.Errorf("got %+v and %+v", d, u)
	}
}

func TestDenialSaysWhatToWrite(t *testing.T) {
	d := PathPolicy{}.Apply(parse(t, "/a%2fb;x"))
	if want := "`allow encoded_slash path_parameters` in gateway_site"; d == nil || !strings.Contains(d.Bound, want) {
		t.Errorf("got %+v, want %s", d, want)
	}
	d = PathPolicy{}.Apply(parse(t, "/a/../b"))
	if d == nil || strings.Contains(d.Bound, "if the API") {
		t.Errorf("got %+v, which offers what can't be", d)
	}
}

func TestCheckRewritten(t *testing.T) {
	slashes := PathPolicy{Allow: EncodedSlash}
	cases := []struct {
		name    string
		policy  PathPolicy
		target  string
		rewrite func(*url.URL)
		refused bool
	}{
		{"not rewritten", PathPolicy{}, "/a", func(*url.URL) {}, false},
		{"a plain rewrite", PathPolicy{}, "/a", func(u *url.URL) { u.Path = "/b" }, false},
		{"dots by a rewrite", PathPolicy{}, "/a", func(u *url.URL) { u.Path = "/files/../admin" }, true},
		{"another spelling of the same path", PathPolicy{}, "/a/b", func(u *url.URL) { u.RawPath = "/a%2Fb" }, true},
		{"cleaned by the guard", PathPolicy{Mode: Normalize}, "/a/../b", func(*url.URL) {}, false},
		{"cleaned by the guard, and what came put back", PathPolicy{Mode: Normalize}, "/a/../b", func(u *url.URL) { u.Path = "/a/../b" }, true},
		{"dots by a rewrite where paths are cleaned", PathPolicy{Mode: Normalize}, "/a", func(u *url.URL) { u.Path = "/files/../admin" }, true},
		{"an allowed form as the guard left it", slashes, "/a%2Fb", func(*url.URL) {}, false},
		{"an allowed form, rewritten", slashes, "/x/a%2Fb", func(u *url.URL) { u.Path = "/a%2Fb" }, true},
		{"an allowed form, spelled otherwise for the upstream", slashes, "/a%2Fb", func(u *url.URL) { u.Opaque = "/admin" }, true},
		{"a spelling that nobody reads", slashes, "/a%2Fb", func(u *url.URL) { u.RawPath = "/x" }, false},
		{"an allowed form by a rewrite", slashes, "/a", func(u *url.URL) { u.Path, u.RawPath = "/x/b", "/x%2Fb" }, true},
		{"off", PathPolicy{Mode: Off}, "/a", func(u *url.URL) { u.Path = "/files/../admin" }, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			judged := parse(t, tc.target)
			if d := tc.policy.Apply(judged); d != nil {
				t.Fatalf("refused: %+v", d)
			}
			now := *judged
			tc.rewrite(&now)
			if d := tc.policy.CheckRewritten(judged, &now); (d != nil) != tc.refused {
				t.Errorf("got %+v, want refused %t", d, tc.refused)
			} else if now.Opaque != "" && d != nil && !strings.Contains(d.Bound, "no rewrite") {
				t.Errorf("got %+v, want that no rewrite is possible", d)
			}
		})
	}
}

// FuzzApply holds every path that passes to what the guard promises of it.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{"/v1/items", "/a/%2e%2e;x/b", "/a%252f", "//", "/a%5c..%2f", "/caf%c3%a9", "/a%2fb/%3b;", "/..%ef%bc%8f"} {
		f.Add(seed, uint16(0), uint8(0))
		f.Add(seed, uint16(allowable), uint8(0))
		f.Add(seed, uint16(0), uint8(1))
	}
	f.Fuzz(func(t *testing.T, target string, allow uint16, mode uint8) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path == "" || u.Path[0] != '/' {
			return
		}
		p := PathPolicy{Mode: Mode(mode % 2), Allow: Form(allow) & allowable}
		if p.Apply(u) != nil {
			return
		}
		sent := u.RequestURI()
		if sent[0] != '/' {
			t.Fatalf("%q is forwarded as %q", target, sent)
		}
		for segment := range strings.SplitSeq(u.Path, "/") {
			if isDots(segment) || isDots(strings.ReplaceAll(segment, "%2F", "/")) {
				t.Errorf("%q: policies read the dot segment %q", target, segment)
			}
		}
		again, err := url.ParseRequestURI(sent)
		if err != nil {
			t.Fatalf("%q is forwarded as %q, which is none: %v", target, sent, err)
		}
		if d := p.Apply(again); d != nil || again.Path != u.Path {
			t.Errorf("%q is forwarded as %q, which is judged as %q (%+v), not %q", target, sent, again.Path, d, u.Path)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	u := parse(b, "/v1/users/0123456789/orders")
	b.ReportAllocs()
	for b.Loop() {
		if (PathPolicy{}).Apply(u) != nil {
			b.Fatal("refused")
		}
	}
}

func TestTrimPrefix(t *testing.T) {
	for _, tc := range []struct{ opaque, path, want string }{
		{"/api/a%2Fb", "/a%2Fb", "/a%2Fb"},
		{"/api/a%2fb/c", "/a%2Fb/c", "/a%2fb/c"},
		{"/api;v=1/cars;c=red/1", "/cars/1", "/cars;c=red/1"},
		{"/api//x/", "/x/", "/x/"},
		{"/api/a%2Fb", "/b", ""},
		{"/api/a%2Fb", "/new/api/a%2Fb", ""},
		{"/api/a%2Fb", "/x/y", ""},
	} {
		if got := TrimPrefix(tc.opaque, tc.path); got != tc.want {
			t.Errorf("%s, left %s: got %q, want %q", tc.opaque, tc.path, got, tc.want)
		}
	}
}
