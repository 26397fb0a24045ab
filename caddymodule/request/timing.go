package request

import (
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// headerServerTiming is the header of W3C Server Timing, which browsers show
// beside each request.
const headerServerTiming = "Server-Timing"

// timing measures for Server-Timing how long the upstream took to answer, and how long
// the gateway took in addition.
type timing struct {
	begun time.Time
	repl  *caddy.Replacer
	sent  bool
}

// StartTiming begins to measure a request, unless an outer gateway_errors has.
func (x *Exchange) StartTiming(r *http.Request) {
	if x.timing == nil {
		repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		x.timing = &timing{begun: time.Now(), repl: repl}
	}
}

// SetTimingHeader adds the header to a final response, once. The upstream's own value stays.
func (x *Exchange) SetTimingHeader(h http.Header) {
	t := x.timing
	if t == nil || t.sent {
		return
	}
	t.sent = true
	here, there, proxied := time.Since(t.begun), time.Duration(0), false
	if t.repl != nil {
		// reverse_proxy sets it for the attempt that succeeded, when the upstream's
		// header arrives.
		if latency, set := t.repl.Get("http.reverse_proxy.upstream.latency"); set {
			there, proxied = latency.(time.Duration)
		}
	}
	value := "gateway;dur=" + milliseconds(max(0, here-there))
	if proxied {
		value += ", upstream;dur=" + milliseconds(there)
	}
	h[headerServerTiming] = append(h[headerServerTiming], value)
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds()*1e3, 'f', 2, 64)
}
