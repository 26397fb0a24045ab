package proxyhandler

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"golang.org/x/net/http/httpguts"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// siteReasons says which features keep all requests of a site off the fast way.
// Each reason is the name of an option as it stands in a Caddyfile, or a few words.
func siteReasons(h *reverseproxy.Handler, chosenBy policies) []string {
	var reasons []string
	add := func(holds bool, reason string) {
		if holds {
			reasons = append(reasons, reason)
		}
	}
	add(!httpclient.Supported, "this operating system")
	add(h.CB != nil, "circuit_breaker")
	add(h.DynamicUpstreams != nil, "dynamic")
	add(len(h.Upstreams) == 0 && h.DynamicUpstreams == nil, "no upstreams")
	add(h.FlushInterval > 0, "flush_interval above 0")
	add(h.RequestBuffers != 0, "request_buffers")
	add(h.ResponseBuffers != 0, "response_buffers")
	add(h.Rewrite != nil, "rewrite or method")
	add(len(h.HandleResponse) > 0, "handle_response or replace_status")
	add(h.VerboseLogs, "verbose_logs")
	if h.HealthChecks != nil {
		add(h.HealthChecks.Passive != nil, "passive health checks")
	}
	if lb := h.LoadBalancing; lb != nil {
		add(len(chosenBy) == 0, "lb_policy that is not Caddy's")
		add(!counting && chosenBy.any(countingPolicies), "lb_policy that counts requests")
		add(len(lb.RetryMatch) > 0, "lb_retry_match")
	}
	if h.Headers != nil {
		add(changesFraming(h.Headers.Request), "header_up of a field that the client sets itself")
	}
	for _, u := range h.Upstreams {
		if u.MaxRequests > 0 && !counting {
			reasons = append(reasons, "max_requests")
			break
		}
	}
	transport, ok := h.Transport.(*reverseproxy.HTTPTransport)
	if !ok {
		return append(reasons, "transport other than http")
	}
	add(transport.TLS != nil, "tls to the upstream")
	add(transport.ProxyProtocol != "", "proxy_protocol")
	add(transport.ExpectContinueTimeout > 0, "expect_continue_timeout")
	add(transport.KeepAlive.MaxIdleConns > 0, "keepalive_idle_conns")
	for _, version := range transport.Versions {
		add(version != "1.1" && version != "2", "versions "+version)
	}
	return reasons
}

// transportProxies says whether a transport reaches its upstreams by way of a
// forward proxy that the configuration names.
func transportProxies(raw json.RawMessage) []string {
	var transport struct {
		ForwardProxyURL string          `json:"forward_proxy_url"`
		NetworkProxy    json.RawMessage `json:"network_proxy"`
	}
	// Caddy's handler reads it too, and tells of errors.
	if len(raw) == 0 || json.Unmarshal(raw, &transport) != nil {
		return nil
	}
	if transport.ForwardProxyURL != "" || len(transport.NetworkProxy) > 0 {
		return []string{"network_proxy"}
	}
	return nil
}

// changesFraming tells whether header_up may set a field that the client sets
// itself, or that makes of the request another kind of request.
func changesFraming(ops *headers.HeaderOps) bool {
	if ops == nil {
		return false
	}
	sets := func(name string) bool {
		switch http.CanonicalHeaderKey(strings.TrimLeft(name, "+-?>")) {
		case "Connection", "Upgrade", "Transfer-Encoding", "Content-Length", "Trailer", "Te", "Expect", "Keep-Alive", "Proxy-Connection":
			return true
		}
		return strings.Contains(name, "{")
	}
	for name := range ops.Add {
		if sets(name) {
			return true
		}
	}
	for name := range ops.Set {
		if sets(name) {
			return true
		}
	}
	for name := range ops.Replace {
		if sets(name) {
			return true
		}
	}
	return false
}

// Caddy's own selection policies.
var (
	// choosingPolicies only choose. Of one upstream they choose that, if it is available.
	choosingPolicies = []string{"random", "round_robin", "first", "ip_hash", "client_ip_hash", "uri_hash", "least_conn", "random_choose"}
	// countingPolicies do so by the requests in flight.
	countingPolicies = []string{"least_conn", "random_choose"}
	// readingPolicies look at the header as the upstream sees it. One of them sets a
	// cookie too.
	readingPolicies = []string{"header", "cookie"}
	knownPolicies   = slices.Concat(choosingPolicies, readingPolicies, []string{"weighted_round_robin", "query"})
)

// policies are the names of a selection policy and of its fallbacks.
type policies []string

// policiesOf reads the configuration, which provisioning removes. It returns none
// if one of them is not Caddy's.
func policiesOf(lb *reverseproxy.LoadBalancing) policies {
	if lb == nil || len(lb.SelectionPolicyRaw) == 0 {
		return policies{"random"}
	}
	var names policies
	for raw := lb.SelectionPolicyRaw; len(raw) > 0; {
		var policy struct {
			Policy   string          `json:"policy"`
			Fallback json.RawMessage `json:"fallback"`
		}
		if json.Unmarshal(raw, &policy) != nil || !slices.Contains(knownPolicies, policy.Policy) {
			return nil
		}
		names = append(names, policy.Policy)
		raw = policy.Fallback
	}
	return names
}

// any tells whether one of the policies is among those.
func (p policies) any(those []string) bool {
	return slices.ContainsFunc(p, func(name string) bool { return slices.Contains(those, name) })
}

// only tells whether all of the policies are among those.
func (p policies) only(those []string) bool {
	return !slices.ContainsFunc(p, func(name string) bool { return !slices.Contains(those, name) })
}

// requestReason says why a request can't take the fast way of its site, or "".
func requestReason(r *http.Request) string {
	if r.Method == http.MethodConnect {
		return "CONNECT"
	}
	if connection := r.Header["Connection"]; len(connection) > 0 && httpguts.HeaderValuesContainsToken(connection, "Upgrade") {
		return "upgrade"
	}
	if r.Host == "" {
		return "no Host"
	}
	if strings.HasPrefix(r.URL.Opaque, "//") {
		return "URL that is not a path"
	}
	if r.ContentLength < 0 && r.Body != nil && r.Body != http.NoBody {
		// HTTP/2 and HTTP/3 can't always say that there is none; Caddy's handler finds out.
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodTrace, "PROPFIND", "SEARCH":
			return "body of unknown length with " + r.Method
		}
	}
	return ""
}
