package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func explainCommand() *cobra.Command {
	var support bool
	cmd := &cobra.Command{
		Use:   "explain REQUEST-ID...",
		Short: "Says why a request was refused",
		Long: `Says why a request was refused. The request id is in the X-Request-Id header of
the response. With --json several ids give a list. With --support each is a block of
plain text to paste into a mail.`,
		Args: cobra.MinimumNArgs(1),
		RunE: withClient(func(c *client, ids []string) error {
			records := make([]json.RawMessage, len(ids))
			for i, id := range ids {
				var err error
				if records[i], err = c.ask(http.MethodGet, pathTo("decisions", id), nil); err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
			}
			if c.json && len(records) > 1 {
				list, err := json.Marshal(records)
				if err != nil {
					return err
				}
				c.out.json(list)
				return c.out.err
			}
			tell := c.out.tellRequest
			if support {
				tell = c.out.tellSupport
			}
			for i, record := range records {
				if i > 0 {
					c.out.linef("")
				}
				if err := tellAnswer(c, record, tell); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&support, "support", false, "print a block of plain text to paste into a mail")
	return cmd
}

// tellSupport prints a record as a block to paste into a mail.
func (p *printer) tellSupport(r adminapi.Decision) {
	for line := range strings.Lines(r.Support(adminapi.Versions())) {
		p.linef("%s", strings.TrimSuffix(line, "\n"))
	}
}

// tellRequest prints a record as a short story.
func (p *printer) tellRequest(r adminapi.Decision) {
	ending := fmt.Sprintf("was answered with %d.", r.Status)
	switch {
	case r.Status == 0:
		ending = "was let pass by shadow mode."
	case r.Outcome == adminapi.Shadow:
		ending = fmt.Sprintf("was answered with %d, by shadow mode.", r.Status)
	}
	p.linef("%s %s%s from %s at %s %s", word(r.Method), word(r.Host), word(r.Path), orDash(r.ClientIP), r.Time.Format(time.RFC3339), ending)
	p.tellDecision(r)
}

// tellDecision prints the decision about a request, step by step.
func (p *printer) tellDecision(r adminapi.Decision) {
	if r.RewrittenPath != "" {
		p.linef("The path was rewritten to %s.", word(r.RewrittenPath))
	}
	p.tellCaller(r)
	for i, s := range r.Steps {
		p.linef("%d. %s: %s", i+1, s.Policy, sentence(
			part("%s", s.Result), part(" with %d", s.Status), part(", %s", s.Reason),
			part("; found %s", s.Value), part("; wanted %s", s.Bound)))
	}
	switch r.Outcome {
	case adminapi.Refused:
		p.linef("Refused: %s, by %s.", r.Reason, r.Policy)
	case adminapi.Undecided:
		p.linef("Could not decide: %s, by %s.", orDash(string(r.Reason)), r.Policy)
	}
	if r.Value != "" {
		p.linef("Found:   %s.", r.Value)
	}
	if r.Bound != "" {
		p.linef("Wanted:  %s.", r.Bound)
	}
	if r.RetryAfter != 0 {
		p.linef("Retry:   after %d seconds.", r.RetryAfter)
	}
	for _, l := range r.Limits {
		refused := ""
		if l.Blocking {
			refused = ", which refused"
		}
		p.linef("Limit %s (%s): %d left%s", l.Name, l.Limit, l.Remaining, sentence(part(", passes in %s", l.RetryAfter), part("%s", refused)))
	}
	if r.UpstreamStatus != 0 {
		p.linef("The upstream answered %d; its body was read as %s%s", r.UpstreamStatus, orDash(r.Reader), sentence(
			part(", rule %d holds", r.Rule), part(", its text was held back (%s)", r.Leak), part(", and %s", r.Body)))
	}
	if r.Failure != "" {
		p.linef("Failed:  %s.", r.Failure)
	}
}

// tellCaller prints the caller, as far as it is known.
func (p *printer) tellCaller(r adminapi.Decision) {
	if r.CredentialIn != "" {
		p.linef("Credential: in %s%s", r.CredentialIn, sentence(
			part(", scheme %s", r.Scheme), part(", key %s", r.KeyID), part(", issuer %s", r.Issuer), part(", kid %s", r.SigningKey)))
	}
	if r.Subject == "" {
		return
	}
	owner := r.Owner
	if owner == r.Subject {
		owner = ""
	}
	p.linef("Caller: %s%s", r.Subject, sentence(
		part(", owner %s", owner), part("; roles %s", orDash(strings.Join(r.Roles, ", "))), part("; tier %s", orDash(r.Tier))))
}
