// Package cors decides which pages of other origins a browser lets read the API, by the
// CORS protocol of the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol).
// It stands outside authentication: a preflight has no credential, and a refusal has to be
// readable too. What a preflight may ask for is decided by github.com/rs/cors.
package cors

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/ainative/portcullis/plugins"
)

// Config says what pages of other origins may do.
type Config struct {
	// Origins are exact (`https://app.example.com`), have a wildcard for the first label
	// (`https://*.example.com`), or are the words `*` and `null`.
	Origins []string
	// Expressions are regular expressions that match a whole origin.
	Expressions []string
	// Methods that a preflight may ask for. Default: GET, HEAD, POST, PUT, PATCH, DELETE.
	Methods []string
	// Headers that a preflight may ask for, `*` for all. Default: DefaultHeaders.
	Headers []string
	// Expose are response headers that scripts may read besides DefaultExposed; `none`
	// alone takes those away too.
	Expose []string
	// Credentials lets browsers send cookies and client certificates.
	Credentials bool
	// MaxAge is how long a browser may keep the answer to a preflight; zero is not at all.
	MaxAge time.Duration
	// PrivateNetwork lets pages of public sites reach a gateway in a private network.
	PrivateNetwork bool
}

// DefaultMethods are those of most APIs.
var DefaultMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// DefaultHeaders are the request headers that scripts send to an API of this gateway.
// A browser asks for none of those that it takes for safe.
var DefaultHeaders = []string{
	"Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID",
	"X-API-Key", "X-Request-Id", "X-Requested-With",
}

// DefaultExposed are the response headers by which the gateway tells clients what to do.
var DefaultExposed = []string{
	"Retry-After", "RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
	"X-Request-Id", "WWW-Authenticate",
}

// The CORS headers of responses, in the spelling of net/http.
const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
	exposeHeaders    = "Access-Control-Expose-Headers"
)

// responseHeaders are all of them: those that an upstream sends go.
var responseHeaders = []string{
	allowOrigin, allowCredentials, exposeHeaders, "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
	"Access-Control-Max-Age", "Access-Control-Allow-Private-Network",
}

// Policy decides on requests. It is immutable.
type Policy struct {
	origins *origins
	methods []string
	allowed struct{ origins, methods, headers string }
	// answer is what the response to a request of an allowed origin says, but for the
	// origin.
	expose      string
	credentials bool
	preflight   *cors.Cors
}

// New makes a policy and finds every mistake in it.
func New(c Config) (*Policy, error) {
	var errs []error
	if len(c.Origins)+len(c.Expressions) == 0 {
		errs = append(errs, errors.New("no origin is allowed: write one like `origins https://app.example.com`, or `origins *` for all, since a `*` behind the name of the directive is a matcher"))
	}
	allowed, err := parseOrigins(c.Origins, c.Expressions)
	errs = append(errs, err)
	if who := allowed.everybody(); c.Credentials && who != "" {
		errs = append(errs, fmt.Errorf("credentials with %s would let every page on the web act for your users: name the origins, like `origins https://app.example.com https://*.example.com`, or leave `credentials` out, since a script needs it for cookies only", who))
	}
	methods := orDefault(c.Methods, DefaultMethods)
	for _, method := range methods {
		if !isToken(method) || method == "*" || method != strings.ToUpper(method) {
			errs = append(errs, fmt.Errorf("method %s: write methods by name and in capitals, like `methods GET POST`", method))
		}
	}
	headers := orDefault(c.Headers, DefaultHeaders)
	for _, name := range headers {
		if !isToken(name) || name == "*" && len(headers) != 1 {
			errs = append(errs, fmt.Errorf("header %s: write names like `headers Authorization X-API-Key`, or `headers *` alone", name))
		}
	}
	exposed, err := exposed(c.Expose, c.Credentials)
	errs = append(errs, err)
	if c.MaxAge < 0 || c.MaxAge%time.Second != 0 {
		errs = append(errs, fmt.Errorf("max_age %s: write whole seconds, like `max_age 10m`", c.MaxAge))
	}
	p := &Policy{origins: allowed, methods: methods, expose: exposed, credentials: c.Credentials}
	p.allowed.origins = describe(c.Origins, c.Expressions)
	p.allowed.methods = "one of " + strings.Join(methods, ", ")
	p.allowed.headers = "any of " + strings.Join(headers, ", ")
	options := cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, _ string) (bool, []string) { return p.allows(r), nil },
		AllowedMethods:             methods,
		AllowedHeaders:             headers,
		AllowCredentials:           c.Credentials,
		AllowPrivateNetwork:        c.PrivateNetwork,
		MaxAge:                     int(c.MaxAge / time.Second),
	}
	if c.MaxAge == 0 {
		options.MaxAge = -1 // says 0; without a word browsers keep it for 5 seconds
	}
	p.preflight = cors.New(options)
	return p, errors.Join(errs...)
}

