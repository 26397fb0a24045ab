package adminapi

import (
	"time"

	"github.com/ainative/portcullis/plugins/decision"
)

// The records of decisions are those of package decision: it defines their JSON.
type (
	// Decision is what became of one request and why.
	Decision = decision.Record
	// Step is one check of a request.
	Step = decision.Step
	// LimitRow is the state of one limit after a decision.
	LimitRow = decision.LimitRow
)

// The outcomes that need a sentence of their own.
const (
	Refused   = decision.Refused
	Undecided = decision.Undecided
	Shadow    = decision.Shadow
	// StepShadow is a check that would have refused, but for shadow mode.
	StepShadow = decision.StepShadow
)

// DefaultDecisions is how many records one answer has unless asked otherwise.
const DefaultDecisions = 100

// StreamLine is a line of the stream of decisions: a record, or how many were
// lost because the reader was too slow, or neither as a sign of life.
type StreamLine struct {
	Decision
	Dropped uint64 `json:"dropped"`
}

// ShadowReport sums up what shadow mode let pass.
type ShadowReport struct {
	// Since is the time from which on it was counted.
	Since time.Time            `json:"since"`
	Rows  []decision.ShadowRow `json:"rows"`
}
