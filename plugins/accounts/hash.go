package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/ainative/portcullis/plugins"
)

// Cost is what one password costs: the parameters of argon2id.
type Cost struct {
	Time    uint32
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultCost is that of Caddy's own argon2id.
var DefaultCost = Cost{Time: 1, Memory: 46 << 10, Threads: 1}

const (
	saltBytes = 16
	keyBytes  = 32
)

// HasherOptions bound what passwords cost the machine. Zero fields have defaults.
type HasherOptions struct {
	// Slots is how many passwords are worked on at once. Default: half of the
	// processors that Go uses, one at least, so that log-ins leave room for requests.
	Slots int
	// Queue is how many more may wait. Default: 16 for each slot.
	Queue int
	// Patience is how long they wait. Default: 5 seconds.
	Patience time.Duration
	// Cost of a password that is set. Default: DefaultCost.
	Cost Cost
	// Derive is the function behind it. Default: argon2.IDKey.
	Derive func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
}

// Hasher hashes passwords, a bounded number at once: each takes some 46 MiB and a
// processor for a twentieth of a second. It is safe for concurrent use.
type Hasher struct {
	options HasherOptions
	slots   chan struct{}
	waiting atomic.Int64
	// nobody is the hash that passwords of unknown users are compared with.
	nobody plugins.Secret
}

// ErrBusy says that too many passwords are being checked already.
var ErrBusy = errors.New("too many passwords are being checked at once")

// NewHasher makes a hasher.
func NewHasher(o HasherOptions) *Hasher {
	if o.Slots < 1 {
		o.Slots = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Queue < 1 {
		o.Queue = 16 * o.Slots
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost
	}
	if o.Derive == nil {
		o.Derive = argon2.IDKey
	}
	h := &Hasher{options: o, slots: make(chan struct{}, o.Slots)}
	// Random in place of a hash: no password has it.
	h.nobody = encodeHash(o.Cost, random(saltBytes), random(keyBytes))
	return h
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// Hash makes the hash of a password, in the PHC string format.
func (h *Hasher) Hash(ctx context.Context, password plugins.Secret) (plugins.Secret, error) {
	release, err := h.enter(ctx)
	if err != nil {
		return plugins.Secret{}, err
	}
	defer release()
	salt := random(saltBytes)
	return encodeHash(h.options.Cost, salt, h.derive(password, salt, h.options.Cost, keyBytes)), nil
}

// Verify tells whether a password has this hash. An empty hash, of an unknown user, and
// a password that is too long cost the same and are never right.
func (h *Hasher) Verify(ctx context.Context, hash, password plugins.Secret) (bool, error) {
	known := !hash.Empty() && password.Len() <= maxPassword
	if !known {
		hash = h.nobody
	}
	cost, salt, want, err := decodeHash(hash)
	if err != nil {
		return false, err
	}
	release, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	got := h.derive(password, salt, cost, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// derive never works on more than a password can have.
func (h *Hasher) derive(password plugins.Secret, salt []byte, c Cost, n uint32) []byte {
	text := password.Reveal()
	return h.options.Derive([]byte(text[:min(len(text), maxPassword)]), salt, c.Time, c.Memory, c.Threads, n)
}

// enter waits for a place. A full queue, or too long a wait, is ErrBusy.
func (h *Hasher) enter(ctx context.Context) (release func(), err error) {
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	if h.waiting.Add(1) > int64(h.options.Queue) {
		h.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer h.waiting.Add(-1)
	patience := time.NewTimer(h.options.Patience)
	defer patience.Stop()
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-patience.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// phc is the base64 of the PHC string format.
var phc = base64.RawStdEncoding

func encodeHash(c Cost, salt, key []byte) plugins.Secret {
	return plugins.NewSecret(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, c.Memory, c.Time, c.Threads, phc.EncodeToString(salt), phc.EncodeToString(key)))
}

// errHash says that a record holds something else than a hash of ours. It does not
// say what.
var errHash = errors.New("the password hash of the account can't be read: set a new password with `caddy gateway user reset-password`")

func decodeHash(hash plugins.Secret) (c Cost, salt, key []byte, err error) {
	parts := strings.Split(hash.Reveal(), "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return c, nil, nil, errHash
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return c, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); err != nil {
		return c, nil, nil, errHash
	}
	if c.Time < 1 || c.Time > 16 || c.Memory > 1<<20 || c.Threads < 1 {
		return c, nil, nil, errHash
	}
	salt, saltErr := phc.DecodeString(parts[4])
	key, keyErr := phc.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(salt) < 8 || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, errHash
	}
	return c, salt, key, nil
}
