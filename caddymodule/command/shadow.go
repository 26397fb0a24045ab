package command

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func shadowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shadow-report [--since 24h] [--reset]",
		Short: "Sums up the requests that shadow mode let pass",
		Long: `Sums up what policies in shadow mode would have refused, by policy, reason and
route, so that a policy can be turned on knowing what will happen.`,
		Args: cobra.NoArgs,
	}
	since := cmd.Flags().String("since", "", "Since when, a duration like 24h or a time: in whole hours, 7 days at most; all that is known if not given")
	reset := cmd.Flags().Bool("reset", false, "Print it, and set the counts to zero")
	cmd.MarkFlagsMutuallyExclusive("since", "reset")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		path, method := pathTo("shadow"), http.MethodGet
		if *since != "" {
			path += "?since=" + url.QueryEscape(*since)
		}
		if *reset {
			method = http.MethodDelete
		}
		return show(c, method, path, nil, func(report adminapi.ShadowReport) {
			c.out.linef("Since %s:", report.Since.Format(time.RFC3339))
			rows := make([][]string, 0, len(report.Rows))
			for _, r := range report.Rows {
				rows = append(rows, []string{
					strconv.FormatUint(r.Count, 10), r.Policy, r.Reason, strconv.Itoa(r.Status), r.Route, r.Last.Format(time.RFC3339), r.LastRequestID,
				})
			}
			c.out.table([]string{"COUNT", "POLICY", "REASON", "STATUS", "ROUTE", "LAST", "LAST REQUEST"}, rows)
		})
	})
	return cmd
}
