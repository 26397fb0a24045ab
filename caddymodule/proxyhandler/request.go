package proxyhandler

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"
)

// hopByHop tells of the fields that Caddy's handler forwards in neither direction.
func hopByHop(name string) bool {
	switch name {
	case "Alt-Svc", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// unusualConnection tells whether the header's Connection names fields to remove.
func unusualConnection(header http.Header) bool {
	for _, value := range header["Connection"] {
		if !usualConnection(value) {
			return true
		}
	}
	return false
}

func usualConnection(value string) bool {
	return value == "" || strings.EqualFold(value, "keep-alive") || strings.EqualFold(value, "close")
}

// forwarded is what is said of the client to the upstream.
type forwarded struct {
	client, proto, host string
	remove              bool // all three fields: nothing can be said
	trusted             bool // what came with the request is kept
}

// forward is Caddy's addForwardedHeaders up to where it changes the header.
func (f *fastWay) forward(r *http.Request, vars map[string]any) forwarded {
	trusted, _ := vars[caddyhttp.TrustedProxyVarKey].(bool)
	out := forwarded{proto: "https", host: r.Host}
	if r.TLS == nil {
		out.proto = "http"
	}
	if r.RemoteAddr == "@" { // a Unix socket
		out.trusted, out.remove = trusted, !trusted
		return out
	}
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		out.remove = true
		return out
	}
	out.client, _, _ = strings.Cut(client, "%")
	if len(f.trusted) > 0 {
		if address, err := netip.ParseAddr(out.client); err == nil {
			for _, prefix := range f.trusted {
				trusted = trusted || prefix.Contains(address)
			}
		}
	}
	out.trusted = trusted
	return out
}

// values are those of the three fields, given what the request had. An empty one
// is not sent.
func (out forwarded) values(header http.Header) (client, proto, host string) {
	before, present := header["X-Forwarded-For"]
	switch {
	case present && before == nil: // an earlier handler wants it left out
	case out.trusted && strings.Join(before, ", ") != "":
		client = strings.Join(before, ", ")
		if out.client != "" {
			client += ", " + out.client
		}
	case out.client != "":
		client = out.client
	case len(before) > 0:
		client = strings.Join(before, ", ")
	}
	return client, out.last(header, "X-Forwarded-Proto", out.proto), out.last(header, "X-Forwarded-Host", out.host)
}

func (out forwarded) last(header http.Header, name, own string) string {
	before, present := header[name]
	if present && before == nil {
		return ""
	}
	if out.trusted && len(before) > 0 && before[len(before)-1] != "" {
		return before[len(before)-1]
	}
	return own
}

// via is this proxy's entry, made once for the versions that there are.
func via(major, minor int) string {
	switch {
	case major == 1 && minor == 1:
		return "1.1 Caddy"
	case major == 2 && minor == 0:
		return "2.0 Caddy"
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor) + " Caddy"
}

// writeRequest puts the client's request into the exchange. It says what prepare
// and writePrepared say of it, without a copy of the header in between.
func (t *try) writeRequest() {
	r, x := t.r, t.x
	x.Start(r.Method, r.URL.RequestURI(), r.Host)
	encoding, ranged := false, false
	for name, values := range r.Header {
		switch name {
		case "Alt-Svc", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
			"Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Host",
			"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host":
			continue
		case "Te":
			if httpguts.HeaderValuesContainsToken(values, "trailers") {
				x.Field("Te", "trailers")
			}
			continue
		case "User-Agent":
			if len(values) > 0 && values[0] != "" {
				x.Field(name, values[0])
			}
			continue
		case "Accept-Encoding":
			encoding = len(values) > 0 && values[0] != ""
		case "Range":
			ranged = len(values) > 0 && values[0] != ""
		case "Early-Data":
			if r.TLS != nil && !r.TLS.HandshakeComplete {
				continue
			}
		}
		for _, value := range values {
			x.Field(name, value)
		}
	}
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		x.Field("Early-Data", "1")
	}
	out := t.forward(r, t.vars)
	if !out.remove {
		client, proto, host := out.values(r.Header)
		if client != "" {
			x.Field("X-Forwarded-For", client)
		}
		if proto != "" {
			x.Field("X-Forwarded-Proto", proto)
		}
		if host != "" {
			x.Field("X-Forwarded-Host", host)
		}
	}
	x.Field("Via", via(r.ProtoMajor, r.ProtoMinor))
	t.writeEnd(r.Method, encoding, ranged)
}

