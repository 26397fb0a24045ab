package redisgcra

// Telling reports whether the gateway is telling others of turns that it gave.
func (l *Limiter) Telling() bool {
	for i := range l.turns.shards {
		s := &l.turns.shards[i]
		s.mu.Lock()
		for _, c := range s.counts {
			if c.telling {
				s.mu.Unlock()
				return true
			}
		}
		s.mu.Unlock()
	}
	return false
}

// Turns is how many counts have turns.
func (l *Limiter) Turns() int64 { return l.turns.held.Load() }
