package request

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/slab"
)

// arena allocates in blocks what gateway_errors needs for each request: the exchange, the
// id, and the header lines with the id. One allocation serves many requests, so that a
// request that passes costs none of its own. No value is used twice: a log entry, a header
// map or a handler that outlives its request never sees another request's values.
type arena struct {
	exchanges []Exchange
	ids       strings.Builder
	lines     []string
	// random is the unused rest of buffer.
	random []byte
	buffer [arenaIDs * randomPerID]byte
}

const (
	// arenaExchanges is small, since one long-lived exchange keeps the block alive.
	arenaExchanges = 8
	arenaIDs       = 64
	idLength       = 36
	// randomPerID is how many random bytes an id takes; 62 bits of them are used.
	randomPerID = 8
)

// arenas live as long as the process.
var arenas slab.Shards[arena]

// exchange returns a new exchange.
func (a *arena) exchange() *Exchange { return slab.Cut(&a.exchanges, arenaExchanges) }

// idLines returns two header lines with the id, for the request and for the response.
func (a *arena) idLines(id string) (request, response []string) {
	if len(a.lines) == 0 {
		a.lines = make([]string, 2*arenaIDs)
	}
	lines := a.lines
	a.lines = lines[2:]
	lines[0], lines[1] = id, id
	return lines[0:1:1], lines[1:2:2]
}

// id makes a UUIDv7 (RFC 9562 section 5.7): unique, and sorted by time in a log. The bits
// that other implementations use for a counter hold the time below a millisecond.
func (a *arena) id(now time.Time) string {
	if len(a.random) == 0 {
		// crypto/rand does not fail on the platforms that Go supports.
		_, _ = rand.Read(a.buffer[:])
		a.random = a.buffer[:]
	}
	var u [16]byte
	nanos := uint64(now.UnixNano())
	milli, rest := nanos/1e6, nanos%1e6
	binary.BigEndian.PutUint64(u[:], milli<<16|0x7000|rest>>8)
	copy(u[8:], a.random[:randomPerID])
	a.random = a.random[randomPerID:]
	u[8] = u[8]&0x3f | 0x80

	if a.ids.Cap()-a.ids.Len() < idLength {
		// The old block belongs to its ids.
		a.ids = strings.Builder{}
		a.ids.Grow(arenaIDs * idLength)
	}
	start := a.ids.Len()
	var text [idLength]byte
	hex.Encode(text[:8], u[:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	_, _ = a.ids.Write(text[:])
	return a.ids.String()[start:]
}
