package edge

import (
	"net/url"
	"testing"
)

func TestSlashRedirect(t *testing.T) {
	for _, tc := range []struct {
		name, asked, sent, location, want string
	}{
		{"a slash is added", "/items", "", "http://app:8000/items/", "/items/"},
		{"a slash is taken", "/items/", "", "http://app:8000/items", "/items"},
		{"with a query", "/items?a=1&b=%20", "", "http://app:8000/items/?a=1&b=%20", "/items/?a=1&b=%20"},
		{"with an escape", "/a%20b", "", "https://app/a%20b/", "/a%20b/"},
		{"below a prefix that the gateway takes away", "/v1/items", "/items", "http://app/items/", "/v1/items/"},
		{"below a prefix that the gateway adds", "/items", "/v1/items", "http://app/v1/items/", "/items/"},
		{"relative already", "/items", "", "/items/", ""},
		{"another path", "/items", "", "http://app/login/", ""},
		{"the same path", "/items/", "", "http://app/items/", ""},
		{"two slashes more", "/items", "", "http://app/items//", ""},
		{"another query", "/items?a=1", "", "http://app/items/?a=2", ""},
		{"another host on purpose, and another path", "/b", "", "http://cdn.example/a/b/", ""},
		{"another scheme", "/items", "", "ftp://app/items/", ""},
		{"a path that is read as a host", "//evil.net", "", "//evil.net/", "/evil.net/"},
		{"a path that browsers read as a host", `/\evil.net`, "", `/%5Cevil.net/`, ""},
		{"with a backslash", "//evil.net/x", "", "http://app//evil.net/x/", "/evil.net/x/"},
		{"no URL", "/items", "", "http://[/items/", ""},
	} {
		parsed := func(text string) *url.URL {
			u, err := url.ParseRequestURI(text)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > 1 && text[1] == '/' {
				u = &url.URL{Path: text}
			}
			return u
		}
		asked := parsed(tc.asked)
		sent := asked
		if tc.sent != "" {
			sent = parsed(tc.sent)
		}
		if got, ok := SlashRedirect(asked, sent, tc.location); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: got %q, %v, want %q", tc.name, got, ok, tc.want)
		}
	}
}
