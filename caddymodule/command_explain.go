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
		Use:   "explain REQUEST-ID",
		Short: "Says why a request was refused",
		Long:  "Says why a request was refused. The request id is in the X-Request-Id header of the response.",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			var record decision.Record
			if err := c.ask(http.MethodGet, pathTo("decisions", args[0]), nil, &record); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(record)
			}
			tell(c.out, record)
			return nil
		}),
	}
}

// tell prints a record as a short story.
func tell(w io.Writer, r decision.Record) {
	fmt.Fprintf(w, "%s %s%s from %s at %s was answered with %d.\n", r.Method, r.Host, r.Path, r.ClientIP, r.Time.Format(time.RFC3339), r.Status)
	if r.Subject != "" {
		fmt.Fprintf(w, "Caller: %s by %s", r.Subject, r.Scheme)
		if r.KeyID != "" {
			fmt.Fprintf(w, ", key %s", r.KeyID)
		}
		if r.Issuer != "" {
			fmt.Fprintf(w, ", issuer %s", r.Issuer)
		}
		fmt.Fprintf(w, "; roles %s; tier %s.\n", strings.Join(r.Roles, ", "), orDash(r.Tier))
	}
	if r.Reason != "" {
		fmt.Fprintf(w, "Refused: %s.\n", r.Reason)
		if r.Value != "" {
			fmt.Fprintf(w, "Found:   %s.\n", r.Value)
		}
		if r.Bound != "" {
			fmt.Fprintf(w, "Wanted:  %s.\n", r.Bound)
		}
	}
	for _, l := range r.Limits {
		fmt.Fprintf(w, "Limit %s (%s): %d left", l.Name, l.Limit, l.Remaining)
		if l.RetryAfter != "" {
			fmt.Fprintf(w, ", passes in %s", l.RetryAfter)
		}
		fmt.Fprintln(w, ".")
	}
	if r.UpstreamStatus != 0 {
		fmt.Fprintf(w, "The upstream answered %d; its body was read as %s", r.UpstreamStatus, orDash(r.Reader))
		if r.Rule != 0 {
			fmt.Fprintf(w, ", rule %d holds", r.Rule)
		}
		if r.Leak != "" {
			fmt.Fprintf(w, ", its text was held back (%s)", r.Leak)
		}
		fmt.Fprintln(w, ".")
	}
	if r.Failure != "" {
		fmt.Fprintf(w, "Failed:  %s.\n", r.Failure)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
