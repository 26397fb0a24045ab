package bearer

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// checkURL accepts https, and http towards this machine only.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("not a URL; write one such as https://issuer.example/keys")
	case u.Host == "" || u.Opaque != "":
		return errors.New("no host; write a URL such as https://issuer.example/keys")
	case u.User != nil:
		return errors.New("a URL with a user name or password would end up in logs; leave it out")
	case u.Fragment != "":
		return errors.New("leave out the part after #")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("http lets anyone on the way replace the keys; use https (http only for localhost)")
	}
	return errors.New("use an https URL")
}

// isLoopback recognises this machine by name or literal address, without asking
// DNS.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
