package main

import (
	"bytes"
	"fmt"
	"text/template"
)

// caddyfile is the configuration of a Caddy. The failed-attempts limit is off,
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

{{if .Certificate}}https://127.0.0.1{{else}}http://{{end}}:{{.Port}} {
	bind 127.0.0.1
{{- if .Certificate}}
	tls {{.Certificate}} {{.Certificate}}
{{- end}}
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

// nginxConf is one process with nginx's own defaults, connections to the upstream
// that are kept, and the fields that reverse_proxy adds.
var nginxConf = template.Must(template.New("nginx.conf").Parse(`daemon off;
master_process off;
pid {{.Dir}}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	keepalive_requests 1000000000;
	upstream app {
		server {{.Upstream}};
		keepalive 64;
		keepalive_requests 1000000000;
	}
	server {
		listen 127.0.0.1:{{.Port}}{{if .Certificate}} ssl http2{{end}};
{{- if .Certificate}}
		ssl_certificate {{.Certificate}};
		ssl_certificate_key {{.Certificate}};
{{- end}}
		location / {
			proxy_pass http://app;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $http_host;
		}
	}
}
`))

// haproxyCfg is one thread with HAProxy's own defaults. With policies it verifies
// the token, asks for a role and counts by subject, and says of the caller what
// gateway_auth says in its two most used fields.
var haproxyCfg = template.Must(template.New("haproxy.cfg").Parse(`global
	nbthread 1
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout http-keep-alive 60s
frontend site
	bind 127.0.0.1:{{.Port}}{{if .Certificate}} ssl crt {{.Certificate}} alpn h2,http/1.1{{end}}
	option forwardfor
	http-request set-header X-Forwarded-Proto http{{if .Certificate}}s{{end}}
	http-request set-header X-Forwarded-Host %[req.hdr(Host)]
{{- if .Policies}}
	stick-table type string len 64 size 100k expire 10s store http_req_rate(1s)
	http-request set-var(txn.token) http_auth_bearer
	http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
	http-request set-var(txn.sub) var(txn.token),jwt_payload_query('$.sub')
	http-request set-var(txn.role) var(txn.token),jwt_payload_query('$.role')
	http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
	http-request set-var(txn.now) date()
	http-request deny deny_status 401 unless { var(txn.alg) -m str HS256 }
	http-request deny deny_status 401 unless { var(txn.token),jwt_verify(txn.alg,"{{.Secret}}") 1 }
	http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
	http-request deny deny_status 403 unless { var(txn.role) -m str USER }
	http-request track-sc0 var(txn.sub)
	http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100000 }
	http-request del-header Authorization
	http-request set-header X-User-Id %[var(txn.sub)]
	http-request set-header X-User-Role %[var(txn.role)]
{{- end}}
	default_backend app
backend app
	http-reuse always
	server app {{.Upstream}}
`))

// configData fills in the templates.
type configData struct {
	Dir         string // for what the process writes
	Admin       string // host:port
	Port        string
	Upstream    string // host:port
	Last        string // the directive at the end
	Store       string // file
	Limit       string
	Secret      string
	Certificate string // file with certificate and key; empty: no TLS
	Gateway     bool
	Policies    bool
	Tuned       bool
}

func (d configData) render(from *template.Template) ([]byte, error) {
	var out bytes.Buffer
	if err := from.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("writing %s: %w", from.Name(), err)
	}
	return out.Bytes(), nil
}
