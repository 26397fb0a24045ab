// Package decision records why requests were refused, so that an operator can look it up.
// A request gets a record if it was refused, failed, or would have been refused but for
// shadow mode. A request that passes costs nothing.
package decision

import (
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Record is the outcome of one request and its cause. It holds no credential, and its
// texts are bounded: those from outside go through Text. It is immutable once a journal
// has it.
type Record struct {
	// Seq numbers the records of a process, from 1, in the order in which they came.
	Seq       uint64    `json:"seq"`
	RequestID string    `json:"request_id"`
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	// Path as the client sent it, and RewrittenPath as the policies saw it, if that
	// differs.
	Path          string `json:"path"`
	RewrittenPath string `json:"rewritten_path,omitempty"`
	ClientIP      string `json:"client_ip"`
	// UserAgent is what the client calls itself, and HeaderNames which header lines it
	// sent: names alone, sorted and separated by commas.
	UserAgent   string `json:"user_agent,omitempty"`
	HeaderNames string `json:"header_names,omitempty"`
	// Outcome is one of the constants below.
	Outcome Outcome `json:"outcome"`
	// Status that the client got; 0 where the gateway did not see it, in shadow mode
	// on a site without gateway_errors.
	Status int `json:"status"`

	// Answer is the beginning of the body that the client got, where the gateway saw it.
	Answer string `json:"answer,omitempty"`

	// Policy is the handler that refused or could not decide.
	Policy string `json:"policy,omitempty"`
	// Reason, Value and Bound are those of the gateway's own denial: the exact cause, what
	// was found, and what was wanted.
	Reason plugins.Reason `json:"reason,omitempty"`
	Value  string         `json:"value,omitempty"`
	Bound  string         `json:"bound,omitempty"`
	// RetryAfter in whole seconds.
	RetryAfter int `json:"retry_after,omitempty"`

	// CredentialIn names the header in which the credential was; empty for none.
	CredentialIn string `json:"credential_in,omitempty"`
	// The caller, as far as known. For a refused credential it comes from the key's record,
	// or from the token itself.
	Subject string   `json:"subject,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	Roles   []string `json:"roles,omitempty"`
	Scopes  []string `json:"scopes,omitempty"`
	Tier    string   `json:"tier,omitempty"`
	Scheme  string   `json:"scheme,omitempty"`
	KeyID   string   `json:"key_id,omitempty"`
	Issuer  string   `json:"issuer,omitempty"`
	// SigningKey is the kid of the token.
	SigningKey string `json:"signing_key,omitempty"`

	// Steps are the checks that were made, in their order.
	Steps []Step `json:"steps,omitempty"`

	// Limits are the limits of the last gateway_limit.
	Limits []LimitRow `json:"limits,omitempty"`

	// UpstreamStatus, Reader, Rule, Leak and Body describe how an upstream's error was
	// read. Body is one of the constants below.
	UpstreamStatus int    `json:"upstream_status,omitempty"`
	Reader         string `json:"reader,omitempty"`
	Rule           int    `json:"rule,omitempty"`
	Leak           string `json:"leak,omitempty"`
	Body           string `json:"body,omitempty"`

	// Failure is the private text of an error, the gateway's own or a handler's.
	Failure string `json:"failure,omitempty"`
}

// Outcome is the outcome of a request.
type Outcome string

// The outcomes.
const (
	// Refused by one of the policies.
	Refused Outcome = "refused"
	// Undecided: a policy could not decide.
	Undecided Outcome = "undecided"
	// Shadow: the request went on, and would have been refused.
	Shadow Outcome = "shadow"
	// Upstream answered with an error.
	Upstream Outcome = "upstream"
	// Failed: another handler failed.
	Failed Outcome = "failed"
	// Passed: the request passed. Only a dry run makes a record of it.
	Passed Outcome = "passed"
	// Unrouted: no route of the configuration answers the request.
	Unrouted Outcome = "unrouted"
)

// What happened to the body of an upstream's error.
const (
	BodyPassed     = "passed"
	BodyTranslated = "translated"
	BodyReplaced   = "replaced"
)

// Step is one check and its result.
type Step struct {
	// Policy is the name of the handler.
	Policy string `json:"policy"`
	Result Result `json:"result"`
	// Status of the refusal, in shadow mode the one that the client would have got.
	Status int            `json:"status,omitempty"`
	Reason plugins.Reason `json:"reason,omitempty"`
	// Value is what was found and Bound what was wanted.
	Value string `json:"value,omitempty"`
	Bound string `json:"bound,omitempty"`
}

// Result is the result of a check.
type Result string

// The results of a check.
const (
	StepPassed    Result = "passed"
	StepAnonymous Result = "anonymous"
	StepRefused   Result = "refused"
	StepUndecided Result = "undecided"
	// StepShadow: refused, but for shadow mode.
	StepShadow Result = "would refuse"
)

// LimitRow is the state of one limit after the decision.
type LimitRow struct {
	Name      string `json:"name"`
	Limit     string `json:"limit"`
	Remaining int64  `json:"remaining"`
	// Blocking says that this is the limit that refused.
	Blocking bool `json:"blocking,omitempty"`
	// RetryAfter is the wait until this limit lets the request pass; empty if it did not
	// refuse.
	RetryAfter string `json:"retry_after,omitempty"`
}
