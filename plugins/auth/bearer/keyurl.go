package bearer

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// checkURL accepts https, and http towards this machine only.
func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL; write one such as https://issuer.example/keys")
	case u.Host == "":
		return nil, errors.New("no host; write a URL such as https://issuer.example/keys")
	case u.User != nil:
		return nil, errors.New("a URL with a user name or password would end up in logs; leave it out")
	case u.Fragment != "":
		return nil, errors.New("leave out the part after #")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("http lets anyone on the way replace the keys; use https (http only for localhost)")
	}
	return nil, errors.New("use an https URL")
}

// isLoopback recognises this machine by name or literal address, without asking
// DNS.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, _ := netip.ParseAddr(host) // of no address the zero one
	return addr.Unmap().IsLoopback()
}
