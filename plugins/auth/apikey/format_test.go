package apikey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func mustGenerate(t testing.TB, live bool) string {
	t.Helper()
	key, err := Generate(live, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func TestGenerateMakesKeysThatCheck(t *testing.T) {
	seen := make(map[string]bool)
	for i := range 1000 {
		live := i%2 == 0
		key := mustGenerate(t, live)
		if want := map[bool]string{true: PrefixLive, false: PrefixTest}[live]; !strings.HasPrefix(key, want) || len(key) != 46 {
			t.Fatalf("key %q, want 46 characters that start with %s", key, want)
		}
		if err := Check(key); err != nil {
			t.Fatalf("Check(%q) = %v", key, err)
		}
		if seen[key] {
			t.Fatalf("%q came twice", key)
		}
		seen[key] = true
	}
}

// The checksum is part of what is published, so that others can check keys too.
// This one was computed by Python's zlib.crc32.
func TestChecksumIsStable(t *testing.T) {
	key, err := Generate(true, bytes.NewReader(bytes.Repeat([]byte{0, 1, 10, 35, 36, 61, 62, 63}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := key.Reveal(), "sk_live_01AZaz01AZaz01AZaz01AZaz01AZaz011owgwY"; got != want {
		t.Errorf("key = %q, want %q", got, want)
	}
}

// Every character is as likely as every other: chi-squared with 61 degrees of
// freedom over characters of a seeded source.
func TestGenerateIsUnbiased(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	counts := make(map[rune]int)
	const keys = 4000
	for range keys {
		key, err := Generate(true, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range key.Reveal()[len(PrefixLive) : keyLength-checksumBody] {
			counts[c]++
		}
	}
	expected := float64(keys*randomBody) / 62
	var chi float64
	for _, c := range alphabet {
		chi += math.Pow(float64(counts[c])-expected, 2) / expected
	}
	if chi > 120 { // p is about 1e-5
		t.Errorf("chi-squared is %.0f, want about 61", chi)
	}
}

func TestGenerateWithABadSource(t *testing.T) {
	broken := errors.New("broken")
	cases := []struct {
		name   string
		source io.Reader
		want   error
	}{
		{name: "fails", source: io.MultiReader(bytes.NewReader(make([]byte, 10)), errReader{broken}), want: broken},
		{name: "short", source: bytes.NewReader(make([]byte, 10)), want: io.ErrUnexpectedEOF},
		{name: "repeats a useless byte", source: constant(0xff)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			key, err := Generate(true, c.source)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("err = %v, want %v", err, c.want)
			}
			if !key.Empty() {
				t.Error("a key came with the error")
			}
		})
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func TestCheck(t *testing.T) {
	key := mustGenerate(t, true)
	flip := func(i int) string {
		b := []byte(key)
		if b[i] == 'a' {
			b[i] = 'b'
		} else {
			b[i] = 'a'
		}
		return string(b)
	}
	cases := []struct {
		name, value string
		want        error
	}{
		{"good", key, nil},
		{"empty", "", ErrMalformed},
		{"prefix only", PrefixLive, ErrMalformed},
		{"one short", key[:45], ErrMalformed},
		{"one long", key + "a", ErrMalformed},
		{"with abc behind", key + "abc", ErrMalformed},
		{"space behind", key + " ", ErrMalformed},
		{"upper-case prefix", "SK_LIVE_" + key[8:], ErrMalformed},
		{"other prefix", "pk_live_" + key[8:], ErrMalformed},
		{"live as test", PrefixTest + key[8:], ErrChecksum},
		{"first character", flip(8), ErrChecksum},
		{"last of the random part", flip(39), ErrChecksum},
		{"first of the checksum", flip(40), ErrChecksum},
		{"last of the checksum", flip(45), ErrChecksum},
		{"underscore in the body", key[:20] + "_" + key[21:], ErrMalformed},
		{"dash in the body", key[:20] + "-" + key[21:], ErrMalformed},
		{"dash in the checksum", key[:45] + "-", ErrMalformed},
		{"NUL", key[:20] + "\x00" + key[21:], ErrMalformed},
		{"newline", key[:20] + "\n" + key[21:], ErrMalformed},
		{"not ASCII", key[:20] + "é" + key[22:], ErrMalformed},
		{"neighbours of the alphabet", key[:20] + "/" + key[21:], ErrMalformed},
		{"long", PrefixLive + strings.Repeat("a", 1<<20), ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Check(c.value); !errors.Is(got, c.want) {
				t.Errorf("Check = %v, want %v", got, c.want)
			}
		})
	}
}

// Any one character typed wrong, and any two neighbours swapped, is noticed.
func TestCheckNoticesTypingErrors(t *testing.T) {
	key := mustGenerate(t, true)
	for i := len(PrefixLive); i < len(key); i++ {
		for _, c := range []byte(alphabet) {
			b := []byte(key)
			b[i] = c
			if got := Check(string(b)); (got == nil) != (string(b) == key) {
				t.Fatalf("Check of %q for %q = %v", b, key, got)
			}
		}
		if i+1 < len(key) {
			b := []byte(key)
			b[i], b[i+1] = b[i+1], b[i]
			if got := Check(string(b)); (got == nil) != (string(b) == key) {
				t.Fatalf("Check of %q for %q = %v", b, key, got)
			}
		}
	}
}

func TestDisplayPrefix(t *testing.T) {
	key := mustGenerate(t, false)
	cases := []struct{ name, value, want string }{
		{"ours", key, key[:12]},
		{"ours with a bad checksum", key[:45] + "-", key[:12]},
		{"something behind the shown part", key[:12] + "-" + key[13:], key[:12]},
		{"foreign, of letters and digits", strings.Repeat("k", 60), ""},
		{"foreign", "correct-horse-battery-staple-correct-horse", ""},
		{"too short to hide anything", "sk_live_abc", ""},
		{"a little short", key[:45], ""},
		{"control characters", "sk_live_a\nb\x00" + key[12:], ""},
		{"empty", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := DisplayPrefix(c.value); got != c.want {
				t.Errorf("DisplayPrefix = %q, want %q", got, c.want)
			}
		})
	}
}

func TestKeyPrintsRedacted(t *testing.T) {
	key, err := Generate(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %s %+v %#v", key, key, key, key); strings.Contains(got, key.Reveal()) {
		t.Error("the key prints itself")
	}
}

func TestNewIDIsUUIDv7(t *testing.T) {
	var last string
	for range 100 {
		id, err := NewID()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := uuid.Parse(id)
		if err != nil || parsed.Version() != 7 {
			t.Fatalf("id %q: version %d, %v; want a UUIDv7", id, parsed.Version(), err)
		}
		if id <= last {
			t.Fatalf("id %q does not sort behind %q", id, last)
		}
		last = id
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("sk_live_01AZaz01AZaz01AZaz01AZaz01AZaz011owgwY")
	f.Add("sk_test_01AZaz01AZaz01AZaz01AZaz01AZaz011owgwY")
	f.Add("sk_live_abc123...")
	f.Add("")
	f.Add("sk_live_")
	f.Add("SK_LIVE_01AZaz01AZaz01AZaz01AZaz01AZaz011owgwY")
	f.Add("sk_live_01AZaz01AZaz01AZaz01AZaz01AZaz011owgwY ")
	f.Add("sk_live_01AZaz01AZ\x00z01AZaz01AZaz01AZaz011owgwY")
	f.Add("sk_live_\xff\xfeAZaz01AZaz01AZaz01AZaz01AZaz011owgwY")
	f.Add("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln")
	f.Add(strings.Repeat("sk_live_", 40))
	f.Fuzz(func(t *testing.T, value string) {
		err := Check(value)
		switch {
		case err == nil:
			if len(value) != keyLength || !Recognised(value) {
				t.Fatalf("%q passes", value)
			}
			sum := checksum(value[:keyLength-checksumBody])
			if !strings.HasSuffix(value, string(sum[:])) {
				t.Fatalf("%q passes with another checksum than %s", value, sum)
			}
			if got := DisplayPrefix(value); got != value[:12] {
				t.Fatalf("DisplayPrefix(%q) = %q", value, got)
			}
		case !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrChecksum):
			t.Fatalf("Check(%q) = %v, which is not documented", value, err)
		}
		if got := DisplayPrefix(value); got != "" && (len(got) != 12 || !strings.HasPrefix(value, got) || len(value) < keyLength) {
			t.Fatalf("DisplayPrefix(%q) = %q", value, got)
		}
	})
}
