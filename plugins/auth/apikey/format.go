// Package apikey recognises API keys. It is one scheme of the authentication
// chain: it checks the key's shape and checksum, finds the key's record by a
// peppered hash through a cache, checks the record, and answers with the owner
// as the principal.
//
// The package does not know where records are kept: the caller gives it a Lookup.
package apikey

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/ainative/portcullis/plugins"
)

// The form of a key that the gateway makes, after GitHub's token format: a prefix
// that says what it is, randomBody random characters of base62 (190 bits), and
// the CRC-32 (IEEE) of everything before it as checksumBody characters of base62,
// most significant first, padded with 0.
//
// The checksum lets scanners and the gateway tell a key from a typing error
// without a look-up. It is no proof of anything: anybody can compute it.
const (
	PrefixLive = "sk_live_"
	PrefixTest = "sk_test_"

	randomBody   = 32
	checksumBody = 6
	keyLength    = len(PrefixLive) + randomBody + checksumBody

	// MaxLength bounds a key of any form, in bytes; longer ones are refused unread.
	MaxLength = 256

	// shownBody is how much of the random part DisplayPrefix reveals: 4 characters
	// of 32 leave 166 bits.
	shownBody = 4
)

// alphabet is base62 in the order of its values.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The errors of Check.
var (
	// ErrMalformed: the value is not of the form of a key that the gateway makes.
	ErrMalformed = errors.New("not of the form of an API key")
	// ErrChecksum: the form is right and the checksum is not; a typing error.
	ErrChecksum = errors.New("checksum of the API key does not match")
)

// Generate makes a new key: sk_live_… if live, else sk_test_…. The reader is
// crypto/rand's where nil; it fails only if the reader does or returns no usable bytes.
func Generate(live bool, random io.Reader) (plugins.Secret, error) {
	if random == nil {
		random = rand.Reader
	}
	key := make([]byte, 0, keyLength)
	if live {
		key = append(key, PrefixLive...)
	} else {
		key = append(key, PrefixTest...)
	}
	body := len(key) + randomBody
	var chunk [64]byte
	// One chunk yields 62 characters on average, so that a second is rare and a
	// source that needs more than 16 does not work.
	for range 16 {
		if _, err := io.ReadFull(random, chunk[:]); err != nil {
			return plugins.Secret{}, fmt.Errorf("reading random bytes for an API key: %w", err)
		}
		for _, b := range chunk {
			// Six bits, and values past the alphabet thrown away: every character is
			// equally likely, which a remainder by 62 would not give.
			if i := int(b & 63); i < len(alphabet) && len(key) < body {
				key = append(key, alphabet[i])
			}
		}
		if len(key) == body {
			sum := checksum(string(key))
			return plugins.NewSecret(string(append(key, sum[:]...))), nil
		}
	}
	return plugins.Secret{}, errors.New("reading random bytes for an API key: the source repeats itself")
}

// Recognised reports whether the value starts like a key that the gateway makes,
// so that a bad one is refused as a key and not taken for another credential.
func Recognised(value string) bool {
	return strings.HasPrefix(value, PrefixLive) || strings.HasPrefix(value, PrefixTest)
}

// Check tells whether the value has the form and the checksum of a key that the
// gateway makes: nil, ErrMalformed or ErrChecksum. It looks nothing up, and its
// work does not grow with the value.
func Check(value string) error {
	if len(value) != keyLength || !Recognised(value) {
		return ErrMalformed
	}
	for i := len(PrefixLive); i < keyLength; i++ {
		if !isBase62(value[i]) {
			return ErrMalformed
		}
	}
	sum := checksum(value[:keyLength-checksumBody])
	if value[keyLength-checksumBody:] != string(sum[:]) {
		return ErrChecksum
	}
	return nil
}

// DisplayPrefix is the part of a key that may be shown and logged: the prefix and
// the first 4 characters behind it, `sk_live_Ab3x`. Of a key in another form, of
// which nobody knows what its parts mean, it is empty.
func DisplayPrefix(value string) string {
	const shown = len(PrefixLive) + shownBody
	if !Recognised(value) || len(value) < keyLength {
		return ""
	}
	for i := len(PrefixLive); i < shown; i++ {
		if !isBase62(value[i]) {
			return ""
		}
	}
	return strings.Clone(value[:shown])
}

// NewID makes the id of a record: a UUIDv7 (RFC 9562 section 5.7), so that ids
// sort by the time of their making.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return id.String(), nil
}

func checksum(s string) [checksumBody]byte {
	// Byte by byte: crc32.ChecksumIEEE wants a slice, and the copy into one would be
	// the only allocation of a request with a key.
	sum := ^uint32(0)
	for i := range len(s) {
		sum = crc32.IEEETable[byte(sum)^s[i]] ^ sum>>8
	}
	sum = ^sum
	var out [checksumBody]byte
	for i := checksumBody - 1; i >= 0; i-- {
		out[i] = alphabet[sum%62]
		sum /= 62
	}
	return out
}

func isBase62(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
