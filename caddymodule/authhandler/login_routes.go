package authhandler

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// loginRoutes are the paths of the API's own log-in, refresh and log-out. A request to one
// passes with its credential, because the API checks it: its refresh may accept an expired
// token, for instance. A request that the API refuses counts as a failed attempt of the
// client's address.
type loginRoutes struct {
	paths caddyhttp.MatchPath
}

// checkLoginRoutes returns the mistakes in the paths.
func checkLoginRoutes(paths []string) error {
	var errs []error
	for _, path := range paths {
		switch {
		case !strings.HasPrefix(path, "/"):
			errs = append(errs, errors.New("login_routes "+path+": write a path that begins with a slash, like /v1/auth/*"))
		case strings.Trim(path, "/*") == "":
			errs = append(errs, errors.New("login_routes "+path+" opens every path: name those of the API's log-in, like /v1/auth/*"))
		}
	}
	return errors.Join(errs...)
}

func (l *loginRoutes) provision(ctx caddy.Context, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	l.paths = append(caddyhttp.MatchPath(nil), paths...)
	return l.paths.Provision(ctx)
}

// match reports whether a request is for one of the paths.
func (l *loginRoutes) match(r *http.Request) bool {
	if len(l.paths) == 0 {
		return false
	}
	matches, err := l.paths.MatchWithError(r)
	return err == nil && matches
}

// serveLogin passes a request to a log-in of the API. It admits the caller of a valid
// credential, and leaves any other to the API.
func (a *Auth) serveLogin(w http.ResponseWriter, r *http.Request, x *request.Exchange, next caddyhttp.Handler) error {
	if slowed := a.outOfAttempts(r, x); slowed != nil {
		if !a.Shadow {
			return a.enforcer.Refuse(w, r, x, slowed)
		}
		a.enforcer.Shadow(r, x, slowed, nil)
	}
	attempt := r.ContentLength != 0 || a.carries(r)
	if principal, _, _ := a.Identify(r, x); principal != nil {
		if err := a.admit(r, x, principal); err != nil {
			return a.enforcer.Undecided(w, r, x, err)
		}
	} else {
		x.Step(request.PolicyAuth, request.Anonymous, nil)
	}
	watched := caddyhttp.NewResponseRecorder(w, nil, nil)
	err := next.ServeHTTP(watched, r)
	if attempt && isFailedLogin(watched.Status()) {
		a.countFailure(r, x)
	}
	return err
}

// isFailedLogin reports whether the API refused the credential. Some frameworks answer a
// wrong password with 400.
func isFailedLogin(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusBadRequest
}

// outOfAttempts returns a denial if the client's address has failed too often. It charges
// nothing.
func (a *Auth) outOfAttempts(r *http.Request, x *request.Exchange) *plugins.Denial {
	key, ok := a.failureKey(r)
	if !ok {
		return nil
	}
	d, err := x.Take(r.Context(), a.failureCount, key, a.failures, 0, nil)
	if err != nil {
		return nil
	}
	for _, row := range d.Rows {
		if row.Remaining < 1 {
			return a.tooManyFailures(row.NextAfter)
		}
	}
	return nil
}

// failureKey is the key of the client's failed attempts; false if they are not counted.
func (a *Auth) failureKey(r *http.Request) (ratelimit.Key, bool) {
	if a.failureCount == nil {
		return ratelimit.Key{}, false
	}
	return ratelimit.AnonymousKey(failuresZone, request.ClientIP(r))
}
