package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/ainative/portcullis/plugins"
)

// HashSize is the length of a key's hash in bytes.
const HashSize = sha256.Size

// A Hash is what is kept of a key.
type Hash = [HashSize]byte

// Unpeppered is the version of hashes that no pepper made: plain SHA-256 of the
// key. Only keys imported from another system's hashes have it.
const Unpeppered = 0

// A Pepper is the secret under which keys are hashed, so that a stolen database
// alone is no use for testing guesses.
type Pepper struct {
	// Version is 1 or more; records say which pepper made their hash.
	Version int
	Secret  plugins.Secret
}

// Peppers hashes keys under the current pepper and, while a rotation lasts, the
// previous one. It is safe for concurrent use.
//
// Keys need no slow hash: a key has 190 bits of entropy, a password has few.
type Peppers struct {
	current, previous *keyed
}

// NewPeppers takes the current pepper and the previous one; a zero previous means
// that there is none.
func NewPeppers(current, previous Pepper) (*Peppers, error) {
	first, err := newKeyed(current)
	if err != nil {
		return nil, fmt.Errorf("reading the pepper: %w", err)
	}
	p := &Peppers{current: first}
	if previous.Version == 0 && previous.Secret.Empty() {
		return p, nil
	}
	if p.previous, err = newKeyed(previous); err != nil {
		return nil, fmt.Errorf("reading the previous pepper: %w", err)
	}
	if previous.Version == current.Version {
		return nil, fmt.Errorf("reading the previous pepper: it has the version of the current one, %d", current.Version)
	}
	return p, nil
}

// Version is that of the current pepper: new keys are hashed with it.
func (p *Peppers) Version() int { return p.current.version }

// Sum hashes a key under the current pepper.
func (p *Peppers) Sum(key string) Hash { return p.current.sum(key) }

// Hash hashes a key under the pepper of this version, or without one for
// Unpeppered. It fails if the version is not in use.
func (p *Peppers) Hash(version int, key string) (Hash, error) {
	switch {
	case version == Unpeppered:
		return sha256.Sum256([]byte(key)), nil
	case version == p.current.version:
		return p.current.sum(key), nil
	case p.previous != nil && version == p.previous.version:
		return p.previous.sum(key), nil
	}
	return Hash{}, fmt.Errorf("hashing an API key: no pepper has version %d", version)
}

// hasher makes the hashes of one version.
type hasher struct {
	version int
	sum     func(key string) Hash
}

// hashers are those by which a record may be found, the current one first.
func (p *Peppers) hashers(unpeppered bool) []hasher {
	all := []hasher{{p.current.version, p.current.sum}}
	if p.previous != nil {
		all = append(all, hasher{p.previous.version, p.previous.sum})
	}
	if unpeppered {
		all = append(all, hasher{Unpeppered, func(key string) Hash { return sha256.Sum256([]byte(key)) }})
	}
	return all
}

// keyed is HMAC-SHA-256 (RFC 2104) under one pepper. Its states are reused: keying
// one anew costs as much as the hash.
type keyed struct {
	version int
	states  sync.Pool
}

// state is one HMAC with room for its input and output, so that hashing allocates
// nothing.
type state struct {
	mac hash.Hash
	in  [MaxLength]byte
	out Hash
}

func newKeyed(p Pepper) (*keyed, error) {
	if p.Version < 1 {
		return nil, fmt.Errorf("its version is %d, not 1 or more", p.Version)
	}
	if p.Secret.Empty() {
		return nil, errors.New("it is empty")
	}
	secret := []byte(p.Secret.Reveal())
	k := &keyed{version: p.Version}
	k.states.New = func() any { return &state{mac: hmac.New(sha256.New, secret)} }
	return k, nil
}

func (k *keyed) sum(key string) Hash {
	s := k.states.Get().(*state)
	s.mac.Reset()
	for len(key) > 0 {
		n := copy(s.in[:], key)
		s.mac.Write(s.in[:n])
		key = key[n:]
	}
	s.mac.Sum(s.out[:0])
	sum := s.out
	// The pool must not keep callers' keys.
	clear(s.in[:])
	k.states.Put(s)
	return sum
}
