package caddymodule

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit [--actor ACTOR] [--action ACTION] [--target TARGET] [--since TIME] [--limit COUNT]",
		Short: "Shows who did what, newest first",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			for _, name := range []string{"actor", "action", "target", "since"} {
				if cmd.Flags().Changed(name) {
					value, _ := cmd.Flags().GetString(name)
					query.Set(name, value)
				}
			}
			limit, _ := cmd.Flags().GetInt("limit")
			query.Set("limit", strconv.Itoa(limit))
			entries := []auditJSON{}
			if err := c.ask(http.MethodGet, pathTo("audit")+"?"+query.Encode(), nil, &entries); err != nil {
				return err
			}
			return printList(c, entries, "AT\tACTOR\tACTION\tTARGET\tFROM\tRESULT", func(e auditJSON) []string {
				return []string{textOr(e.At), e.Actor, e.Action, e.Target, e.From, e.Result}
			})
		}),
	}
	cmd.Flags().String("actor", "", "Only what this one did: the id of an account, an address, or admin")
	cmd.Flags().String("action", "", "Only this action, like login or key.create")
	cmd.Flags().String("target", "", "Only what was done to this one")
	cmd.Flags().String("since", "", "Only what was done at or after this time, RFC 3339")
	cmd.Flags().Int("limit", defaultAuditLimit, "How many entries")
	return cmd
}
