package main

import (
	"bytes"
	"fmt"
	"text/template"
)

// settings of the process under test.
type settings string

const (
	// stock is Caddy as it comes.
	stock settings = "stock"
	// tuned is what Caddyfile.example and the README recommend.
	tuned settings = "tuned"
)

// tunedEnvironment trades memory for fewer garbage collections.
var tunedEnvironment = []string{"GOGC=1000", "GOMEMLIMIT=512MiB"}

// kind tells what a system does with a request.
type kind int

const (
	bare    kind = iota // bare Caddy: the measure of the others
	plain               // no policies either, something else than bare Caddy's proxy
	allowed             // all policies, the request reaches the upstream
	refused             // all policies, the gateway answers itself
)

// credential tells what the callers of a system present.
type credential int

const (
	validToken credential = iota
	forgedToken
	validKey
	noCredential
)

// system is one thing to measure.
type system struct {
	name       string
	kind       kind
	credential credential
	limit      string // of gateway_limit; empty: the caller's tier
	status     int    // every answer once the callers are warmed up
	last       string // the directive at the end; empty: reverse_proxy to the upstream
}

// Directives at the end of a site.
const (
	gatewayProxy = "gateway_proxy"
	// respond is the floor: what Caddy's own server costs.
	respond = "respond 200"
)

// systems in the order in which they take turns. Bare Caddy forwards the same
// tokens, so that the bytes on the wire are the same.
var systems = []system{
	{name: "bare reverse_proxy", kind: bare, credential: validToken, status: 200},
	{name: "bare gateway_proxy", kind: plain, credential: validToken, status: 200, last: gatewayProxy},
	{name: "bare respond, the floor", kind: plain, credential: validToken, status: 200, last: respond},
	{name: "JWT, allowed, gateway_proxy", kind: allowed, credential: validToken, status: 200, last: gatewayProxy},
	{name: "API key, allowed, gateway_proxy", kind: allowed, credential: validKey, status: 200, last: gatewayProxy},
	{name: "JWT, allowed", kind: allowed, credential: validToken, status: 200},
	{name: "API key, allowed", kind: allowed, credential: validKey, status: 200},
	{name: "429, over the limit", kind: refused, credential: validToken, limit: "1/1h", status: 429},
	{name: "401, forged token", kind: refused, credential: forgedToken, status: 401},
	{name: "401, no credential", kind: refused, credential: noCredential, status: 401},
}

// caddyfile is the configuration of a system. The failed-attempts limit is off,
// else it would answer 429 where a 401 is to be measured; no limit of the tier
// comes into play for the callers that are to be allowed.
var caddyfile = template.Must(template.New("Caddyfile").Parse(`{
	admin {{.Admin}}
	persist_config off
	auto_https off
{{- if .Tuned}}
	log default {
		exclude http.handlers.reverse_proxy
	}
{{- end}}
{{- if .Gateway}}
	gateway {
		store sqlite {{.Store}}
		tier bench 100000/1s
		issuer bench {
			secret {env.PORTCULLIS_JWT_SECRET}
			algorithms HS256
		}
	}
{{- end}}
}

http://:{{.Port}} {
	bind 127.0.0.1
{{- if .Gateway}}
	gateway_errors
	gateway_auth {
		failures off
	}
	gateway_roles USER
{{- if .Limit}}
	gateway_limit {
		limit {{.Limit}}
	}
{{- else}}
	gateway_limit
{{- end}}
{{- end}}
	{{.Last}}
}
`))

// caddyfileData fills in caddyfile.
type caddyfileData struct {
	Admin   string // host:port
	Port    string
	Last    string // the directive at the end
	Store   string // file
	Limit   string
	Gateway bool
	Tuned   bool
}

func (d caddyfileData) render() ([]byte, error) {
	var out bytes.Buffer
	if err := caddyfile.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("writing a Caddyfile: %w", err)
	}
	return out.Bytes(), nil
}
