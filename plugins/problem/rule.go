package problem

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// Rule is an operator's knowledge about one upstream error:
//
//	rule status 500 contains "QueuePool limit" { status 503  retry_after 5  detail "Service busy" }
type Rule struct {
	// Status matches the upstream's status: an exact one, or 4 or 5 for the
	// class. Zero matches any.
	Status int
	// Contains must occur in the decoded body: in its text as sent, or in one of
	// the strings of a JSON body. Case counts. Empty matches any body.
	Contains string

	// NewStatus replaces the status; zero keeps it.
	NewStatus int
	// RetryAfter is in seconds; zero keeps what the upstream said.
	RetryAfter int
	// Detail replaces the text. Empty leaves it to the rest of the contract,
	// under the new status.
	Detail string
	// KeepDetail shows the upstream's own message also where the status is 5xx, unless it
	// leaks.
	KeepDetail bool
}

// validate refuses a rule that can't match, changes nothing or answers nonsense.
func (r Rule) validate() error {
	var errs []error
	if r.Status != 0 && r.Status != 4 && r.Status != 5 && (r.Status < 400 || r.Status > 599) {
		errs = append(errs, fmt.Errorf("status %d to match is not an error status", r.Status))
	}
	if r.NewStatus != 0 && (r.NewStatus < 400 || r.NewStatus > 599) {
		errs = append(errs, fmt.Errorf("status %d is not an error status", r.NewStatus))
	}
	if r.RetryAfter < 0 || r.RetryAfter > maxRetryAfter {
		errs = append(errs, fmt.Errorf("retry_after %d is not within 0 and %d seconds", r.RetryAfter, maxRetryAfter))
	}
	if r.Status == 0 && r.Contains == "" {
		errs = append(errs, errors.New("matches everything: give a status or a text"))
	}
	if r.NewStatus == 0 && r.RetryAfter == 0 && r.Detail == "" && !r.KeepDetail {
		errs = append(errs, errors.New("changes nothing: give a status, retry_after or detail"))
	}
	if r.Detail != "" && r.KeepDetail {
		errs = append(errs, errors.New("has a detail of its own and keeps the upstream's: choose one"))
	}
	return errors.Join(errs...)
}

// matches reports whether the rule is for this answer.
func (r Rule) matches(status int, d *reading.Document) bool {
	switch r.Status {
	case 0, status, status / 100:
	default:
		return false
	}
	if r.Contains == "" || strings.Contains(d.Text, r.Contains) {
		return true
	}
	return d.JSON.AnyString(func(s string) bool { return strings.Contains(s, r.Contains) })
}

// match returns the first rule for this answer and its number, from 1.
func (t *Translator) match(status int, d *reading.Document) (Rule, int) {
	for i, r := range t.rules {
		if r.matches(status, d) {
			return r, i + 1
		}
	}
	return Rule{}, 0
}
