package command

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit [--actor ACTOR] [--action ACTION] [--target TARGET] [--since TIME] [--limit COUNT]",
		Short: "Shows who did what, newest first",
		Args:  cobra.NoArgs,
	}
	flags := cmd.Flags()
	filters := map[string]*string{
		"actor":  flags.String("actor", "", "Only what this actor did: the id of an account, an address, or admin"),
		"action": flags.String("action", "", "Only this action, like login or key.create"),
		"target": flags.String("target", "", "Only what was done to this target"),
		"since":  flags.String("since", "", "Only what was done at or after this time, RFC 3339"),
	}
	limit := flags.Int("limit", adminapi.DefaultAuditLimit, "How many entries")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		for name, value := range filters {
			if flags.Changed(name) {
				query.Set(name, *value)
			}
		}
		return showList(c, pathTo("audit")+"?"+query.Encode(), []string{"AT", "ACTOR", "ACTION", "TARGET", "FROM", "RESULT"},
			func(e adminapi.AuditEntry) []string {
				return []string{textOr(e.At), e.Actor, e.Action, e.Target, e.From, e.Result}
			})
	})
	return cmd
}
