package gateway

import (
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/decision"
)

// journal is the pooled journal of decisions. It survives reloads.
type journal struct{ *decision.Journal }

// Destruct does nothing.
func (journal) Destruct() error { return nil }

var journalKey = pool.Key{Kind: "journal", Name: ""}

// AcquireJournal acquires the journal of decisions from the pool.
func AcquireJournal() (*decision.Journal, pool.Release, error) {
	j, release, err := pool.Acquire(journalKey, func() (journal, error) {
		return journal{decision.NewJournal(decision.DefaultSize)}, nil
	})
	return j.Journal, release, err
}

// RunningJournal is the journal of decisions; false if no configuration has one.
func RunningJournal() (*decision.Journal, bool) {
	j, ok := pool.Find[journal](journalKey)
	return j.Journal, ok
}
