package edge

import "net/http"

// overrides are headers that give frameworks and servers another path or method than the
// request line, in the spelling of [fold].
var overrides = map[string]bool{
	// Symfony, Zend, IIS URL Rewrite (CVE-2018-14773).
	"xoriginalurl": true, "xoriginaluri": true, "xrewriteurl": true, "xrewriteuri": true, "xoverrideurl": true,
	"xforwardeduri": true, "xforwardedurl": true, "xforwardedpath": true, "xoriginalpath": true, "xrewritepath": true,
	"xrequesturi": true, "xrequesturl": true, "xoriginalmethod": true, "xforwardedmethod": true, "xaccelredirect": true,
	// A proxy's record of a prefix that it removed.
	"xforwardedprefix": true, "xscriptname": true, "scriptname": true, "xenvoyoriginalpath": true, "requesturi": true, "pathinfo": true,
	// CGI makes HTTP_PROXY of it, which HTTP clients of the upstream obey (CVE-2016-5385).
	"proxy": true,
	// Express method-override, Rails, Laravel, ASP.NET, Google's APIs.
	"xhttpmethodoverride": true, "xhttpmethod": true, "xmethodoverride": true, "xmethod": true, "httpmethodoverride": true, "methodoverride": true,
}

// longestOverride is the length of the longest name in overrides.
const longestOverride = len("xhttpmethodoverride")

// StripOverrides removes, in every spelling of case and punctuation, the headers from which
// an upstream would take another path or method than the policies.
func StripOverrides(h http.Header) {
	var buf [longestOverride]byte
	for name := range h {
		if overrides[string(fold(buf[:0], name))] {
			delete(h, name)
		}
	}
}

// fold appends to out the letters and digits of a header's name in lower case, or nothing
// if they do not fit.
func fold(out []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			if len(out) == cap(out) {
				return out[:0]
			}
			out = append(out, c)
		}
	}
	return out
}
