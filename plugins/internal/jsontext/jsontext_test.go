package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, tc := range []struct {
		name, src, want string
		strict, lenient bool
	}{
		{"plain", `"abc"`, "abc", true, true},
		{"empty", `""`, "", true, true},
		{"escapes", `"\"\\\/\b\f\n\r\t\u00e9"`, "\"\\/\b\f\n\r\té", true, true},
		{"a pair", `"\ud83d\ude00"`, "\U0001F600", true, true},
		{"a lone high half", `"a\ud83db"`, "a\ufffdb", false, true},
		{"a lone low half", `"\ude00"`, "\ufffd", false, true},
		{"two high halves", `"\ud83d\ud83d"`, "\ufffd\ufffd", false, true},
		{"a high half and a letter", `"\ud83d\u0041"`, "\ufffdA", false, true},
		{"a high half and a broken escape", `"\ud83d\u00"`, "", false, false},
		{"invalid UTF-8 is kept", "\"a\xffb\"", "a\xffb", true, true},
		{"the same behind an escape", "\"\\na\xffb\"", "\na\xffb", true, true},
		{"no end", `"abc`, "", false, false},
		{"no end behind an escape", `"a\n`, "", false, false},
		{"ends in a backslash", `"a\`, "", false, false},
		{"ends in an escape", `"\u00`, "", false, false},
		{"a control character", "\"a\nb\"", "", false, false},
		{"a control character behind an escape", "\"\\n\x1f\"", "", false, false},
		{"an unknown escape", `"\x41"`, "", false, false},
		{"bad digits", `"\u00g0"`, "", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for lenient, wantOK := range map[bool]bool{false: tc.strict, true: tc.lenient} {
				s := Scanner{Src: tc.src, LoneSurrogates: lenient}
				got, ok := s.Text()
				if ok != wantOK || ok && (got != tc.want || s.Pos != len(tc.src)) {
					t.Errorf("lone surrogates %v: got %q, %v at %d, want %q, %v", lenient, got, ok, s.Pos, tc.want, wantOK)
				}
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for src, want := range map[string]string{
		"0": "0", "-0": "-0", "12": "12", "-1.50": "-1.50", "1e5": "1e5", "1E+5": "1E+5", "2e-07": "2e-07", "12345678901234567890": "12345678901234567890",
		"01": "0", "1,2": "1", "1.2.3": "1.2",
		"": "", "-": "", "+1": "", ".5": "", "1.": "", "1e": "", "1e+": "", "x": "", "--1": "",
	} {
		s := Scanner{Src: src}
		if got, ok := s.Number(); got != want || ok != (want != "") || ok && s.Pos != len(want) {
			t.Errorf("%q: got %q, %v at %d, want %q", src, got, ok, s.Pos, want)
		}
	}
}

// TestPunctuation walks through an object and a list.
func TestPunctuation(t *testing.T) {
	s := Scanner{Src: "{ \"a\" : 1 ,\"b\":2 }"}
	var names []string
	if s.Open('}') {
		t.Fatal("the object is not empty")
	}
	for more := true; more; {
		name, ok := s.Text()
		if !ok || !s.Colon() {
			t.Fatalf("stopped at %d", s.Pos)
		}
		if _, ok := s.Number(); !ok {
			t.Fatalf("stopped at %d", s.Pos)
		}
		names = append(names, name)
		if more, ok = s.Next('}'); !ok {
			t.Fatalf("stopped at %d", s.Pos)
		}
	}
	if got := strings.Join(names, ","); got != "a,b" || s.Pos != len(s.Src) {
		t.Errorf("got %s, at %d of %d", got, s.Pos, len(s.Src))
	}
	empty := Scanner{Src: "[ ]"}
	if !empty.Open(']') || empty.Pos != 3 || empty.Peek() != 0 {
		t.Errorf("the empty list: at %d", empty.Pos)
	}
	wrong := Scanner{Src: "]"}
	if more, ok := wrong.Next('}'); more || ok {
		t.Error("a list's bracket ends an object")
	}
	if wrong.Colon() || wrong.Literal("null") {
		t.Error("a bracket is a colon, or null")
	}
}

// FuzzText holds the scanner against encoding/json.
func FuzzText(f *testing.F) {
	for _, s := range []string{`"a"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\u00e9\/"`, `12`, `-1.5e+7`, `"`, `01`, "\"\x01\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if src == "" || strings.TrimSpace(src) != src {
			return
		}
		s := Scanner{Src: src, LoneSurrogates: true}
		if src[0] != '"' {
			literal, ok := s.Number()
			whole := ok && s.Pos == len(src)
			var n json.Number
			if want := json.Unmarshal([]byte(src), &n) == nil && n != ""; whole != want && src != "null" {
				t.Errorf("%q: got %q, %v, encoding/json says %v", src, literal, whole, want)
			}
			return
		}
		text, ok := s.Text()
		ok = ok && s.Pos == len(src)
		var want string
		valid := json.Unmarshal([]byte(src), &want) == nil
		if ok != valid {
			t.Fatalf("%q: got %v, encoding/json says %v", src, ok, valid)
		}
		if ok && utf8.ValidString(src) && text != want {
			t.Errorf("%q: got %q, want %q", src, text, want)
		}
	})
}
