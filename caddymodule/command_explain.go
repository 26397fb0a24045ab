package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/plugins/decision"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain REQUEST-ID...",
		Short: "Says why a request was refused",
		Long: `Says why a request was refused. The request id is in the X-Request-Id header of
the response. With --json several ids give a list.`,
		Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			records := make([]decision.Record, len(args))
			for i, id := range args {
				if err := c.ask(http.MethodGet, pathTo("decisions", id), nil, &records[i]); err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
			}
			switch {
			case c.json && len(records) == 1:
				return c.printJSON(records[0])
			case c.json:
				return c.printJSON(records)
			}
			for i, record := range records {
				if i > 0 {
					fmt.Fprintln(c.out)
				}
				tell(c.out, record)
			}
			return nil
		}),
	}
}

// tell prints a record as a short story.
func tell(w io.Writer, r decision.Record) {
	fmt.Fprintf(w, "%s %s%s from %s at %s ", r.Method, r.Host, r.Path, orDash(r.ClientIP), r.Time.Format(time.RFC3339))
	switch {
	case r.Status == 0:
		fmt.Fprintln(w, "was let pass by shadow mode.")
	case r.Outcome == decision.Shadow:
		fmt.Fprintf(w, "was answered with %d, by shadow mode.\n", r.Status)
	default:
		fmt.Fprintf(w, "was answered with %d.\n", r.Status)
	}
	tellDecision(w, r)
}

// tellDecision prints what was found out about a request, step by step.
func tellDecision(w io.Writer, r decision.Record) {
	if r.RewrittenPath != "" {
		fmt.Fprintf(w, "The path was rewritten to %s.\n", r.RewrittenPath)
	}
	tellCaller(w, r)
	for i, s := range r.Steps {
		fmt.Fprintf(w, "%d. %s: %s\n", i+1, s.Policy, stepText(s))
	}
	switch r.Outcome {
	case decision.Refused:
		fmt.Fprintf(w, "Refused: %s, by %s.\n", r.Reason, r.Policy)
	case decision.Undecided:
		fmt.Fprintf(w, "Could not decide: %s, by %s.\n", orDash(string(r.Reason)), r.Policy)
	}
	if r.Value != "" {
		fmt.Fprintf(w, "Found:   %s.\n", r.Value)
	}
	if r.Bound != "" {
		fmt.Fprintf(w, "Wanted:  %s.\n", r.Bound)
	}
	if r.RetryAfter != 0 {
		fmt.Fprintf(w, "Retry:   after %d seconds.\n", r.RetryAfter)
	}
	for _, l := range r.Limits {
		tellLimit(w, l)
	}
	if r.UpstreamStatus != 0 {
		tellUpstream(w, r)
	}
	if r.Failure != "" {
		fmt.Fprintf(w, "Failed:  %s.\n", r.Failure)
	}
}

// tellCaller says who called, as far as it is known.
func tellCaller(w io.Writer, r decision.Record) {
	if r.CredentialIn != "" {
		fmt.Fprintf(w, "Credential: in %s", r.CredentialIn)
		for _, part := range [][2]string{{"scheme", r.Scheme}, {"key", r.KeyID}, {"issuer", r.Issuer}, {"kid", r.SigningKey}} {
			if part[1] != "" {
				fmt.Fprintf(w, ", %s %s", part[0], part[1])
			}
		}
		fmt.Fprintln(w, ".")
	}
	if r.Subject == "" {
		return
	}
	fmt.Fprintf(w, "Caller: %s", r.Subject)
	if r.Owner != "" && r.Owner != r.Subject {
		fmt.Fprintf(w, ", owner %s", r.Owner)
	}
	fmt.Fprintf(w, "; roles %s; tier %s.\n", orDash(strings.Join(r.Roles, ", ")), orDash(r.Tier))
}

// stepText says how one check went.
func stepText(s decision.Step) string {
	text := string(s.Result)
	if s.Status != 0 {
		text += fmt.Sprintf(" with %d", s.Status)
	}
	if s.Reason != "" {
		text += ", " + string(s.Reason)
	}
	if s.Value != "" {
		text += "; found " + s.Value
	}
	if s.Bound != "" {
		text += "; wanted " + s.Bound
	}
	return text + "."
}

func tellLimit(w io.Writer, l decision.LimitRow) {
	fmt.Fprintf(w, "Limit %s (%s): %d left", l.Name, l.Limit, l.Remaining)
	if l.RetryAfter != "" {
		fmt.Fprintf(w, ", passes in %s", l.RetryAfter)
	}
	if l.Blocking {
		fmt.Fprint(w, ", which refused")
	}
	fmt.Fprintln(w, ".")
}

// tellUpstream says what became of an upstream's error.
func tellUpstream(w io.Writer, r decision.Record) {
	fmt.Fprintf(w, "The upstream answered %d; its body was read as %s", r.UpstreamStatus, orDash(r.Reader))
	if r.Rule != 0 {
		fmt.Fprintf(w, ", rule %d holds", r.Rule)
	}
	if r.Leak != "" {
		fmt.Fprintf(w, ", its text was held back (%s)", r.Leak)
	}
	if r.Body != "" {
		fmt.Fprintf(w, ", and %s", r.Body)
	}
	fmt.Fprintln(w, ".")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
