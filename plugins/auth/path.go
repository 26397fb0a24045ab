package auth

import (
	"net/url"
	"strings"
)

// AmbiguousPath reports whether two servers could read different paths out of a
// URL, so that the one we check is not the one the upstream serves
// (GHSA-p224-6x5r-fjpm, CVE-2021-29492): dot segments in any encoding, with `/`,
// `\` or a path parameter around them, an encoded NUL or control character, or
// an escape of an escape that hides one of these.
func AmbiguousPath(u *url.URL) bool {
	p := u.Path
	for range 3 {
		if ambiguous(p) {
			return true
		}
		// What can't be unescaped is "": no server reads dots out of it either.
		next, _ := url.PathUnescape(p)
		if next == p {
			return false
		}
		p = next
	}
	return false
}

func ambiguous(p string) bool {
	start := 0
	for i := 0; i <= len(p); i++ {
		if i < len(p) {
			if p[i] < ' ' || p[i] == 0x7f {
				return true
			}
			if p[i] != '/' && p[i] != '\\' {
				continue
			}
		}
		segment := p[start:i]
		start = i + 1
		// Servlet containers drop `;parameters` before they resolve dots.
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}