func orDefault(given, preset []string) []string {
	if len(given) == 0 {
		return preset
	}
	return given
}

// exposed is the value of Access-Control-Expose-Headers.
func exposed(names []string, credentials bool) (string, error) {
	all := slices.Clone(DefaultExposed)
	switch {
	case len(names) == 1 && names[0] == "none":
		return "", nil
	case slices.Contains(names, "*"):
		if credentials || len(names) != 1 {
			return "", errors.New("expose *: browsers take it for a name beside credentials or other names; write the names, like `expose X-Total-Count`")
		}
		// Beside the names, some of which older browsers know only so.
		return strings.Join(append(all, "*"), ", "), nil
	}
	for _, name := range names {
		if !isToken(name) || name == "none" {
			return "", fmt.Errorf("expose %s: write names of headers, like `expose X-Total-Count`, or `expose none` alone", name)
		}
		if !slices.ContainsFunc(all, func(known string) bool { return strings.EqualFold(known, name) }) {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", "), nil
}

// isToken reports whether a text may be a method or the name of a header (RFC 9110
// section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// Null reports whether pages without an origin of their own are allowed, which any
// page can make.
func (p *Policy) Null() bool { return p.origins.null }

// allows reports whether a request has one Origin and that is allowed.
func (p *Policy) allows(r *http.Request) bool {
	sent := r.Header["Origin"]
	return len(sent) == 1 && p.origins.allow(sent[0])
}

// Decide decides on a request. It reads nothing but the method and the header.
func (p *Policy) Decide(r *http.Request) *Answer {
	a := &Answer{policy: p, options: r.Method == http.MethodOptions}
	sent := r.Header["Origin"]
	if len(sent) == 0 {
		return a
	}
	a.Origin = strings.Join(sent, ", ")
	a.Allowed = p.allows(r)
	if asked := r.Header["Access-Control-Request-Method"]; a.options && len(asked) != 0 {
		a.Preflight = true
		p.decidePreflight(r, a)
	}
	return a
}

// decidePreflight asks rs/cors, and says why where that says no.
func (p *Policy) decidePreflight(r *http.Request, a *Answer) {
	method := strings.Join(r.Header["Access-Control-Request-Method"], ", ")
	switch {
	case !a.Allowed:
		a.Denial = deny(plugins.ReasonOriginNotAllowed, "origin "+a.Origin, p.allowed.origins)
		return
	case !slices.Contains(p.methods, method):
		// Asked here, since rs/cors allows OPTIONS always, and repeats what stands in a
		// second line unread.
		a.Denial = deny(plugins.ReasonCORSMethod, "method "+method, p.allowed.methods)
		return
	}
	a.header = http.Header{}
	p.preflight.HandlerFunc(recorder{a.header}, r)
	if a.header[allowOrigin] == nil {
		a.Denial = deny(plugins.ReasonCORSHeader, "headers "+strings.Join(r.Header["Access-Control-Request-Headers"], ","), p.allowed.headers)
	}
}

func deny(reason plugins.Reason, value, bound string) *plugins.Denial {
	return &plugins.Denial{Status: http.StatusForbidden, Reason: reason, Value: value, Bound: bound}
}

// recorder keeps what rs/cors would write.
type recorder struct{ header http.Header }

func (r recorder) Header() http.Header       { return r.header }
func (recorder) Write(p []byte) (int, error) { return len(p), nil }
func (recorder) WriteHeader(int)             {}
