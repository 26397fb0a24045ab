package ratelimit

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"net/netip"
)

// ipv6Bits is the prefix of an IPv6 address that identifies a caller: a customer gets a
// /64 and can use any address in it.
const ipv6Bits = 64

// NewKey makes the key of a caller's state. Zone separates limits that must not share a
// count. Kind is the kind of subject (`owner`, `credential`, `ip`), so that an owner named
// like an address is not that address. Each part is hashed after its length, so that
// different triples have different keys.
func NewKey(zone, kind, subject string) Key {
	// Large enough for most callers; longer parts are hashed first.
	var buf [320]byte
	b := appendPart(buf[:0], zone)
	b = appendPart(b, kind)
	b = appendPart(b, subject)
	sum := sha256.Sum256(b)
	return Key(sum[:16])
}

// partMax is the longest part that goes into a key as it is.
const partMax = 96

// appendPart appends the length and the bytes of s, or the length and the hash
// of a long s.
func appendPart(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	if len(s) <= partMax {
		return append(b, s...)
	}
	sum := sha256.Sum256([]byte(s))
	return append(b, sum[:]...)
}

// AnonymousKey makes the key of an anonymous caller from its address: an IPv4 address,
// also one mapped into IPv6, or the /64 of an IPv6 address without its zone. It returns
// false for the zero Addr: callers without an address must not share a count.
func AnonymousKey(zone string, addr netip.Addr) (Key, bool) {
	network, ok := anonymousNetwork(addr)
	if !ok {
		return Key{}, false
	}
	var buf [64]byte
	// The conversion does not outlive NewKey, so that nothing is allocated.
	return newAddressKey(zone, network.AppendTo(buf[:0])), true
}

func newAddressKey(zone string, subject []byte) Key {
	var buf [320]byte
	b := appendPart(buf[:0], zone)
	b = appendPart(b, KindIP)
	b = binary.BigEndian.AppendUint32(b, uint32(len(subject)))
	b = append(b, subject...)
	sum := sha256.Sum256(b)
	return Key(sum[:16])
}

// The kinds of subject.
const (
	KindOwner       = "owner"
	KindCredential  = "credential"
	KindIP          = "ip"
	KindPlaceholder = "placeholder"
)

// AnonymousSubject is the subject of AnonymousKey as text: `192.0.2.1` or
// `2001:db8::/64`. AnonymousKey(zone, addr) is NewKey(zone, KindIP, subject).
func AnonymousSubject(addr netip.Addr) (string, bool) {
	network, ok := anonymousNetwork(addr)
	if !ok {
		return "", false
	}
	return string(network.AppendTo(nil)), true
}

// subnet is an address or the prefix that stands for it.
type subnet struct {
	addr   netip.Addr
	prefix netip.Prefix
}

func (s subnet) AppendTo(b []byte) []byte {
	if s.addr.IsValid() {
		return s.addr.AppendTo(b)
	}
	return s.prefix.AppendTo(b)
}

func anonymousNetwork(addr netip.Addr) (subnet, bool) {
	if !addr.IsValid() {
		return subnet{}, false
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return subnet{addr: addr}, true
	}
	prefix, err := addr.Prefix(ipv6Bits)
	if err != nil {
		return subnet{}, false
	}
	return subnet{prefix: prefix}, true
}

// keyText has no padding and no characters that any system treats as special.
var keyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String is the key in 26 lower-case letters and digits, for Redis and for logs.
func (k Key) String() string { return keyText.EncodeToString(k[:]) }

// AppendText appends String to b.
func (k Key) AppendText(b []byte) []byte { return keyText.AppendEncode(b, k[:]) }

// ParseKey reads String back.
func ParseKey(s string) (Key, bool) {
	var k Key
	raw, err := keyText.DecodeString(s)
	if err != nil || len(raw) != len(k) || keyText.EncodeToString(raw) != s {
		return Key{}, false
	}
	return Key(raw), true
}
