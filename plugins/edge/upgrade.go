package edge

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Upgrades are the protocols to which a connection may be upgraded, in lower case. Nil is
// `websocket` alone.
type Upgrades []string

// defaultUpgrades are the upgrades that APIs commonly need.
var defaultUpgrades = Upgrades{"websocket"}

// Strip removes an upgrade that is not allowed, with its headers. The request continues
// without it, as in RFC 9110 section 7.8. After an upgrade the gateway sees bytes instead
// of requests: over h2c, a client could send requests that no policy reads.
func (us Upgrades) Strip(r *http.Request) {
	lines := r.Header["Upgrade"]
	if len(lines) == 0 && len(r.Header["Http2-Settings"]) == 0 {
		return
	}
	if us.passes(r, lines) {
		return
	}
	delete(r.Header, "Upgrade")
	delete(r.Header, "Http2-Settings")
	dropTokens(r.Header, "upgrade", "http2-settings")
}

// passes reports whether the request names exactly one protocol, and it is allowed. The
// method of a WebSocket request is GET (RFC 6455 section 4.1).
func (us Upgrades) passes(r *http.Request, lines []string) bool {
	if us == nil {
		us = defaultUpgrades
	}
	if len(lines) != 1 || len(r.Header["Http2-Settings"]) != 0 || !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") {
		return false
	}
	asked := strings.ToLower(strings.TrimSpace(lines[0]))
	return slices.Contains(us, asked) && (asked != "websocket" || r.Method == http.MethodGet)
}

// dropTokens removes tokens, in lower case, from Connection.
func dropTokens(h http.Header, drop ...string) {
	var kept []string
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			token = strings.TrimSpace(token)
			keep := token != ""
			for _, d := range drop {
				keep = keep && !strings.EqualFold(token, d)
			}
			if keep {
				kept = append(kept, token)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(kept, ", ")}
}
