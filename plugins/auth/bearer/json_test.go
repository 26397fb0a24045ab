package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func repeatJoin(s, sep string, n int) string {
	return strings.TrimSuffix(strings.Repeat(s+sep, n), sep)
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"m%d":1`, i)
	}
	return b.String()
}

// plain turns a value into what encoding/json would have made of it.
func (v *jsonValue) plain() any {
	switch v.kind {
	case jsonBool:
		return v.truth
	case jsonNumber:
		return json.Number(v.text)
	case jsonString:
		return v.text
	case jsonArray:
		list := make([]any, len(v.items))
		for i := range v.items {
			list[i] = v.items[i].plain()
		}
		return list
	case jsonObject:
		m := make(map[string]any, len(v.members))
		for i := range v.members {
			m[v.members[i].name] = v.members[i].value.plain()
		}
		return m
	}
	return nil
}

// sameAsEncodingJSON fails when the two parsers see different documents.
func sameAsEncodingJSON(t *testing.T, src string, v *jsonValue) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(src))
	dec.UseNumber()
	var theirs any
	if err := dec.Decode(&theirs); err != nil {
		t.Fatalf("%q: taken, but encoding/json refuses it: %v", src, err)
	}
	a, errA := json.Marshal(v.plain())
	b, errB := json.Marshal(theirs)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Fatalf("%q: read as %s, encoding/json reads %s (%v %v)", src, a, b, errA, errB)
	}
}

// Documents that differ from good ones in one place.
func TestParseObjectRefusesNearMisses(t *testing.T) {
	for _, src := range []string{
		`{xa":1}`, `{"a";1}`, `{"a"x1}`, `{"\q:1}`, `{"a":1;"b":2}`, `{"a":[1;2]}`,
		`{"a":"\ud83dde00"}`, `{"a":"\ud83d\uzzzz"}`, `{"a":"\ud83d\u"}`, `{"a":"\u004`, `{"a":"\u0041`,
		`{"a":"\u00g0"}`, `{"a":"\u00G0"}`, "{\"a\":\"\\u00`0\"}", `{"a":"\u00@0"}`, `{"a":"\u00/0"}`, `{"a":"\u00:0"}`,
	} {
		if v, err := parseObject(src); err == nil {
			t.Errorf("%s is read as %v", src, v.plain())
		}
	}
	for _, src := range []string{`{"a":"\u00aA\u00fF\u0909"}`, `{"a":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `}`} {
		v, err := parseObject(src)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		sameAsEncodingJSON(t, src, &v)
	}
	if _, err := parseObject(`{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`); !errors.Is(err, errJSONDepth) {
		t.Errorf("got %v, want a refusal for the depth", err)
	}
}

func TestParseObject(t *testing.T) {
	nested := func(n int) string {
		return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
	}
	for _, tc := range []struct {
		name, src string
		want      error
	}{
		{"empty", `{}`, nil},
		{"white space everywhere", " {\t\"a\" :\n[ 1 , {} ,\r[ ] ] } ", nil},
		{"every kind", `{"s":"x","n":-1.5e+10,"t":true,"f":false,"z":null,"a":[0],"o":{"p":0}}`, nil},
		{"escapes", `{"a":"\"\\\/\b\f\n\r\té😀\u0000"}`, nil},
		{"escapes by number", `{"a":"\u00e9\u00E9\ud83d\uDE00\ufffd\u0000"}`, nil},
		{"an escaped name", `{"a\u0062c":1}`, nil},
		{"names of one kind in different objects", `{"a":{"b":1},"c":{"b":1}}`, nil},
		{"numbers of all shapes", `{"a":[0,-0,10,0.5,1e5,1E-5,1.25e+3,123456789012345678901234567890]}`, nil},
		{"16 levels", nested(16), nil},
		{"256 members", "{" + manyMembers(256) + "}", nil},
		{"512 elements", `{"a":[` + repeatJoin("1", ",", 512) + `]}`, nil},

		{"nothing", ``, errJSONObject},
		{"text", `"foo"`, errJSONObject},
		{"a list", `[]`, errJSONObject},
		{"a number", `1`, errJSONObject},
		{"null", `null`, errJSONObject},
		{"a byte order mark", "\xef\xbb\xbf{}", errJSONObject},
		{"a second document", `{}{}`, errJSONTrailing},
		{"text after it", `{} x`, errJSONTrailing},
		{"a NUL after it", "{}\x00", errJSONTrailing},
		{"a duplicate", `{"a":1,"a":1}`, errJSONDuplicate},
		{"a duplicate by escape", `{"sub":1,"\u0073ub":1}`, errJSONDuplicate},
		{"a duplicate deep down", `{"a":[{"b":{"c":1,"c":2}}]}`, errJSONDuplicate},
		{"a duplicate of the empty name", `{"":1,"":2}`, errJSONDuplicate},
		{"a duplicate among many", `{` + manyMembers(100) + `,"m7":1}`, errJSONDuplicate},
		{"a duplicate of the 17th", `{` + manyMembers(17) + `,"m16":1}`, errJSONDuplicate},
		{"17 levels", nested(17), errJSONDepth},
		{"17 levels of lists", `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, errJSONDepth},
		{"9000 levels", strings.Repeat(`{"a":`, 9000), errJSONDepth},
		{"257 members", "{" + manyMembers(257) + "}", errJSONMembers},
		{"257 members in all", `{"x":{` + manyMembers(128) + `},"y":{` + manyMembers(127) + `}}`, errJSONMembers},
		{"513 elements", `{"a":[` + repeatJoin("1", ",", 513) + `]}`, errJSONElements},
		{"513 elements in all", `{"a":[` + repeatJoin("[1]", ",", 300) + `]}`, errJSONElements},
		{"an invalid byte", "{\"a\":\"\xff\"}", errJSONUTF8},
		{"an overlong form", "{\"a\":\"\xc0\xaf\"}", errJSONUTF8},
		{"an encoded surrogate", "{\"a\":\"\xed\xa0\x80\"}", errJSONUTF8},
		{"a lone high surrogate", `{"a":"\ud83d"}`, errJSON},
		{"a lone low surrogate", `{"a":"\ude00"}`, errJSON},
		{"two high surrogates", `{"a":"\ud83d\ud83d"}`, errJSON},
		{"a surrogate and text", `{"a":"\ud83dx"}`, errJSON},
		{"an unknown escape", `{"a":"\x"}`, errJSON},
		{"a short escape", `{"a":"\u12"}`, errJSON},
		{"a bad low surrogate", `{"a":"\ud83d\u12g4"}`, errJSON},
		{"a high surrogate at the end", `{"a":"\ud83d\u12`, errJSON},
		{"no end after an escape", `{"a":"\n`, errJSON},
		{"a bad escape", `{"a":"\u12g4"}`, errJSON},
		{"an escape at the end", `{"a":"\`, errJSON},
		{"a line break in text", "{\"a\":\"\n\"}", errJSON},
		{"a line break after an escape", "{\"a\":\"\\n\n\"}", errJSON},
		{"a final comma", `{"a":1,}`, errJSON},
		{"a first comma", `{,"a":1}`, errJSON},
		{"a final comma in a list", `{"a":[1,]}`, errJSON},
		{"no colon", `{"a" 1}`, errJSON},
		{"no comma", `{"a":1 "b":2}`, errJSON},
		{"no comma in a list", `{"a":[1 2]}`, errJSON},
		{"no end", `{"a":1`, errJSON},
		{"no end of a list", `{"a":[1`, errJSON},
		{"no end of text", `{"a":"x`, errJSON},
		{"no value", `{"a":}`, errJSON},
		{"a name without quotes", `{a:1}`, errJSON},
		{"single quotes", `{'a':1}`, errJSON},
		{"a comment", `{"a":1/*x*/}`, errJSON},
		{"a leading zero", `{"a":01}`, errJSON},
		{"a leading plus", `{"a":+1}`, errJSON},
		{"only a minus", `{"a":-}`, errJSON},
		{"no digit before the point", `{"a":.5}`, errJSON},
		{"no digit after the point", `{"a":1.}`, errJSON},
		{"no digit in the exponent", `{"a":1e}`, errJSON},
		{"hexadecimal", `{"a":0x1}`, errJSON},
		{"NaN", `{"a":NaN}`, errJSON},
		{"Infinity", `{"a":Infinity}`, errJSON},
		{"True", `{"a":True}`, errJSON},
		{"nul", `{"a":nul}`, errJSON},
		{"a form feed as white space", "{\f}", errJSON},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := parseObject(tc.src)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err == nil {
				sameAsEncodingJSON(t, tc.src, &v)
			}
		})
	}
}

// FuzzParseObject: what is taken means the same to encoding/json, and what is
// refused as broken is refused there too or is one of our own rules.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"a":2}`, `{"sub":"alice","SUB":"admin"}`, `{"a":[1,{"b":null}],"c":"é😀"}`,
		`{"a":1e400,"b":-0.0,"c":12345678901234567890}`, `{"a":"\ud83d"}`, "{\"a\":\"\xff\"}", `{} {}`, `[{}]`,
		strings.Repeat(`{"a":`, 20), `{"exp":4102444800.5,"aud":["a","b"]}`, " \n{\t}\r",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		v, err := parseObject(src)
		if err == nil {
			sameAsEncodingJSON(t, src, &v)
			return
		}
		if errors.Is(err, errJSON) || errors.Is(err, errJSONTrailing) {
			var theirs map[string]any
			dec := json.NewDecoder(strings.NewReader(src))
			dec.UseNumber()
			if json.Valid([]byte(src)) && utf8.ValidString(src) && dec.Decode(&theirs) == nil && theirs != nil &&
				!strings.Contains(strings.ToLower(src), `\ud`) {
				t.Errorf("%q: refused as broken (%v), but encoding/json takes it", src, err)
			}
		}
	})
}
