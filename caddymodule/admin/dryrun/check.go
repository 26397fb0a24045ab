// Package dryrun says what would become of a request, by the real routes, matchers and
// handlers of the running configuration, and does none of it.
package dryrun

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"
)

// Check says what would become of the request that the input describes, by the
// running configuration.
func Check(ctx context.Context, app *gateway.App, in *adminapi.CheckInput) (*adminapi.CheckResult, error) {
	loaded, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil, gateway.ErrNotRunning
	}
	served, ok := loaded.(*caddyhttp.App)
	if !ok {
		return nil, gateway.ErrNotRunning
	}
	made, dry, err := describedRequest(ctx, in, app, served)
	if err != nil {
		return nil, err
	}
	return dry.check(made)
}

// describedRequest makes the request that the input describes, and the dry run of the
// server that it leads to.
func describedRequest(ctx context.Context, in *adminapi.CheckInput, gateway *gateway.App, app *caddyhttp.App) (*http.Request, *dryRun, error) {
	method := cmp.Or(in.Method, http.MethodGet)
	if !httpguts.ValidHeaderFieldName(method) {
		return nil, nil, plugins.Invalid("method", "is not the name of a method")
	}
	parsed, err := url.ParseRequestURI(in.URL)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || !httpguts.ValidHostHeader(parsed.Host) {
		return nil, nil, plugins.Invalid("url", "write a whole URL, like https://api.example.com/v1/items")
	}
	port := cmp.Or(parsed.Port(), defaultPort(app, parsed.Scheme))
	server, err := serverFor(app, parsed.Hostname(), port)
	if err != nil {
		return nil, nil, err
	}
	dry := &dryRun{server: server}
	header, err := describedHeader(in)
	if err != nil {
		return nil, nil, err
	}
	if in.As != nil {
		if dry.Caller, err = describedCaller(in.As, gateway); err != nil {
			return nil, nil, err
		}
	}
	from := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if in.IP != "" {
		if from, err = netip.ParseAddr(in.IP); err != nil {
			return nil, nil, plugins.Invalid("ip", "is not an address, like 192.0.2.7 or 2001:db8::7")
		}
	}
	// As a server reads it: the URL is the path and the query, the rest is Host.
	target := &url.URL{Path: cmp.Or(parsed.Path, "/"), RawPath: parsed.RawPath, RawQuery: parsed.RawQuery, ForceQuery: parsed.ForceQuery}
	made := &http.Request{
		Method: method, URL: target, Host: parsed.Host, RequestURI: target.RequestURI(), Header: header, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RemoteAddr: net.JoinHostPort(from.String(), "1"),
	}
	if parsed.Scheme == "https" {
		made.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, ServerName: parsed.Hostname()}
	}
	return made.WithContext(ctx), dry, nil
}

func defaultPort(app *caddyhttp.App, scheme string) string {
	if scheme == "https" {
		return strconv.Itoa(cmp.Or(app.HTTPSPort, 443))
	}
	return strconv.Itoa(cmp.Or(app.HTTPPort, 80))
}

// describedHeader is the header of the request, with the credential.
func describedHeader(in *adminapi.CheckInput) (http.Header, error) {
	h := http.Header{}
	for _, line := range in.Headers {
		if !httpguts.ValidHeaderFieldName(line.Name) || !httpguts.ValidHeaderFieldValue(line.Value) {
			return nil, plugins.Invalid("headers", "a name or value that no request can have")
		}
		if strings.EqualFold(line.Name, "Host") {
			return nil, plugins.Invalid("headers", "Host is that of the URL")
		}
		h.Add(line.Name, strings.TrimSpace(line.Value))
	}
	given := 0
	for _, is := range []bool{in.Key != "", in.Token != "", in.As != nil} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, plugins.Invalid("key", "give one of key, token and as")
	case in.Key != "":
		h.Add("Authorization", "Bearer "+in.Key)
	case in.Token != "":
		h.Add("Authorization", "Bearer "+in.Token)
	}
	if !httpguts.ValidHeaderFieldValue(in.Key) || !httpguts.ValidHeaderFieldValue(in.Token) {
		return nil, plugins.Invalid("key", "no header can carry it")
	}
	return h, nil
}

