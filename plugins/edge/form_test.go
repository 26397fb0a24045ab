package edge

import (
	"strings"
	"testing"
)

func TestEscapes(t *testing.T) {
	for text, want := range map[string]bool{
		"00": true, "99": true, "aa": true, "ff": true, "AA": true, "FF": true, "2e": true, "2Fx": true,
		"": false, "0": false, "/0": false, "0/": false, ":0": false, "0:": false, "`0": false, "0`": false, "g0": false, "0g": false,
		"@0": false, "0@": false, "G0": false, "0G": false, "a": false, "{0": false, "[0": false,
		"u0041": true, "U0041": true, "uFFfe": true, "u004": false, "u": false, "U": false, "ug041": false, "u0g41": false, "u00g1": false, "u004g": false,
		"v0041": false, "T0041": false,
	} {
		if got := escapes(text); got != want {
			t.Errorf("%%%s: got %t, want %t", text, got, want)
		}
	}
}

func TestInspectSegment(t *testing.T) {
	for segment, want := range map[string]Form{
		"a": 0, "caf%C3%A9": 0, "%ef%bf%bd": 0, "100%25": 0, "a.b": 0, ".a": 0, "a%7eb": 0, "%EF%BC%8Ea": 0, "%E2%80%A6": 0,
		"a%2Fb": EncodedSlash, "%2Fb": EncodedSlash, "a%2F": EncodedSlash | EmptySegment, "a%2F%2Fb": EncodedSlash | EmptySegment,
		"a%2F.": EncodedSlash | DotSegment | TrailingDot, "a;": PathParameters, "a;b=%2F": PathParameters | EncodedSlash | EmptySegment,
		"a%3B": EncodedSemicolon, "a%3b": EncodedSemicolon, ";": PathParameters | EmptySegment, ".;": PathParameters | DotSegment, "a.;x": PathParameters | TrailingDot,
		"a;x.": PathParameters | TrailingDot, "%5C": Backslash, "a%5C..": Backslash | DotSegment, "%5Ca.": Backslash | TrailingDot,
		"%00": Control, "%1f": Control, "%7F": Control, "%C2%80": Control, "%ff": InvalidUTF8, "%2525": DoubleEscape, "%252e": DoubleEscape,
		"..": DotSegment, ".": DotSegment, ".%20": DotSegment | TrailingSpace, "%20.": DotSegment | TrailingSpace, "a.": TrailingDot, "...": TrailingDot,
		"%20": TrailingSpace, "a%20": TrailingSpace, "%20a": TrailingSpace, "a%20b": 0, "%zz": BadEscape,
		"%EF%BC%8F": Lookalike, "%EF%BC%BC": Lookalike, "%EF%BC%9B": Lookalike, "%EF%BC%85": Lookalike, "%E2%80%A5": Lookalike, "%EF%BC%8E": Lookalike,
		"%EF%BC%8F%2F": Lookalike | EncodedSlash | EmptySegment, "%EF%BC%9B;": Lookalike | PathParameters,
	} {
		if got := inspectSegment(segment); got != want {
			gotText, _ := got.describe()
			wantText, _ := want.describe()
			t.Errorf("%s: got %q, want %q", segment, gotText, wantText)
		}
	}
}

func TestPlain(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a b/c": true, "/a.b/c": true, "/~!$&'()*+,=:@": true,
		"//": false, "/a//b": false, "/a./b": false, "/a /b": false, "/./b": false, "/ a": false, "/a.": false, "/a ": false, "/.": false,
		"/a;b": false, `/a\b`: false, "/a%b": false, "/a\x1f": false, "/a\x00b": false, "/a\x7fb": false, "/a\x80b": false, "/é": false,
	} {
		u := *parse(t, "/")
		u.Path = path
		if got := plain(&u); got != want {
			t.Errorf("%q: got %t, want %t", path, got, want)
		}
	}
	u := *parse(t, "/")
	u.Path, u.RawPath = "/a/b", "/a%2Fb"
	if plain(&u) {
		t.Error("a path with an encoding of its own is plain")
	}
}

