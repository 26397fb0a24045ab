package decision

import "strings"

// slabSize is the size of one allocation for texts, in bytes, enough for some ten records.
// Records leave the ring in the order in which they came, so that a slab does not outlive
// its records for long.
const slabSize = 4 << 10

// slab has copies of the texts of records. A record with the original texts would keep
// more in memory: a path is a part of the request line, and keeps a query of any length.
// The owner locks.
type slab struct{ room strings.Builder }

// copyTexts replaces all texts from outside by copies.
func (s *slab) copyTexts(r *Record) {
	size := 0
	r.texts(func(text *string) { size += len(*text) })
	if size == 0 {
		return
	}
	room := &s.room
	switch {
	case size > slabSize/4:
		// An allocation of its own, so as not to waste an almost empty slab.
		room = new(strings.Builder)
		room.Grow(size)
	case room.Cap()-room.Len() < size:
		// The old slab belongs to its records.
		s.room = strings.Builder{}
		room.Grow(slabSize)
	}
	r.texts(func(text *string) {
		start := room.Len()
		_, _ = room.WriteString(*text)
		*text = room.String()[start:]
	})
}

// texts visits the texts of a record that are not constants of the program.
func (r *Record) texts(visit func(*string)) {
	for _, text := range [...]*string{
		&r.RequestID, &r.Method, &r.Host, &r.Path, &r.RewrittenPath, &r.ClientIP, &r.Value, &r.Bound, &r.CredentialIn,
		&r.Subject, &r.Owner, &r.Tier, &r.KeyID, &r.Issuer, &r.SigningKey, &r.Failure, &r.UserAgent, &r.HeaderNames, &r.Answer,
	} {
		visit(text)
	}
	for i := range r.Roles {
		visit(&r.Roles[i])
	}
	for i := range r.Scopes {
		visit(&r.Scopes[i])
	}
	for i := range r.Steps {
		visit(&r.Steps[i].Value)
		visit(&r.Steps[i].Bound)
	}
	for i := range r.Limits {
		visit(&r.Limits[i].Name)
		visit(&r.Limits[i].Limit)
		visit(&r.Limits[i].RetryAfter)
	}
}
