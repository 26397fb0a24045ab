package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// settings of the process under test.
type settings string

const (
	// stock is the program as it comes.
	stock settings = "stock"
	// tuned is Caddy with less garbage collection, and without the logger that its
	// own reverse_proxy makes for each request.
	tuned settings = "tuned"
)

// tunedEnvironment trades memory for fewer garbage collections.
var tunedEnvironment = []string{"GOGC=1000", "GOMEMLIMIT=512MiB"}

// kind tells what a system does with a request.
type kind int

const (
	bare    kind = iota // Caddy's reverse_proxy: the measure of the others
	plain               // no policies either, something else than Caddy's proxy
	allowed             // all policies, the request reaches the upstream
	refused             // all policies, the gateway answers itself
	peer                // another program
)

// credential tells what the callers of a system present.
type credential int

const (
	validToken credential = iota
	forgedToken
	validKey
	noCredential
)

// program is what runs.
type program string

const (
	caddy   program = "" // the binary under test
	nginx   program = "nginx"
	haproxy program = "haproxy"
)

// system is one thing to measure.
type system struct {
	id         string // unique within its workload
	name       string
	program    program
	kind       kind
	credential credential
	limit      string // of gateway_limit; empty: the caller's tier
	status     int    // every answer once the callers are warmed up; 0: 200
	last       string // the directive at the end; empty: reverse_proxy to the upstream
	policies   bool   // of haproxy: token, role and limit
	workload   workload
}

// Directives at the end of a site.
const (
	gatewayProxy = "gateway_proxy"
	// respond is the floor: what Caddy's own server costs.
	respond = "respond 200"
)

// everywhere is measured with each workload. Proxies without policies forward the
// same tokens, so that the bytes on the wire are the same.
var everywhere = []system{
	{id: "reverse_proxy", name: "bare `reverse_proxy`", kind: bare},
	{id: "gateway_proxy", name: "bare `gateway_proxy`", kind: plain, last: gatewayProxy},
	{id: "jwt", name: "all policies, JWT, `gateway_proxy`", kind: allowed, last: gatewayProxy},
	{id: "nginx", name: "nginx, proxy only", kind: peer, program: nginx},
	{id: "haproxy", name: "HAProxy, proxy only", kind: peer, program: haproxy},
}

// onGet is measured with the first workload besides.
var onGet = []system{
	{id: "key", name: "all policies, API key, `gateway_proxy`", kind: allowed, credential: validKey, last: gatewayProxy},
	{id: "jwt-reverse_proxy", name: "all policies, JWT, `reverse_proxy`", kind: allowed},
	{id: "key-reverse_proxy", name: "all policies, API key, `reverse_proxy`", kind: allowed, credential: validKey},
	{id: "429", name: "429, over the limit", kind: refused, limit: "1/1h", status: 429, last: gatewayProxy},
	{id: "forged", name: "401, forged token", kind: refused, credential: forgedToken, status: 401, last: gatewayProxy},
	{id: "missing", name: "401, no credential", kind: refused, credential: noCredential, status: 401, last: gatewayProxy},
	{id: "respond", name: "bare `respond 200`, the floor", kind: plain, last: respond},
	{id: "haproxy-jwt", name: "HAProxy, JWT, role and limit", kind: peer, program: haproxy, policies: true},
}

// allSystems returns them workload by workload, the measure of the others first.
func allSystems() []system {
	var all []system
	for i, w := range workloads {
		list := everywhere
		if i == 0 {
			list = slices.Concat(everywhere, onGet)
		}
		for _, s := range list {
			s.workload = w
			if s.status == 0 {
				s.status = 200
			}
			all = append(all, s)
		}
	}
	return all
}

// row is the system's name on the command line.
func (s system) row() string { return s.workload.id + "/" + s.id }

// choose returns the systems whose rows match one of the patterns (as path.Match
// has them), and the bare reverse_proxy of their workloads. No pattern: all.
func choose(all []system, patterns []string) ([]system, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	chosen := map[string]bool{}
	for _, pattern := range patterns {
		found := false
		for _, s := range all {
			matches, err := path.Match(pattern, s.row())
			if err != nil {
				return nil, fmt.Errorf("rows: %q: %w", pattern, err)
			}
			if matches {
				found = true
				chosen[s.row()], chosen[s.workload.id+"/"+everywhere[0].id] = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("rows: nothing is called %q; there are %s", pattern, rowNames(all))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s system) bool { return !chosen[s.row()] }), nil
}

func rowNames(all []system) string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.row()
	}
	return strings.Join(names, " ")
}

// needs returns the programs that a system needs and this machine may lack.
func (s system) needs() []string {
	var needed []string
	if s.program != caddy {
		needed = append(needed, string(s.program))
	}
	if s.workload.http2 {
		needed = append(needed, "h2load")
	}
	return needed
}