// Each form is cleaned by itself, and only where it is asked for.
func TestCleanEachForm(t *testing.T) {
	cases := []struct {
		forms     Form
		raw, want string
	}{
		{EncodedSlash, "/a%2Fb%2fc", "/a/b/c"},
		{0, "/a%2Fb", "/a%2Fb"},
		{EncodedSlash, "/a%5Cb", "/a%5Cb"},
		{Backslash, `/a\b%5Cc%5cd`, "/a/b/c/d"},
		{Backslash, "/a%2Fb", "/a%2Fb"},
		{0, "/a%5Cb", "/a%5Cb"},
		{PathParameters, "/a;x/b;y", "/a/b"},
		{0, "/a;x/b", "/a;x/b"},
		{PathParameters, "/;x/b", "/b"},
		{PathParameters, "/a/;x", "/a"},
		{EmptySegment, "//a//b//", "/a/b/"},
		{0, "/a//b", "/a//b"},
		{DotSegment, "/a//b", "/a//b"},
		{DotSegment, "/a/./b", "/a/b"},
		{DotSegment, "/a/../b", "/b"},
		{0, "/a/./b", "/a/./b"},
		{0, "/a/../b", "/a/../b"},
		{DotSegment, "/a/b/..", "/a/"},
		{DotSegment, "/a/.", "/a/"},
		{DotSegment, "/..", "/"},
		{DotSegment, "/a/../b", "/b"},
		{TrailingDot, "/a./b..", "/a/b"},
		{0, "/a./b", "/a./b"},
		{TrailingSpace, "/a./b%20", "/a./b"},
		{TrailingDot, "/a%20/b", "/a%20/b"},
		{TrailingSpace, "/%20a%20/b", "/a/b"},
		{TrailingDot | TrailingSpace, "/a.%20./b", "/a/b"},
		{TrailingDot, "/../b", "/../b"},
		{DotSegment | PathParameters, "/b/a/../;x", "/b/"},
		{TrailingDot, "/%zz./b", "/%zz./b"},
		{EmptySegment, "/a/", "/a/"},
		{EmptySegment, "/a", "/a"},
	}
	for _, tc := range cases {
		if got := clean(tc.raw, tc.forms); got != tc.want {
			names, _ := tc.forms.describe()
			t.Errorf("%s of %s: got %s, want %s", names, tc.raw, got, tc.want)
		}
	}
}

func TestAsUpstreamReads(t *testing.T) {
	for raw, want := range map[string]string{
		"/a%2fb/c": "/a%2Fb/c", "/a;x/b": "/a/b", "/a//b": "/a/b", "/a/": "/a/", "/a//": "/a/", "/a/;x": "/a/", "/;x/a": "/a", "/%zz": "/%zz", "/%41%20": "/A ",
	} {
		if got := asUpstreamReads(raw); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestParseForm(t *testing.T) {
	for _, f := range formNames {
		got, err := ParseForm(f.name)
		if allowed := f.form&allowable != 0; allowed != (err == nil) || allowed && got != f.form {
			t.Errorf("%s: got %v, %v", f.name, got, err)
		}
	}
	if _, err := ParseForm("dot_segments"); err == nil || !strings.Contains(err.Error(), "can't be allowed") {
		t.Errorf("got %v", err)
	}
	if _, err := ParseForm("dots"); err == nil || !strings.Contains(err.Error(), "encoded_slash") || strings.Contains(err.Error(), "dot_segments") {
		t.Errorf("got %v, want the names that may be allowed", err)
	}
	for i, name := range modeNames {
		if m, err := ParseMode(name); err != nil || m != Mode(i) || m.String() != name {
			t.Errorf("%s: got %v, %v", name, m, err)
		}
	}
	if _, err := ParseMode("lax"); err == nil || !strings.Contains(err.Error(), "path_policy strict") {
		t.Errorf("got %v", err)
	}
}

// A denial quotes no more of a request than an operator can read.
func TestDenialIsShort(t *testing.T) {
	d := PathPolicy{}.Apply(parse(t, "/"+strings.Repeat("a", 2*maxShown)+"//"))
	if d == nil || len(d.Value) > maxShown+3 || !strings.HasSuffix(d.Value, "...") {
		t.Errorf("got %d bytes", len(d.Value))
	}
	longest := "/" + strings.Repeat("a", maxShown-3) + "//"
	if d := (PathPolicy{}).Apply(parse(t, longest)); d.Value != longest {
		t.Errorf("got %q", d.Value)
	}
	if d := (PathPolicy{}).Apply(parse(t, "/a//")); d.Value != "/a//" {
		t.Errorf("got %q", d.Value)
	}
}
