package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func limitCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "limit", Short: "Shows and resets what is left of rate limits"}
	cmd.AddCommand(limitShowCommand(), limitResetCommand())
	return cmd
}

func limitShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show OWNER [--zone ZONE]",
		Short: "Shows what is left to an owner, and charges nothing",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, cmd *cobra.Command, args []string) error {
			path := pathTo("usage", args[0])
			if zone, _ := cmd.Flags().GetString("zone"); zone != "" {
				path = pathTo("limits", zone, args[0])
			}
			list := []usageRow{}
			if err := c.ask(http.MethodGet, path, nil, &list); err != nil {
				return err
			}
			return c.printUsage(list)
		}),
	}
	cmd.Flags().String("zone", "", "Only this zone")
	return cmd
}

func limitResetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset OWNER [--zone ZONE]",
		Short: "Makes the counts of an owner begin anew",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, cmd *cobra.Command, args []string) error {
			var zones []string
			if zone, _ := cmd.Flags().GetString("zone"); zone != "" {
				zones = []string{zone}
			} else {
				list := []usageRow{}
				if err := c.ask(http.MethodGet, pathTo("usage", args[0]), nil, &list); err != nil {
					return err
				}
				for _, row := range list {
					if !slices.Contains(zones, row.Zone) {
						zones = append(zones, row.Zone)
					}
				}
			}
			after := []usageRow{}
			for _, zone := range zones {
				list := []usageRow{}
				if err := c.ask(http.MethodDelete, pathTo("limits", zone, args[0]), nil, &list); err != nil {
					return err
				}
				after = append(after, list...)
			}
			return c.printUsage(after)
		}),
	}
	cmd.Flags().String("zone", "", "Only this zone")
	return cmd
}

func (c *adminClient) printUsage(list []usageRow) error {
	if c.json {
		return c.printJSON(list)
	}
	var rows []string
	for _, row := range list {
		rows = append(rows, strings.Join([]string{row.Zone, row.Name, row.By, row.Limit, fmt.Sprint(row.Remaining), fmt.Sprintf("%ds", row.Reset)}, "\t"))
	}
	return c.table("ZONE\tNAME\tBY\tLIMIT\tREMAINING\tRESET", rows)
}
