package apikey

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// LastUsed gathers when keys were used and writes it in batches, so that a request
// costs no write. A crash loses the uses that are not yet written; they matter to
// nothing but the display of the last use.
type LastUsed struct {
	write func(context.Context, map[string]time.Time) error
	bound int

	mu   sync.Mutex
	used map[string]time.Time

	// writing lets one batch be written at a time.
	writing sync.Mutex
}

// flushTimeout bounds the last write of Run.
const flushTimeout = 5 * time.Second

// NewLastUsed gathers the uses of at most so many keys between two writes; uses of
// further keys are dropped until then. The write gets a map of its own.
func NewLastUsed(bound int, write func(context.Context, map[string]time.Time) error) *LastUsed {
	return &LastUsed{write: write, bound: bound, used: make(map[string]time.Time)}
}

// Touch notes a use.
func (l *LastUsed) Touch(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(id, at)
}

func (l *LastUsed) note(id string, at time.Time) {
	last, ok := l.used[id]
	if !at.After(last) || !ok && len(l.used) >= l.bound {
		return
	}
	l.used[id] = at
}

// Flush writes what was gathered. If that fails it is kept for the next time, as
// far as the bound allows.
func (l *LastUsed) Flush(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()

	l.mu.Lock()
	batch := l.used
	if len(batch) == 0 {
		l.mu.Unlock()
		return nil
	}
	l.used = make(map[string]time.Time, len(batch))
	l.mu.Unlock()

	if err := l.write(ctx, batch); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		for id, at := range batch {
			l.note(id, at)
		}
		return fmt.Errorf("writing when %d API keys were last used: %w", len(batch), err)
	}
	return nil
}

// Run flushes at every interval until ctx ends and then once more. It returns when
// that is done. Failures are given to report, which may be nil.
func (l *LastUsed) Run(ctx context.Context, every time.Duration, report func(error)) {
	flush := func(ctx context.Context) {
		if err := l.Flush(ctx); err != nil && report != nil {
			report(err)
		}
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
			defer cancel()
			flush(last)
			return
		}
	}
}
