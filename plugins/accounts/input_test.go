package accounts

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
)

func TestParseEmail(t *testing.T) {
	for _, tc := range []struct{ given, canonical, shown string }{
		{"user@example.com", "user@example.com", "user@example.com"},
		{" User@Example.COM ", "user@example.com", "User@example.com"},
		{"first.last+tag@sub.example.co.uk", "first.last+tag@sub.example.co.uk", "first.last+tag@sub.example.co.uk"},
		{"o'brien@example.com", "o'brien@example.com", "o'brien@example.com"},
		{"straße@example.com", "strasse@example.com", "straße@example.com"},
		{"STRASSE@example.com", "strasse@example.com", "STRASSE@example.com"},
		{"jose\u0301@example.com", "josé@example.com", "josé@example.com"},
		{"josé@example.com", "josé@example.com", "josé@example.com"},
		{"ｕser@example.com", "user@example.com", "ｕser@example.com"},
		{"user@BÜCHER.example", "user@xn--bcher-kva.example", "user@bücher.example"},
		{"user@xn--bcher-kva.example", "user@xn--bcher-kva.example", "user@bücher.example"},
		{"user@example。com", "user@example.com", "user@example.com"},
		{"用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v", "用户@例子.广告"},
	} {
		got, ok := ParseEmail(tc.given)
		if !ok || got.Canonical != tc.canonical || got.Shown != tc.shown {
			t.Errorf("%q: got %+v, %t, want %q and %q", tc.given, got, ok, tc.canonical, tc.shown)
		}
	}
	for _, given := range []string{
		"", "@", "user", "user@", "@example.com", "user@localhost", "user@example", "user@.com", "user@example.", "user@exa mple.com",
		"us er@example.com", ".user@example.com", "user.@example.com", "us..er@example.com", "user@127.0.0.1", "user@[127.0.0.1]", "user@1.2",
		`"us er"@example.com`, "User <user@example.com>", "user@example.com,other@example.com", "a@b@example.com", "user(comment)@example.com",
		"user@example.com\r\nBcc: x@example.com", "user\x00@example.com", "us\u200ber@example.com", "us\u202eer@example.com", "user@exam\u200bple..com",
		"user@-example.com", "user@example-.com", "user@exa_mple.com", strings.Repeat("x", 65) + "@example.com",
		"user@" + strings.Repeat("x", 64) + ".com", "user@" + strings.Repeat("x.", 130) + "com", "\u0301user@example.com", "us\ufffder@example.com",
	} {
		if got, ok := ParseEmail(given); ok {
			t.Errorf("%q: got %+v, want no address", given, got)
		}
	}
}

// Two addresses that look the same must not be two accounts: what nobody sees is
// refused wherever it stands before the @ (issue 11), and in a domain makes no
// difference.
func TestParseEmailRefusesTheInvisible(t *testing.T) {
	invisible := map[rune]bool{}
	for _, r := range []rune{0xFE0F, 0x034F, 0x3164, 0x115F, 0x1160, 0x17B4, 0x17B5, 0xFFA0, 0x180B, 0x180F, 0x200B, 0x200C, 0x200D, 0x2060, 0x00AD, 0xFEFF, 0xE0100, 0xE0061, 0x1D173} {
		invisible[r] = true
	}
	for _, table := range []*unicode.RangeTable{unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf} {
		for _, part := range table.R16 {
			for r := rune(part.Lo); r <= rune(part.Hi); r += rune(part.Stride) {
				invisible[r] = true
			}
		}
		for _, part := range table.R32 {
			for r := rune(part.Lo); r <= rune(part.Hi); r += rune(part.Stride) {
				invisible[r] = true
			}
		}
	}
	if len(invisible) < 400 {
		t.Fatalf("the tables have %d code points, want some hundred", len(invisible))
	}
	for r := range invisible {
		for _, local := range []string{"%suser", "us%ser", "user%s", "ब्%sब", "用%s户", "\u17a0%s"} {
			given := fmt.Sprintf(local, string(r)) + "@example.com"
			if got, ok := ParseEmail(given); ok {
				t.Errorf("%+q: got %+v, want no address", given, got)
			}
		}
		given := "user@exam" + string(r) + "ple.com"
		if got, ok := ParseEmail(given); ok && got.Canonical != "user@example.com" {
			t.Errorf("%+q: got %+v, want no address or user@example.com", given, got)
		}
	}
}

