package decision

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	aKey   = "sk_live_0123456789abcdefghijABCDEFGHIJ01234567"
	aToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJl"
)

func TestTextHidesCredentials(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"key in a path", "/v1/" + aKey + "/x", "/v1/[redacted]/x"},
		{"test key", "sk_test_" + aKey[8:], "[redacted]"},
		{"token in a path", "/v1/" + aToken, "/v1/[redacted]"},
		{"token without its signature", aToken[:36], "[redacted]"},
		{"token that is cut off in the middle", aToken[:19] + "x", "[redacted]"},
		{"token behind an underscore", "t_" + aToken, "t_[redacted]"},
		{"key of another service", "/ghp_0123456789abcdefghij", "/[redacted]"},
		{"path parameter", "/v1;api_key=hunter2/x", "/v1;api_key=[redacted]/x"},
		{"escaped query in a path", "/v1?access_token=hunter2&page=2", "/v1?access_token=[redacted]&page=2"},
		{"name in another case", "X-Auth-Token=hunter2", "X-Auth-Token=[redacted]"},
		{"key across the bound", strings.Repeat("/", MaxText-20) + aKey, strings.Repeat("/", MaxText-20) + "[redacted]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Text(tc.text); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// What is no credential is shown: a record without it explains nothing.
func TestTextKeepsTheRest(t *testing.T) {
	for _, text := range []string{
		"", "/", "/v1/users/42", "/v1/task_test_results_of_today", "/heyJude", "sk_live_UHTy, 46 bytes", "limit: 0 left, next in 59m59.999731129s",
		"Authorization without Bearer", "Authorization: Bearer with 4 bytes behind it", "a=b", "roles USER", "kid 2026-10", "/orders/4111111111111111",
	} {
		if got := Text(text); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func TestClip(t *testing.T) {
	for _, tc := range []struct {
		text string
		most int
		want string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc..."},
		{"abé", 3, "ab..."},
		{"日本", 1, "..."},
	} {
		if got := Clip(tc.text, tc.most); got != tc.want || !utf8.ValidString(got) {
			t.Errorf("%q to %d bytes: got %q, want %q", tc.text, tc.most, got, tc.want)
		}
	}
	long := Text(strings.Repeat("x", 1<<20))
	if want := MaxText + len("..."); len(long) != want {
		t.Errorf("got %d bytes of a long text, want %d", len(long), want)
	}
}

func FuzzText(f *testing.F) {
	f.Add("/v1/" + aKey)
	f.Add(strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if len(got) > MaxText+len("...") {
			t.Errorf("got %d bytes", len(got))
		}
		if strings.Contains(got, aKey) {
			t.Errorf("the key is shown: %q", got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8 any more: %q", s, got)
		}
	})
}

// The look that spares most texts the pattern never spares one that the pattern matches.
func TestMaskLooksAtEveryToken(t *testing.T) {
	parts := []string{
		"sk_live_", "pk_test_", "rk_live_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AIza", "eyJ",
		"abcdefghijklmnop", "0123456789012345678901234567890", ".", "-", "_", "/", " ", "x", "SK_LIVE_", "gh", "k_",
	}
	random := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 50_000 {
		var text strings.Builder
		for range 1 + random.IntN(6) {
			text.WriteString(parts[random.IntN(len(parts))])
		}
		s := text.String()
		if tokens.MatchString(s) {
			matched++
			if len(s) <= 8 || !mayHoldToken(s) {
				t.Fatalf("%q matches and is not looked at", s)
			}
		}
	}
	if matched < 1000 {
		t.Fatalf("%d texts matched, want thousands", matched)
	}
}
