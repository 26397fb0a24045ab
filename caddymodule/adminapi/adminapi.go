// Package adminapi has the JSON of the gateway's admin API: what the routes under
// /gateway/ take and answer. The admin routes and the command `caddy gateway` share
// it, and any other client may import it: it does not depend on Caddy. Times are
// RFC 3339 in UTC, or null.
package adminapi

// MaxBody bounds the body of a request, in bytes. An import of keys may be larger.
const MaxBody = 64 << 10
