package caddymodule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/plugins/decision"
)

func tailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail [--reason REASON] [--owner OWNER] [--policy POLICY] [--path PREFIX] [--status 4xx] [--last N] [--once]",
		Short: "Follows refusals as they happen",
		Long: `Prints a line for each request that is refused, fails, or would have been refused
but for shadow mode. It goes on over reloads, and ends when Caddy does. --once
prints what is known and ends.`,
		Args: cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error { return c.tail(cmd) }),
	}
	cmd.Flags().String("reason", "", "Only refusals for this reason")
	cmd.Flags().String("owner", "", "Only requests of this owner or subject")
	cmd.Flags().String("policy", "", "Only refusals by this policy, like gateway_limit")
	cmd.Flags().String("path", "", "Only requests whose path begins so")
	cmd.Flags().String("status", "", "Only answers with this status, like 403, or of this class, like 5xx")
	cmd.Flags().String("outcome", "", "Only refused, undecided, shadow, upstream, failed or unrouted")
	cmd.Flags().Int("last", 0, "Begin with so many that have happened already")
	cmd.Flags().Bool("once", false, "Do not wait for more")
	return cmd
}

// tailLine is a line of the stream: a record, or a note of what was lost.
type tailLine struct {
	decision.Record
	Dropped uint64 `json:"dropped"`
}

// tail prints records as they come. When the stream ends it asks again from where
// it was, until nobody answers.
func (c *adminClient) tail(cmd *cobra.Command) error {
	query := url.Values{}
	for _, name := range []string{"reason", "owner", "policy", "path", "status", "outcome"} {
		if value, _ := cmd.Flags().GetString(name); value != "" {
			query.Set(name, value)
		}
	}
	last, _ := cmd.Flags().GetInt("last")
	once, _ := cmd.Flags().GetBool("once")
	if once && last == 0 {
		last = defaultDecisions
	}
	seen := uint64(0)
	if last > 0 || !once {
		query.Set("limit", strconv.Itoa(max(last, 1)))
		var records []decision.Record
		if err := c.ask(http.MethodGet, pathTo("decisions")+"?"+query.Encode(), nil, &records); err != nil {
			return err
		}
		for _, record := range slices.Backward(records) {
			seen = max(seen, record.Seq)
			if last > 0 {
				if err := c.printTail(tailLine{Record: record}); err != nil {
					return err
				}
			}
		}
	}
	if once {
		return nil
	}
	query.Set("follow", "1")
	connected := false
	for {
		// What came between two streams is in the journal.
		query.Set("after", strconv.FormatUint(seen, 10))
		err := c.follow(query, &seen)
		if _, gone := errors.AsType[*streamError](err); !gone && err != nil {
			if connected {
				return nil
			}
			return err
		}
		connected = true
		time.Sleep(200 * time.Millisecond)
	}
}

// streamError is a stream that began and broke off.
type streamError struct{ error }

func (c *adminClient) follow(query url.Values, seen *uint64) error {
	answer, err := caddycmd.AdminAPIRequest(c.address, http.MethodGet, pathTo("decisions")+"?"+query.Encode(), nil, nil)
	if err != nil {
		return c.explain(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line tailLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		*seen = max(*seen, line.Seq)
		if err := c.printTail(line); err != nil {
			return err
		}
	}
	return &streamError{lines.Err()}
}

// printTail prints a line; with --json a line of JSON, so that it can be read by
// programs while it comes.
func (c *adminClient) printTail(line tailLine) error {
	r := line.Record
	switch {
	case line.Dropped != 0 && c.json:
		return json.NewEncoder(c.out).Encode(map[string]uint64{"dropped": line.Dropped})
	case line.Dropped != 0:
		_, err := fmt.Fprintf(c.out, "... %d more that came too fast to be shown ...\n", line.Dropped)
		return err
	case r.Seq == 0:
		// A sign of life.
		return nil
	case c.json:
		return json.NewEncoder(c.out).Encode(r)
	}
	reason := string(r.Reason)
	if reason == "" {
		reason = string(r.Outcome)
	}
	if r.Outcome == decision.Shadow {
		for _, s := range r.Steps {
			if s.Result == decision.StepShadow {
				reason = "shadow: " + string(s.Reason)
			}
		}
	}
	found := r.Value
	if r.Bound != "" {
		found += ", want " + r.Bound
	}
	if found == "" {
		found = r.Failure
	}
	who := r.Owner
	if who == "" {
		who = r.Subject
	}
	_, err := fmt.Fprintf(c.out, "%s %3d %-24s %-16s %s %s%s %s %s\n", r.Time.Format("15:04:05.000"), r.Status, reason, orDash(who), r.Method, r.Host, r.Path, r.RequestID, found)
	return err
}

func shadowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shadow-report [--since 24h] [--reset]",
		Short: "Sums up what shadow mode let pass",
		Long: `Sums up what policies in shadow mode would have refused, by policy, reason and
route, so that a policy can be turned on knowing what will happen.`,
		Args: cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error {
			path, method := pathTo("shadow"), http.MethodGet
			if since, _ := cmd.Flags().GetString("since"); since != "" {
				path += "?since=" + url.QueryEscape(since)
			}
			if reset, _ := cmd.Flags().GetBool("reset"); reset {
				method = http.MethodDelete
			}
			var answer shadowJSON
			if err := c.ask(method, path, nil, &answer); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(answer)
			}
			fmt.Fprintf(c.out, "Since %s:\n", answer.Since.Format(time.RFC3339))
			var rows []string
			for _, r := range answer.Rows {
				rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%d\t%s\t%s\t%s", r.Count, r.Policy, r.Reason, r.Status, r.Route, r.Last.Format(time.RFC3339), r.LastRequestID))
			}
			return c.table("COUNT\tPOLICY\tREASON\tSTATUS\tROUTE\tLAST\tLAST REQUEST", rows)
		}),
	}
	cmd.Flags().String("since", "", "From when on, like 24h, or a time; as long as is known if not given, whole hours and 7 days at most")
	cmd.Flags().Bool("reset", false, "Print it and begin anew")
	cmd.MarkFlagsMutuallyExclusive("since", "reset")
	return cmd
}