// Whatever is an address keeps its canonical form when it is read again, and has
// nothing in it that a header or a log line can't hold.
func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{"user@example.com", "straße@BÜCHER.example", "ǅ@example.com", "ﬃ@ﬃ.com", "\u1e9e@example.com", "İ@example.com", "a@b.c\u0301om"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		got, ok := ParseEmail(given)
		if !ok {
			return
		}
		again, ok := ParseEmail(got.Canonical)
		if !ok || again.Canonical != got.Canonical {
			t.Errorf("%q: the canonical form %q is read as %+v, %t", given, got.Canonical, again, ok)
		}
		if shown, ok := ParseEmail(got.Shown); !ok || shown.Canonical != got.Canonical {
			t.Errorf("%q: what is shown, %q, is read as %+v, %t", given, got.Shown, shown, ok)
		}
		if strings.ContainsAny(got.Canonical+got.Shown, " \r\n\t\x00<>,;") {
			t.Errorf("%q: got %+q", given, got)
		}
	})
}

func TestParseJSON(t *testing.T) {
	for _, tc := range []struct{ name, contentType, body, want string }{
		{"an object", "application/json", `{"a":"b"}`, ""},
		{"with charset", "application/json; charset=utf-8", `{}`, ""},
		{"of a kind of JSON", "application/vnd.api+json", `{}`, ""},
		{"no type", "", `{}`, ""},
		{"unknown fields of every kind", "application/json", `{"x":[[1,{"y":[true,null]}],"z"],"n":1e999}`, ""},
		{"form", "application/x-www-form-urlencoded", `{}`, "type_error.dict"},
		{"text", "text/plain", `{}`, "type_error.dict"},
		{"nonsense for a type", "application/json/json", `{}`, "type_error.dict"},
		{"empty", "application/json", " \n", "value_error.missing"},
		{"cut", "application/json", `{"a":"b"`, "value_error.jsondecode"},
		{"single quotes", "application/json", `{'a':'b'}`, "value_error.jsondecode"},
		{"trailing comma", "application/json", `{"a":"b",}`, "value_error.jsondecode"},
		{"two values", "application/json", `{} {}`, "value_error.jsondecode"},
		{"rubbish behind", "application/json", `{}x`, "value_error.jsondecode"},
		{"a list", "application/json", `[]`, "type_error.dict"},
		{"a text", "application/json", `"a"`, "type_error.dict"},
		{"null", "application/json", `null`, "type_error.dict"},
		{"twice", "application/json", `{"password":"a","password":"b"}`, "value_error.duplicate"},
		{"twice, once escaped", "application/json", `{"password":"a","p\u0061ssword":"b"}`, "value_error.duplicate"},
		{"not UTF-8", "application/json", "{\"a\":\"\xff\"}", "value_error.jsondecode"},
		{"deep", "application/json", `{"a":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`, "value_error.jsondecode"},
		{"deep objects", "application/json", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), "value_error.jsondecode"},
		{"open brackets", "application/json", strings.Repeat("[", 60000), "type_error.dict"},
		{"a byte order mark", "application/json", "\ufeff{}", "value_error.jsondecode"},
	} {
		_, refusal := ParseJSON(tc.contentType, []byte(tc.body))
		got := ""
		if refusal != nil {
			got = refusal.Fields[0].Type
			if refusal.Denial.Status != 422 || len(refusal.Fields[0].Loc) != 1 || refusal.Fields[0].Loc[0] != "body" {
				t.Errorf("%s: got %+v", tc.name, refusal)
			}
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	// Names are exact: PASSWORD is not password.
	b, _ := ParseJSON("application/json", []byte(`{"PASSWORD":"a"}`))
	if b.Text("password"); b.Refusal() == nil {
		t.Error("another spelling of a name was read")
	}
}

func TestParseForm(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, tc := range []struct {
		name, contentType, body string
		username                string
		refused                 bool
	}{
		{"as FastAPI's clients send it", form, "grant_type=password&username=user%40example.com&password=Secure%2BPass", "user@example.com", false},
		{"another type", "application/json", `{"username":"u"}`, "", true},
		{"no type", "", "username=u&password=p", "", true},
		{"twice", form, "username=a&username=b&password=p", "", true},
		{"bad escape", form, "username=%zz&password=p", "", true},
		{"not UTF-8", form, "username=%ff&password=p", "", true},
		{"many", form, strings.Repeat("x=1&", 100) + "username=u&password=p", "", true},
		{"semicolon", form, "username=u;password=p", "", true},
	} {
		b, refusal := ParseForm(tc.contentType, []byte(tc.body))
		username := ""
		if refusal == nil {
			username = b.Text("username")
			b.Text("password")
			refusal = b.Refusal()
		}
		if (refusal != nil) != tc.refused || !tc.refused && username != tc.username {
			t.Errorf("%s: got %q, %+v", tc.name, username, refusal)
		}
	}
}