// describedCaller makes the caller that is described.
func describedCaller(d *adminapi.DescribedUser, app *gateway.App) (*plugins.Principal, error) {
	p := &plugins.Principal{
		Owner: d.Owner, Subject: d.Subject, Roles: d.Roles, Tier: d.Tier, Scopes: d.Scopes,
		Scheme: d.Scheme, Issuer: d.Issuer, KeyID: d.KeyID,
	}
	p.Owner, p.Subject = cmp.Or(p.Owner, p.Subject), cmp.Or(p.Subject, p.Owner)
	if p.Owner == "" {
		return nil, plugins.Invalid("as", "needs an owner, like owner=u1")
	}
	if len(p.Roles) == 0 && app.DefaultRole != "" {
		p.Roles = []string{app.DefaultRole}
	}
	for _, role := range p.Roles {
		if !app.Hierarchy().Knows(role) {
			return nil, plugins.Invalid("as", app.CheckRight("role", role))
		}
	}
	if p.Tier != "" && app.Tier(p.Tier) == nil {
		return nil, plugins.Invalid("as", app.CheckRight("tier", p.Tier))
	}
	switch p.Scheme {
	case "":
		p.Scheme = plugins.SchemeAPIKey
		if p.Issuer != "" {
			p.Scheme = plugins.SchemeBearer
		}
	case plugins.SchemeAPIKey, plugins.SchemeBearer:
	default:
		return nil, plugins.Invalid("as", "unknown scheme "+decision.Clip(p.Scheme, 40)+": use api_key or bearer")
	}
	p.Credential = cmp.Or(p.KeyID, "described "+p.Subject)
	for _, text := range []string{p.Owner, p.Subject, p.Issuer, p.KeyID, strings.Join(p.Scopes, " ")} {
		if err := plugins.CheckText("as", text, 0, 4096); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// errDryRunPanicked is a panic of a handler that the dry run called.
var errDryRunPanicked = errors.New("a handler of the configuration panicked")

// check walks the routes and says what became of the request.
func (d *dryRun) check(made *http.Request) (answer *adminapi.CheckResult, err error) {
	w := &dryWriter{header: http.Header{}}
	repl := caddy.NewReplacer()
	r := caddyhttp.PrepareRequest(made, repl, w, d.server)
	x := request.StartDryRun(r, &d.DryRun)
	defer func() {
		if v := recover(); v != nil {
			answer, err = nil, fmt.Errorf("%w: %v", errDryRunPanicked, v)
		}
	}()
	failure := d.serve(w, r)

	x.EnsureRequestID(r)
	if x.LastRecord == nil || x.LastRecord.Outcome == decision.Shadow {
		shadowed := x.Shadowed()
		x.Record(nil, r, w.status, func(rec *decision.Record) {
			switch {
			case failure != nil:
				x.RecordCause(rec, failure)
			case d.stopped == "":
				rec.Outcome = decision.Unrouted
			case !shadowed:
				rec.Outcome = decision.Passed
			}
		})
	}
	answer = &adminapi.CheckResult{Status: w.status, Upstreams: d.upstreams, Limits: x.LastRecord.Limits, Decision: x.LastRecord}
	if d.stopped != "" {
		answer.PassedTo = &d.stopped
		if !d.answered {
			answer.Status, x.LastRecord.Status = 0, 0
		}
	}
	if answer.Upstreams == nil {
		answer.Upstreams = []string{}
	}
	if answer.Limits == nil {
		answer.Limits = []decision.LimitRow{}
	}
	answer.Allowed = x.LastRecord.Outcome != decision.Refused && x.LastRecord.Outcome != decision.Undecided
	return answer, nil
}

// dryWriter is the client of a dry run. What is written to it is not kept.
type dryWriter struct {
	header http.Header
	status int
}

func (w *dryWriter) Header() http.Header { return w.header }

func (w *dryWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *dryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

// Interface guards.
var _ http.ResponseWriter = (*dryWriter)(nil)
