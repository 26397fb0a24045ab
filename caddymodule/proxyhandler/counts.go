package proxyhandler

import (
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// requestCount returns the counter of requests in flight that Caddy keeps for a
// host, or nil if this Caddy has no such counter.
//
// Caddy does not export what adds to it. A count of our own would be seen neither
// by least_conn, random_choose and max_requests, nor at /reverse_proxy/upstreams,
// nor by other sites with the same upstream. So the field is looked up by its name
// and type: a Caddy that names it otherwise costs these sites the fast way, and
// nothing else.
func requestCount(host *reverseproxy.Host) *atomic.Int64 {
	if host == nil {
		return nil
	}
	return int64Field(host, "numRequests")
}

// int64Field returns the field of a struct if it has that name and is an atomic.Int64.
func int64Field[T any](of *T, name string) *atomic.Int64 {
	field := reflect.ValueOf(of).Elem().FieldByName(name)
	if !field.IsValid() || field.Type() != reflect.TypeFor[atomic.Int64]() {
		return nil
	}
	return (*atomic.Int64)(unsafe.Pointer(field.UnsafeAddr())) //nolint:gosec // the type was checked; see above
}

// counting tells whether requests can be counted where Caddy counts them.
var counting = requestCount(new(reverseproxy.Host)) != nil
