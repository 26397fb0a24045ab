package proxyhandler

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// upstream is one of Caddy's upstreams with connections of our own to it.
type upstream struct {
	*reverseproxy.Upstream

	info     reverseproxy.DialInfo
	address  string // as Caddy's placeholder has it
	pool     *httpclient.Pool
	requests *atomic.Int64 // in flight, as Caddy counts them; never nil
}

// newUpstream makes the pool of an upstream, or says why there can be none.
func newUpstream(configured *reverseproxy.Upstream, transport *reverseproxy.HTTPTransport, noReuse bool) (*upstream, string) {
	if strings.ContainsAny(configured.Dial, "{}") {
		return nil, "placeholder in an upstream"
	}
	address, err := caddy.ParseNetworkAddress(configured.Dial)
	if err != nil || address.PortRangeSize() != 1 {
		// Caddy's handler tells of it with each request.
		return nil, "upstream that is not one address"
	}
	read := time.Duration(transport.ReadTimeout)
	switch address.Network {
	case "tcp", "tcp4", "tcp6":
		target := &url.URL{Scheme: "http", Host: address.JoinHostPort(0)}
		if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: target}); proxy != nil || err != nil {
			return nil, "proxy in the environment"
		}
	case "unix":
		read = 0 // as Caddy has it: timeouts are for TCP only
	default:
		return nil, "network " + address.Network
	}
	u := &upstream{Upstream: configured, info: reverseproxy.DialInfo{
		Upstream: configured,
		Network:  address.Network, Address: address.JoinHostPort(0),
		Host: address.Host, Port: strconv.Itoa(int(address.StartPort)),
	}}
	u.address = u.info.String()
	if u.requests = requestCount(configured.Host); u.requests == nil {
		u.requests = new(atomic.Int64)
	}
	idle := transport.KeepAlive.MaxIdleConnsPerHost
	if noReuse {
		idle = 0
	}
	u.pool = httpclient.NewPool(httpclient.Config{
		// Caddy's own dialer, with all that its transport's options say of dialing.
		Dial: func(ctx context.Context) (net.Conn, error) {
			return transport.Transport.DialContext(ctx, u.info.Network, u.info.Address)
		},
		MaxConns:      transport.MaxConnsPerHost,
		MaxIdle:       max(idle, 0),
		IdleTimeout:   time.Duration(transport.KeepAlive.IdleConnTimeout),
		HeaderTimeout: time.Duration(transport.ResponseHeaderTimeout),
		ReadTimeout:   read,
		MaxHeader:     int(min(transport.MaxResponseHeaderSize, 1<<30)),
		ReadBuffer:    min(transport.ReadBufferSize, 1<<20),
	})
	return u, ""
}
