package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile are pieces of text that do something to a terminal, or show nothing.
var hostile = []struct{ name, text string }{
	{"newline", "a\nb"},
	{"carriage return", "a\rb"},
	{"tab", "a\tb"},
	{"null", "a\x00b"},
	{"backspace", "a\bb"},
	{"delete", "a\x7fb"},
	{"colour", "a\x1b[31mb"},
	{"title", "a\x1b]0;x\ab"},
	{"C1 CSI", "a\u009b31mb"},
	{"C1 as a byte", "a\x9b31mb"},
	{"next line", "a\u0085b"},
	{"line separator", "a\u2028b"},
	{"paragraph separator", "a\u2029b"},
	{"right-to-left override", "a\u202eb"},
	{"embedding", "a\u202ab"},
	{"isolate", "a\u2066b"},
	{"pop isolate", "a\u2069b"},
	{"left-to-right mark", "a\u200eb"},
	{"Arabic letter mark", "a\u061cb"},
	{"zero width space", "a\u200bb"},
	{"joiner", "a\u200db"},
	{"byte order mark", "a\ufeffb"},
	{"word joiner", "a\u2060b"},
	{"soft hyphen", "a\u00adb"},
	{"no-break space", "a\u00a0b"},
	{"ideographic space", "a\u3000b"},
	{"grapheme joiner", "a\u034fb"},
	{"variation selector", "a\ufe0fb"},
	{"Hangul filler", "a\u3164b"},
	{"half-width filler", "a\uffa0b"},
	{"Khmer vowel", "a\u17b5b"},
	{"Braille blank", "a\u2800b"},
	{"tag", "a\U000e0041b"},
	{"private use", "a\ue000b"},
	{"not assigned", "a\U000e1000b"},
	{"not UTF-8", "a\xff\xfeb"},
	{"gap", "a  b"},
	{"space at the end", "a "},
}

// wantHarmless checks that a terminal shows text as it is, newlines but.
func wantHarmless(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	for i, r := range text {
		if r == '\n' {
			continue
		}
		if r < 0x20 || r >= 0x7f && r <= 0x9f || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
			unicode.Co, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
			unicode.Is(unicode.Zs, r) && r != ' ' {
			t.Errorf("%U at %d of %q", r, i, text)
			return
		}
	}
}

func TestPrinterQuotes(t *testing.T) {
	for _, tc := range hostile {
		t.Run(tc.name, func(t *testing.T) {
			encoded, err := json.Marshal(map[string]string{"k": tc.text})
			if err != nil {
				t.Fatal(err)
			}
			type name string
			var out bytes.Buffer
			p := &printer{w: &out}
			p.linef("line %s and %-10s and %s and %s", tc.text, name(tc.text), word(tc.text), errors.New(tc.text))
			p.linef("raw %s", json.RawMessage(`{"k":"`+tc.text+`"}`))
			p.linef("parts%s", sentence(part("; found %s", tc.text), part(" with %d", 401)))
			p.fields(5, [][2]string{{"name", tc.text}})
			p.jsonLine(encoded)
			if got := strings.Count(out.String(), "\n"); got != 5 {
				t.Errorf("got %d lines of %q, want 5", got, out.String())
			}
			p.table([]string{"A", "B"}, [][]string{{tc.text, "x"}, {"y", tc.text}})
			p.json(encoded)
			if got := strings.Count(out.String(), "\n"); got != 5+3+3 {
				t.Errorf("got %d lines of %q, want 11", got, out.String())
			}
			wantHarmless(t, out.String())
			wantHarmless(t, escaped(tc.text))
			if p.err != nil {
				t.Error(p.err)
			}
		})
	}
}

// What prints as itself is printed as it is, in any script.
func TestPrinterLeavesTheRest(t *testing.T) {
	for _, tc := range []struct {
		arg  any
		want string
	}{
		{"", ""},
		{"/v1/users/42", "/v1/users/42"},
		{"New Key", "New Key"},
		{"Zoë Müller", "Zoë Müller"},
		{"李小龍", "李小龍"},
		{"שלום", "שלום"},
		{`"jku"`, `"jku"`},
		{`a\nb`, `a\nb`},
		{word("GET"), "GET"},
		{word("/a b"), `"/a b"`},
		{word(`"x"`), `"\"x\""`},
		{42, "42"},
		{json.RawMessage(`{ "a": "<b> & c" }`), `{"a":"<b> & c"}`},
		{json.RawMessage(`{"a":"\u003cb\u003e \\u003c"}`), `{"a":"<b> \\u003c"}`},
	} {
		var out bytes.Buffer
		(&printer{w: &out}).linef("%v", tc.arg)
		if got := strings.TrimSuffix(out.String(), "\n"); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}

// Escapes do not change what JSON says.
func TestPrinterKeepsJSON(t *testing.T) {
	for _, tc := range hostile {
		encoded, err := json.Marshal(tc.text)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		if err := json.Unmarshal(encoded, &want); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		(&printer{w: &out}).json(encoded)
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", tc.name, got, err, want)
		}
	}
}

func FuzzPrinter(f *testing.F) {
	for _, tc := range hostile {
		f.Add(tc.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		p := &printer{w: &out}
		p.linef("%s %s %s", text, word(text), escaped(text))
		p.table([]string{"A"}, [][]string{{text}})
		if got := strings.Count(out.String(), "\n"); got != 3 {
			t.Errorf("got %d lines of %q, want 3", got, out.String())
		}
		wantHarmless(t, out.String())
	})
}

// What the admin endpoint answers names what it was sent.
func TestErrorsAreEscaped(t *testing.T) {
	c := &client{address: "localhost:2019"}
	for name, answer := range map[string]string{
		"detail":         `{"detail":"unknown role \u001b[31m\u202e"}`,
		"field":          `{"detail":[{"loc":["body","a\u0007"],"msg":"\u001b]0;x\u0007 is wrong"}]}`,
		"Caddy's own":    `{"error":"\u001b[2J"}`,
		"something else": "\x1b[2J",
	} {
		err := c.explain(errors.New("caddy responded with error: HTTP 422: " + answer))
		wantHarmless(t, err.Error())
		if err.Error() == "" {
			t.Errorf("%s: got no text", name)
		}
	}
}
