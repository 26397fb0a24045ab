package command

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func tailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail [--reason REASON] [--owner OWNER] [--policy POLICY] [--path PREFIX] [--status 4xx] [--last N] [--once]",
		Short: "Follows refusals as they happen",
		Long: `Prints a line for each request that is refused, fails, or would have been refused
but for shadow mode. It goes on over reloads, and ends when Caddy does. --once
prints what is known and ends.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	filters := map[string]*string{
		"reason":  flags.String("reason", "", "Only refusals for this reason"),
		"owner":   flags.String("owner", "", "Only requests of this owner or subject"),
		"policy":  flags.String("policy", "", "Only refusals by this policy, like gateway_limit"),
		"path":    flags.String("path", "", "Only requests whose path begins with this"),
		"status":  flags.String("status", "", "Only answers with this status, like 403, or of this class, like 5xx"),
		"outcome": flags.String("outcome", "", "Only refused, undecided, shadow, upstream, failed or unrouted"),
	}
	last := flags.Int("last", 0, "Begin with this many past refusals")
	once := flags.Bool("once", false, "Do not wait for more")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		query := url.Values{}
		for name, value := range filters {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		if *once && *last == 0 {
			*last = adminapi.DefaultDecisions
		}
		seen, err := c.tellLast(query, *last, *once)
		if err != nil || *once {
			return err
		}
		return c.follow(cmd.Context(), query, seen)
	})
	return cmd
}

// tellLast prints the last records and returns the number of the newest. It asks
// for that too where none is to be printed, unless nothing comes after it.
func (c *client) tellLast(query url.Values, last int, once bool) (seen uint64, err error) {
	if last <= 0 && once {
		return 0, nil
	}
	query.Set("limit", strconv.Itoa(max(last, 1)))
	raw, err := c.ask(http.MethodGet, pathTo("decisions")+"?"+query.Encode(), nil)
	if err != nil {
		return 0, err
	}
	var records []json.RawMessage
	if err := json.Unmarshal(raw, &records); err != nil {
		return 0, err
	}
	for _, record := range slices.Backward(records) {
		if err := c.tellStreamed(record, &seen, last > 0); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// follow prints records as they come. When the stream ends it asks again from the last
// record on, until no Caddy answers.
func (c *client) follow(ctx context.Context, query url.Values, seen uint64) error {
	query.Set("follow", "1")
	for connected := false; ; connected = true {
		// The journal has the records that came between two streams.
		query.Set("after", strconv.FormatUint(seen, 10))
		err := c.followOnce(query, &seen)
		if _, ended := errors.AsType[*streamError](err); !ended && err != nil {
			if connected {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// streamError is a stream that began and broke off.
type streamError struct{ error }

func (c *client) followOnce(query url.Values, seen *uint64) error {
	answer, err := caddycmd.AdminAPIRequest(c.address, http.MethodGet, pathTo("decisions")+"?"+query.Encode(), nil, nil)
	if err != nil {
		return c.explain(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := c.tellStreamed(lines.Bytes(), seen, true); err != nil {
			return err
		}
	}
	return &streamError{lines.Err()}
}

// tellStreamed notes the number of a record of the stream, and prints the record if tell
// says so.
func (c *client) tellStreamed(raw json.RawMessage, seen *uint64, tell bool) error {
	var line adminapi.StreamLine
	if err := json.Unmarshal(raw, &line); err != nil {
		return err
	}
	*seen = max(*seen, line.Seq)
	switch {
	case !tell, line.Dropped == 0 && line.Seq == 0:
		// The latter is a sign of life.
	case c.json:
		c.out.jsonLine(raw)
	case line.Dropped != 0:
		c.out.linef("... %d more that came too fast to be shown ...", line.Dropped)
	default:
		c.out.tellShort(&line.Decision)
	}
	return c.out.err
}

// tellShort prints a record on one line.
func (p *printer) tellShort(r *adminapi.Decision) {
	reason := cmp.Or(string(r.Reason), string(r.Outcome))
	if r.Outcome == adminapi.Shadow {
		for _, s := range r.Steps {
			if s.Result == adminapi.StepShadow {
				reason = "shadow: " + string(s.Reason)
			}
		}
	}
	found := r.Value
	if r.Bound != "" {
		found += ", want " + r.Bound
	}
	p.linef("%s %3d %-24s %-16s %s %s%s %s %s", r.Time.Format("15:04:05.000"), r.Status, reason, word(cmp.Or(r.Owner, r.Subject, "-")),
		word(r.Method), word(r.Host), word(r.Path), r.RequestID, cmp.Or(found, r.Failure))
}
