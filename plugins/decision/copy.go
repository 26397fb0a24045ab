package decision

import "strings"

// slabSize is how much room for texts is taken at once, in bytes: that of some ten
// records. They leave the ring in the order in which they came, so that a slab does
// not outlive its records for long.
const slabSize = 4 << 10

// slab is where the texts of records are copied to. A record that kept the texts it
// was made of would keep what they are part of: a path is a piece of the request
// line, and with it lives a query of any length. The owner locks.
type slab struct{ room strings.Builder }

// own gives a record copies of all texts that came from outside.
func (s *slab) own(r *Record) {
	size := 0
	r.texts(func(text *string) { size += len(*text) })
	if size == 0 {
		return
	}
	room := &s.room
	switch {
	case size > slabSize/4:
		// One of its own, or it would end a slab that is hardly begun.
		room = new(strings.Builder)
		room.Grow(size)
	case room.Cap()-room.Len() < size:
		// The old slab belongs to the records that have their texts in it.
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
