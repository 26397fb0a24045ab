package proxyhandler

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// fastWay proxies the plain requests of one site.
type fastWay struct {
	ctx     caddy.Context
	logger  *zap.Logger
	handler *reverseproxy.Handler

	upstreams   []*upstream // in the order of the handler's
	trusted     []netip.Prefix
	compress    bool // ask the upstream for gzip if the client does not say
	noReuse     bool // one request per connection
	wholePolicy bool // the selection policy looks at the request as the upstream sees it
	single      bool // there is one upstream, and the selection policy does no more than to choose
}

func (f *fastWay) close() {
	for _, u := range f.upstreams {
		u.pool.Close()
	}
}

// errNoUpstream has the text of Caddy's.
var errNoUpstream = errors.New("no upstreams available")

// serve is Caddy's ServeHTTP and its loop of tries.
func (f *fastWay) serve(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	t := &try{
		fastWay: f, w: w, r: r,
		repl: ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer), //nolint:forcetypeassert // Caddy's server sets both
		vars: ctx.Value(caddyhttp.VarsCtxKey).(map[string]any),  //nolint:forcetypeassert // Caddy's server sets both
	}
	start := time.Now()
	t.rec, t.published = begin(t.vars, t.repl, &t.own)
	// Also when a response is cut short, which panics.
	defer t.end(start)
	return f.tries(t, start)
}

// end completes the record.
func (t *try) end(start time.Time) {
	t.rec.total = max(time.Since(start), 1)
	if t.published {
		t.rec.publish(t.repl)
	}
}

// tries returns the error of the last try as Caddy's handler does.
func (f *fastWay) tries(t *try, start time.Time) error {
	seen := t.r // what the selection policy sees
	if f.wholePolicy || unusualConnection(t.r.Header) || f.handler.Headers != nil && f.handler.Headers.Request != nil {
		t.prepared = f.prepare(t.r, t.vars)
		seen = t.prepared
	}
	var err error
	for {
		if chosen := f.choose(seen, t.w); chosen == nil {
			if err == nil {
				err = caddyhttp.Error(http.StatusServiceUnavailable, errNoUpstream)
			}
		} else {
			err = t.run(chosen)
			if err == nil {
				return nil
			}
			if errors.Is(err, context.Canceled) {
				// The client has gone: neither our failure nor the upstream's.
				t.w.WriteHeader(statusClientClosed)
				return nil
			}
		}
		if !f.tryAgain(t, start, err) {
			return statusError(err)
		}
		t.rec.retries++
	}
}

// choose asks the selection policy.
func (f *fastWay) choose(r *http.Request, w http.ResponseWriter) *upstream {
	if f.single {
		if u := f.upstreams[0]; u.Available() {
			return u
		}
		return nil
	}
	chosen := f.handler.LoadBalancing.SelectionPolicy.Select(f.handler.Upstreams, r, w)
	for _, u := range f.upstreams {
		if u.Upstream == chosen {
			return u
		}
	}
	return nil
}

// tryAgain tells whether another try may be made, and waits until then. It is
// LoadBalancing.tryAgain of Caddy without lb_retry_match, with which a site does
// not take the fast way. One thing more keeps it from a second try: a body of which
// a part was read.
func (f *fastWay) tryAgain(t *try, start time.Time, err error) bool {
	lb := f.handler.LoadBalancing
	if lb.TryDuration == 0 && lb.Retries == 0 ||
		lb.TryDuration > 0 && time.Since(start) >= time.Duration(lb.TryDuration) ||
		lb.Retries > 0 && t.rec.retries >= lb.Retries {
		return false
	}
	var dialing reverseproxy.DialError
	if !errors.As(err, &dialing) && !errors.Is(err, errNoUpstream) && t.r.Method != http.MethodGet || t.bodyRead {
		return false
	}
	if lb.TryInterval == 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(lb.TryInterval))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

const statusClientClosed = 499

// statusError gives an error its status, as Caddy's function of this name does.
func statusError(err error) error {
	status := http.StatusBadGateway
	//nolint:errorlint // Caddy asks the outermost error only: a timeout of the dialer is a 502
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	if errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "operation was canceled") {
		status = statusClientClosed
	}
	return caddyhttp.Error(status, err)
}

// try is a request on its way to one upstream after another.
type try struct {
	*fastWay

	w         http.ResponseWriter
	r         *http.Request
	repl      *caddy.Replacer
	vars      map[string]any
	prepared  *http.Request // the request as the upstream sees it, if it was made
	rec       *record
	own       record // rec, unless an earlier proxy of the request has left one
	published bool
	bodyRead  bool
	gzip      bool // asked for on our own account
	upstream  *upstream
	x         *httpclient.Exchange
}

// run sends the request to the upstream and the response to the client. An error
// means that nothing was written to the client.
func (t *try) run(u *upstream) error {
	rec := t.rec
	t.upstream = u
	*rec = record{upstream: u, requests: int(u.requests.Load()), fails: u.Fails(), retries: rec.retries}
	if t.published {
		rec.publish(t.repl)
	}
	u.requests.Add(1)
	defer u.requests.Add(-1)
	t.x = httpclient.NewExchange()
	// Also when the copying panics, as it does to cut a response short.
	defer t.x.Free()

	if t.prepared == nil {
		t.writeRequest()
	} else {
		t.writePrepared()
	}
	start := time.Now()
	err := t.x.Do(t.r.Context(), u.pool, t)
	rec.latency = time.Since(start)
	t.debug(err)
	if err != nil {
		t.bodyRead = t.x.BodyRead()
		return err
	}
	rec.status, rec.reason, rec.raw = t.x.Status, t.x.Reason, t.x.Raw
	if t.published {
		rec.publish(t.repl)
	}
	t.respond()
	rec.duration = max(time.Since(start), 1)
	return nil
}

// debug writes the line that Caddy's handler writes for each round trip.
func (t *try) debug(err error) {
	entry := t.logger.Check(zapcore.DebugLevel, "upstream roundtrip")
	if entry == nil {
		return
	}
	server, _ := t.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	credentials := server != nil && server.Logs != nil && server.Logs.ShouldLogCredentials
	fields := []zap.Field{
		zap.String("upstream", t.upstream.Dial),
		zap.Duration("duration", t.rec.latency),
		zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: t.r, ShouldLogCredentials: credentials}),
	}
	if err != nil {
		entry.Write(append(fields, zap.Error(err))...)
		return
	}
	entry.Write(append(fields,
		zap.Object("headers", caddyhttp.LoggableHTTPHeader{Header: t.header(), ShouldLogCredentials: credentials}),
		zap.Int("status", t.x.Status))...)
}
