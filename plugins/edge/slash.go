package edge

import (
	"net/url"
	"strings"
)

// SlashRedirect says where a redirect is to lead that adds a slash to the end of the
// path, or takes it away, and does nothing else, as FastAPI and Django send for the other
// form of a URL: to the same host as before, in the form of RFC 9110 section 10.2.2
// without one. An upstream writes the host that it knows itself by, which the client may
// not reach, or reaches past the gateway.
//
// asked is the URL as the client sent it, sent the one that the upstream got. ok is
// false for any other redirect, and for one that names no host.
func SlashRedirect(asked, sent *url.URL, location string) (to string, ok bool) {
	rest, _, _ := strings.Cut(location, "#")
	rest, query, _ := strings.Cut(rest, "?")
	path := rest
	if !doubleSlash(rest) {
		u, err := url.Parse(rest)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", false
		}
		path = u.EscapedPath()
	}
	slash := strings.HasSuffix(path, "/")
	was := sent.EscapedPath()
	if query != sent.RawQuery || slash == strings.HasSuffix(was, "/") || strings.TrimSuffix(path, "/") != strings.TrimSuffix(was, "/") {
		return "", false
	}
	// A path that begins with two slashes would be read as a host.
	to = "/" + strings.TrimLeft(strings.TrimSuffix(asked.EscapedPath(), "/"), `/\`)
	if slash && to != "/" {
		to += "/"
	}
	if asked.RawQuery != "" {
		to += "?" + asked.RawQuery
	}
	return to, true
}

// doubleSlash reports whether browsers read the beginning of a reference as that of a
// host (https://url.spec.whatwg.org/#relative-slash-state).
func doubleSlash(s string) bool {
	return len(s) > 1 && (s[0] == '/' || s[0] == '\\') && (s[1] == '/' || s[1] == '\\')
}
