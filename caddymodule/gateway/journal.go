package gateway

import (
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/decision"
)

var journalKey = pool.Key{Kind: "journal", Name: ""}

// AcquireJournal acquires the journal of decisions from the pool. It survives reloads.
func AcquireJournal() (*decision.Journal, pool.Release) {
	return pool.AcquirePlain(journalKey, func() *decision.Journal { return decision.NewJournal(decision.DefaultSize) })
}

// RunningJournal is the journal of decisions; false if no configuration has one.
func RunningJournal() (*decision.Journal, bool) {
	return pool.FindPlain[*decision.Journal](journalKey)
}
