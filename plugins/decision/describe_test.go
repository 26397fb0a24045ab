package decision

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// hide stands for what takes secrets out of the texts of errors.
func hide(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }

func TestEnding(t *testing.T) {
	denial := &plugins.Denial{Status: 403, Reason: plugins.ReasonRoleMissing, Value: "roles USER", Bound: "any of ADMIN"}
	down := &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: errors.New("dial db: password hunter2 refused")}
	for _, tc := range []struct {
		name   string
		ending Ending
		want   Record
	}{
		{
			"a denial",
			Ending{Denial: denial, Err: errors.New("x"), LastStep: StepRefused, Policy: "gateway_roles"},
			Record{Outcome: Refused, Policy: "gateway_roles", Reason: "role_missing", Value: "roles USER", Bound: "any of ADMIN"},
		},
		{
			"a denial that waiting helps against",
			Ending{Denial: &plugins.Denial{Reason: "r"}, RetryAfter: 30, Policy: "p"},
			Record{Outcome: Refused, Policy: "p", Reason: "r", RetryAfter: 30},
		},
		{
			"a failure to decide, wrapped",
			Ending{Err: fmt.Errorf("asking: %w", down), LastStep: StepUndecided, Policy: "gateway_auth"},
			Record{Outcome: Undecided, Policy: "gateway_auth", Reason: plugins.ReasonStoreUnavailable, Failure: "dial db: password *** refused"},
		},
		{
			"a failure to decide without a reason",
			Ending{Err: errors.New("odd"), LastStep: StepUndecided, Policy: "gateway_limit"},
			Record{Outcome: Undecided, Policy: "gateway_limit", Failure: "odd"},
		},
		{
			"no route",
			Ending{Err: errors.New("no route of the configuration"), Unrouted: true, LastStep: StepPassed, Policy: "gateway_auth"},
			Record{Outcome: Unrouted, Failure: "no route of the configuration"},
		},
		{
			"another handler",
			Ending{Err: errors.New("hunter2 was wrong"), LastStep: StepPassed, Policy: "gateway_auth"},
			Record{Outcome: Failed, Failure: "*** was wrong"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got Record
			got.SetEnding(tc.ending, hide)
			if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", tc.want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

func TestStepInWords(t *testing.T) {
	var refused, failed Step
	refused.SetDenial(&plugins.Denial{Status: 429, Reason: plugins.ReasonRateLimited, Value: "0 left", Bound: "5/1h"})
	if want := (Step{Status: 429, Reason: plugins.ReasonRateLimited, Value: "0 left", Bound: "5/1h"}); refused != want {
		t.Errorf("got %+v, want %+v", refused, want)
	}
	failed.SetFailure(&plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: errors.New("hunter2")}, hide)
	if want := (Step{Status: 503, Reason: plugins.ReasonStoreUnavailable, Value: "***"}); failed != want {
		t.Errorf("got %+v, want %+v", failed, want)
	}
}

func TestCredentialText(t *testing.T) {
	at := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		p    plugins.Principal
		want string
	}{
		{plugins.Principal{Scheme: plugins.SchemeBearer, Issuer: "main"}, "token of issuer main"},
		{plugins.Principal{Scheme: plugins.SchemeBearer, Issuer: "main", SigningKey: "k1", ExpiresAt: at}, "token of issuer main, kid k1, expires 2026-02-03T10:00:00Z"},
		{plugins.Principal{Scheme: plugins.SchemeAPIKey, KeyID: "id1"}, "API key id1"},
	} {
		if got := CredentialText(&tc.p); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// The lists of a principal are in a cache that many requests share: a record has
// its own.
func TestCallerIsCopied(t *testing.T) {
	p := &plugins.Principal{Subject: "u1", Owner: "o1", Roles: []string{"USER"}, Scopes: make([]string, MaxList+5)}
	var r Record
	r.SetCaller(p)
	NewJournal(1).Add(&r)
	r.Roles[0] = "ADMIN"
	if p.Roles[0] != "USER" {
		t.Error("the record shares its roles with the caller")
	}
	if len(r.Scopes) != MaxList {
		t.Errorf("got %d scopes, want %d at most", len(r.Scopes), MaxList)
	}
}
