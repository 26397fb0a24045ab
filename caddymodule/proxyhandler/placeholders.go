package proxyhandler

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/plugins/httpclient"
)

const (
	wayKey    = "http.gateway.proxy.way"
	reasonKey = "http.gateway.proxy.reason"

	proxyPrefix  = "http.reverse_proxy."
	headerPrefix = "http.reverse_proxy.header."
)

// exchangeVar is the name of the request's variable that holds its record.
const exchangeVar = "gateway_proxy"

// caddyVar is a variable that Caddy's handler sets with each request: its
// placeholders are there then.
const caddyVar = "reverse_proxy.proxy_protocol_info"

// record is what placeholders tell of a request on the fast way. Caddy's handler
// sets each of them as it comes to know it; most are never asked for, so the
// record answers when one is.
type record struct {
	upstream *upstream // nil before one was chosen
	requests int       // to the upstream, when it was chosen
	fails    int
	retries  int

	status   int // 0 before the response's header came
	reason   string
	raw      string
	latency  time.Duration
	duration time.Duration // of the upstream; 0 before the response's end
	total    time.Duration // 0 before the end
}

// String is what {http.vars.gateway_proxy} shows.
func (*record) String() string { return "fast" }

// begin returns the record of a request: own, or the one of an earlier proxy.
// published is true if the placeholders must be set instead, because Caddy's handler
// has set them before: what is set is found first.
func begin(vars map[string]any, repl *caddy.Replacer, own *record) (rec *record, published bool) {
	_, published = vars[caddyVar]
	if known, ok := vars[exchangeVar].(*record); ok {
		*known = record{}
		return known, published
	}
	vars[exchangeVar] = own
	repl.Map(own.lookup)
	return own, published
}

// publish sets what the record knows.
func (rec *record) publish(repl *caddy.Replacer) {
	for _, key := range []string{
		wayKey, reasonKey,
		proxyPrefix + "upstream.address", proxyPrefix + "upstream.hostport", proxyPrefix + "upstream.host", proxyPrefix + "upstream.port",
		proxyPrefix + "upstream.requests", proxyPrefix + "upstream.max_requests", proxyPrefix + "upstream.fails",
		proxyPrefix + "upstream.latency", proxyPrefix + "upstream.latency_ms", proxyPrefix + "upstream.duration", proxyPrefix + "upstream.duration_ms",
		proxyPrefix + "duration", proxyPrefix + "duration_ms", proxyPrefix + "retries",
		proxyPrefix + "status_code", proxyPrefix + "status_text",
	} {
		if value, ok := rec.lookup(key); ok {
			repl.Set(key, value)
		}
	}
	if rec.status == 0 {
		return
	}
	repl.DeleteByPrefix(headerPrefix)
	values := map[string]string{}
	httpclient.ParseFields(rec.raw, func(f httpclient.Field) bool {
		name := canonical(f.Name)
		if before, ok := values[name]; ok {
			f.Value = before + "," + f.Value
		}
		values[name] = f.Value
		return true
	})
	for name, value := range values {
		repl.Set(headerPrefix+name, value)
	}
}

func (rec *record) lookup(key string) (any, bool) {
	rest, ours := strings.CutPrefix(key, proxyPrefix)
	if !ours {
		switch key {
		case wayKey:
			return "fast", true
		case reasonKey:
			return "", true
		}
		return nil, false
	}
	switch rest {
	case "duration":
		return rec.total, rec.total > 0
	case "duration_ms":
		return milliseconds(rec.total), rec.total > 0
	case "retries":
		return rec.retries, rec.total > 0
	}
	if after, ok := strings.CutPrefix(rest, "upstream."); ok {
		return rec.lookupUpstream(after)
	}
	if rec.status == 0 {
		return nil, false
	}
	switch rest {
	case "status_code":
		return rec.status, true
	case "status_text":
		return statusText(rec.status, rec.reason), true
	}
	if name, ok := strings.CutPrefix(rest, "header."); ok {
		return rec.lookupHeader(name)
	}
	return nil, false
}

func (rec *record) lookupUpstream(key string) (any, bool) {
	if rec.upstream == nil {
		return nil, false
	}
	switch key {
	case "address":
		return rec.upstream.address, true
	case "hostport":
		return rec.upstream.info.Address, true
	case "host":
		return rec.upstream.info.Host, true
	case "port":
		return rec.upstream.info.Port, true
	case "requests":
		return rec.requests, true
	case "max_requests":
		return rec.upstream.MaxRequests, true
	case "fails":
		return rec.fails, true
	case "latency":
		return rec.latency, rec.status != 0
	case "latency_ms":
		return milliseconds(rec.latency), rec.status != 0
	case "duration":
		return rec.duration, rec.duration > 0
	case "duration_ms":
		return milliseconds(rec.duration), rec.duration > 0
	}
	return nil, false
}

// lookupHeader reads the response's header once more: nearly nobody asks.
func (rec *record) lookupHeader(name string) (any, bool) {
	var values []string
	httpclient.ParseFields(rec.raw, func(f httpclient.Field) bool {
		if canonical(f.Name) == name {
			values = append(values, f.Value)
		}
		return true
	})
	return strings.Join(values, ","), len(values) > 0
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }
