package sitehandler

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// hostsOf returns the host matchers of a route, nil if it may match any host.
func hostsOf(route caddyhttp.Route) []caddyhttp.RequestMatcherWithError {
	var hosts []caddyhttp.RequestMatcherWithError
	for _, set := range route.MatcherSets {
		found := false
		for _, matcher := range set {
			switch host := matcher.(type) {
			case *caddyhttp.MatchHost:
				hosts, found = append(hosts, host), true
			case caddyhttp.MatchHost:
				hosts, found = append(hosts, host), true
			case *unknownHost:
				hosts, found = append(hosts, host.own...), true
			}
		}
		if !found {
			return nil
		}
	}
	return hosts
}

// anyHost reports whether one of the host matchers matches. An error counts as a match, so
// that the request is guarded.
func anyHost(hosts []caddyhttp.RequestMatcherWithError, r *http.Request) bool {
	for _, host := range hosts {
		if ok, err := host.MatchWithError(r); ok || err != nil {
			return true
		}
	}
	return false
}

// unknownHost matches the hosts of a route, and also the hosts without any route on the
// server.
type unknownHost struct {
	set        caddyhttp.MatcherSet
	own, known []caddyhttp.RequestMatcherWithError
}

// MatchWithError implements caddyhttp.RequestMatcherWithError.
func (u *unknownHost) MatchWithError(r *http.Request) (bool, error) {
	if ok, err := u.set.MatchWithError(r); ok || err != nil {
		return ok, err
	}
	return u.unknown(r), nil
}

// unknown reports whether the request's host has no route on the server.
func (u *unknownHost) unknown(r *http.Request) bool { return !anyHost(u.known, r) }
