package redisgcra

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseURLs(t *testing.T) {
	for _, tc := range []struct {
		name  string
		urls  []string
		want  string
		check func(*Target) bool
	}{
		{"server", []string{"redis://localhost:6379"}, "server localhost:6379", nil},
		{"port left out", []string{"redis://redis.internal"}, "server redis.internal:6379", nil},
		{"IPv6", []string{"redis://[::1]"}, "server [::1]:6379", nil},
		{"database", []string{"redis://localhost/3"}, "server localhost:6379", func(t *Target) bool { return t.db == 3 }},
		{
			"ACL user",
			[]string{"redis://gateway:s3cret@localhost"},
			"server localhost:6379",
			func(t *Target) bool { return t.username == "gateway" && t.password == "s3cret" },
		},
		{
			"password only, escaped",
			[]string{"redis://:p%40ss@localhost"},
			"server localhost:6379",
			func(t *Target) bool { return t.username == "" && t.password == "p@ss" },
		},
		{
			"TLS",
			[]string{"rediss://redis.internal:6380"},
			"server redis.internal:6380",
			func(t *Target) bool { return t.tls.ServerName == "redis.internal" && t.tls.MinVersion == 0x303 },
		},
		{
			"unix socket",
			[]string{"unix:///run/redis/redis.sock?db=2"},
			"server /run/redis/redis.sock",
			func(t *Target) bool { return t.network == "unix" && t.db == 2 },
		},
		{"cluster", []string{"redis://a:6379", "redis://b:6380"}, "cluster a:6379, b:6380", nil},
		{"cluster in one", []string{"redis://a,b:6380"}, "cluster a:6379, b:6380", nil},
		{"cluster by one node", []string{"redis://a?cluster=true"}, "cluster a:6379", nil},
		{
			"cluster by TLS",
			[]string{"rediss://a", "rediss://b"},
			"cluster a:6379, b:6379",
			func(t *Target) bool { return t.tls != nil && t.tls.ServerName == "" },
		},
		{"sentinel", []string{"sentinel://mymaster@h1,h2,h3"}, "master mymaster of the sentinels h1:26379, h2:26379, h3:26379", nil},
		{
			"sentinel with everything",
			[]string{"sentinel://user:pass@mymaster@h1:1,h2:2/4?sentinel_password=other"},
			"master mymaster of the sentinels h1:1, h2:2", func(t *Target) bool {
				return t.username == "user" && t.password == "pass" && t.db == 4 && t.sentinelPassword == "other"
			},
		},
		{"sentinel by TLS", []string{"sentinels://mymaster@h1"}, "master mymaster of the sentinels h1:26379", func(t *Target) bool { return t.tls != nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target, err := ParseURLs(tc.urls)
			if err != nil {
				t.Fatal(err)
			}
			if got := target.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if tc.check != nil && !tc.check(target) {
				t.Errorf("got %#v", *target)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
				if text := fmt.Sprintf(verb, target); target.password != "" && strings.Contains(text, target.password) {
					t.Errorf("%s prints the password: %s", verb, text)
				}
			}
			if client := target.client(0); client == nil {
				t.Error("no client")
			} else {
				_ = client.Close()
			}
		})
	}
}

func TestParseURLsRefuses(t *testing.T) {
	for _, tc := range []struct {
		urls []string
		want string
	}{
		{nil, "redis needs an address"},
		{[]string{""}, "must begin with redis://"},
		{[]string{"localhost:6379"}, "must begin with redis://"},
		{[]string{"http://localhost"}, "must begin with redis://"},
		{[]string{"redis://"}, "needs a host"},
		{[]string{"redis://s3cret:s3cret@%zz"}, "can't be read"},
		{[]string{"redis://localhost/one"}, "must be a number"},
		{[]string{"redis://localhost?timeout=3"}, `no "timeout"`},
		{[]string{"redis://localhost?db=1&db=2"}, "given twice"},
		{[]string{"redis://localhost?ca_file=x"}, `no "ca_file"`},
		{[]string{"rediss://localhost?ca_file=/does/not/exist"}, "reading the certificates"},
		{[]string{"unix://redis.sock"}, "three slashes"},
		{[]string{"unix:///a", "unix:///b"}, "stands alone"},
		{[]string{"redis://a", "sentinel://m@b"}, "stands alone"},
		{[]string{"redis://a", "rediss://b"}, "one scheme"},
		{[]string{"redis://u:s3cret@a", "redis://u:other@b"}, "one scheme"},
		{[]string{"redis://a/1", "redis://b"}, "no databases"},
		{[]string{"sentinel://h1,h2"}, "name of the master"},
	} {
		_, err := ParseURLs(tc.urls)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.urls, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v: the error has the password in it", tc.urls)
		}
	}
}

func FuzzParseURLs(f *testing.F) {
	for _, seed := range []string{"redis://a:1,b:2/3?db=1", "sentinel://u:p@m@h1,h2", "unix:///x", "sentinel:///@", "sentinels://@@@", "rediss://[::1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseURLs([]string{text})
		if err == nil && (len(target.addrs) == 0 || slices.Contains(target.addrs, "")) {
			t.Errorf("%q has no address: %s", text, target)
		}
	})
}