// writeEnd adds what the client itself has to say, and the body.
func (t *try) writeEnd(method string, encoding, ranged bool) {
	r, x := t.r, t.x
	if t.gzip = t.compress && !encoding && !ranged && method != http.MethodHead; t.gzip {
		x.Field("Accept-Encoding", "gzip")
	}
	if t.noReuse {
		x.Field("Connection", "close")
	}
	hasBody := r.Body != nil && r.Body != http.NoBody
	switch {
	case len(r.Trailer) > 0 && r.Body != nil, hasBody && r.ContentLength < 0:
		x.Body(r.Body, -1, r.Trailer, func() http.Header { return r.Trailer })
	case hasBody && r.ContentLength > 0:
		x.Body(r.Body, r.ContentLength, nil, nil)
	case method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch:
		x.Body(nil, 0, nil, nil)
	}
}

// prepare makes the request that the upstream is to see, step by step as Caddy's
// prepareRequest does. The rarer requests come here: those with header_up, with a
// policy that looks at the header, or whose Connection names fields to remove.
func (f *fastWay) prepare(r *http.Request, vars map[string]any) *http.Request {
	out := new(http.Request)
	*out = *r
	url := *r.URL
	url.Scheme, url.Host = "", ""
	out.URL = &url
	out.Header = r.Header.Clone()
	header := out.Header
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		header["Early-Data"] = []string{"1"}
	}
	for _, list := range r.Header["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				header.Del(name)
			}
		}
	}
	trailers := httpguts.HeaderValuesContainsToken(header["Te"], "trailers")
	for name := range header {
		if hopByHop(name) {
			delete(header, name)
		}
	}
	if trailers {
		header["Te"] = []string{"trailers"}
	}
	said := f.forward(r, vars)
	if said.remove {
		delete(header, "X-Forwarded-For")
		delete(header, "X-Forwarded-Proto")
		delete(header, "X-Forwarded-Host")
	} else {
		client, proto, host := said.values(header)
		set := func(name, value string) {
			if values, present := header[name]; value != "" && !(present && values == nil) {
				header[name] = []string{value}
			}
		}
		set("X-Forwarded-For", client)
		set("X-Forwarded-Proto", proto)
		set("X-Forwarded-Host", host)
	}
	header["Via"] = append(header["Via"], via(r.ProtoMajor, r.ProtoMinor))
	return out
}

// writePrepared puts a prepared request into the exchange, after header_up.
func (t *try) writePrepared() {
	out := t.prepared
	if ops := t.handler.Headers; ops != nil && ops.Request != nil {
		// A copy for each try: placeholders may tell of the upstream.
		changed := new(http.Request)
		*changed = *out
		changed.Header = make(http.Header, len(out.Header))
		for name, values := range out.Header {
			changed.Header[name] = append([]string(nil), values...)
		}
		ops.Request.ApplyToRequest(changed)
		out = changed
	}
	x := t.x
	x.Start(out.Method, out.URL.RequestURI(), out.Host)
	for name, values := range out.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue
		case "User-Agent":
			values = values[:min(1, len(values))]
			if len(values) == 0 || values[0] == "" {
				continue
			}
		}
		for _, value := range values {
			x.Field(name, value)
		}
	}
	t.writeEnd(out.Method, out.Header.Get("Accept-Encoding") != "", out.Header.Get("Range") != "")
}

// Informational passes a 1xx response on.
func (t *try) Informational() {
	header := t.w.Header()
	own := header.Clone()
	for name, values := range t.header() {
		if !hopByHop(name) {
			header[name] = append(header[name], values...)
		}
	}
	t.w.WriteHeader(t.x.Status)
	clear(header)
	maps.Copy(header, own)
}
