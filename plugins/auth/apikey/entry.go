package apikey

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// entry is a record made ready for requests. All but the atomics is written before
// other goroutines see it and never after.
type entry struct {
	principal *plugins.Principal
	revoked   time.Time
	expires   time.Time
	// restricted says that only the addresses of allow may use the key. It is apart
	// from allow because a list that can't be read allows nobody.
	restricted bool
	allow      []netip.Prefix
	// fetched is when the record was read, in Unix nanoseconds.
	fetched int64
	// hash and pepperVersion are those of the record, to read it again by.
	hash          Hash
	pepperVersion int
	// epoch is the cache's when the record was read: an older one means that the
	// store has changed since, perhaps this record.
	epoch uint64

	// seen is the Unix second of the last request with the key.
	seen atomic.Int64
	// retryAt is when to ask a failing store again, in Unix nanoseconds.
	retryAt atomic.Int64
	// used is the Unix second that was last reported as the last use.
	used atomic.Int64
}

func newEntry(key plugins.APIKey, defaultRole string) *entry {
	role := key.Role
	if role == "" {
		role = defaultRole
	}
	var roles []string
	if role != "" {
		roles = []string{role}
	}
	e := &entry{
		principal: &plugins.Principal{
			Subject:    key.Owner,
			Owner:      key.Owner,
			Roles:      roles,
			Tier:       key.Tier,
			Scopes:     slices.Clone(key.Scopes),
			Scheme:     plugins.SchemeAPIKey,
			KeyID:      key.ID,
			Credential: key.ID,
			ExpiresAt:  key.ExpiresAt,
			Limits:     slices.Clone(key.Limits),
		},
		revoked:    key.RevokedAt,
		expires:    key.ExpiresAt,
		restricted: len(key.IPAllow) > 0,

		pepperVersion: key.PepperVersion,
	}
	copy(e.hash[:], key.Hash)
	e.allow, _ = ParseIPAllow(key.IPAllow) // none if it can't be read
	return e
}

// admit checks what can change from one request to the next; nil admits.
func (e *entry) admit(now time.Time, client netip.Addr) *plugins.Denial {
	switch {
	case !e.revoked.IsZero():
		return auth.DenyKey(plugins.ReasonKeyRevoked, e.describe("revoked", e.revoked), stamp("now", now))
	case !e.expires.IsZero() && !now.Before(e.expires):
		return auth.DenyKey(plugins.ReasonKeyExpired, e.describe("expires", e.expires), stamp("now", now))
	case e.restricted && !e.allows(client):
		value := "address unknown"
		if client.IsValid() {
			value = "address " + client.String()
		}
		return auth.DenyKey(plugins.ReasonKeyAddress, "key "+e.principal.KeyID+" "+value, e.allowed())
	}
	return nil
}

// allows needs a valid address: a caller whose address is not known is not on
// any list.
func (e *entry) allows(client netip.Addr) bool {
	// The same IPv4 address comes as 10.0.0.1 or ::ffff:10.0.0.1, and a zone is
	// about the link it came by, not about who it is.
	client = client.Unmap().WithZone("")
	for _, p := range e.allow {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

func (e *entry) allowed() string {
	if len(e.allow) == 0 {
		return "allowed none: the list can't be read"
	}
	// Enough to explain by; the list may be long.
	const most = 8
	parts := make([]string, 0, most+1)
	for i, p := range e.allow {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.allow)-most))
			break
		}
		parts = append(parts, p.String())
	}
	return "allowed " + strings.Join(parts, " ")
}

func (e *entry) describe(what string, at time.Time) string {
	return "key " + e.principal.KeyID + " " + stamp(what, at)
}

func stamp(what string, at time.Time) string {
	return what + " " + at.UTC().Format(time.RFC3339)
}

// ParseIPAllow reads the addresses that may use a key: CIDR prefixes, or single
// addresses. IPv4 in IPv6 form is taken as the IPv4 that it is.
func ParseIPAllow(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := parsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("reading the allowed address %q: %w", s, err)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("it covers more than IPv4, with %d of the 96 bits", p.Bits())
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
