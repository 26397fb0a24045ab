package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func limitCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "limit", Short: "Shows and resets what is left of rate limits, and gives owners limits of their own"}
	cmd.AddCommand(limitShowCommand(), limitResetCommand(), limitSetCommand(), limitUnsetCommand(), limitListCommand())
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
	if err := c.table("ZONE\tNAME\tBY\tLIMIT\tREMAINING\tRESET", rows); err != nil {
		return err
	}
	if i := slices.IndexFunc(list, func(row usageRow) bool { return row.Share != nil }); i >= 0 {
		_, err := fmt.Fprintf(c.out, "The limiter's Redis can't be asked: what remains is of the %.3g of each limit that this gateway grants alone.\n", *list[i].Share)
		return err
	}
	return nil
}

func limitSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set OWNER [LIMIT...] [--tier TIER] [--concurrency COUNT]",
		Short: "Gives an owner limits of their own",
		Long: `Gives an owner limits, a tier or a concurrency of their own, in place of what
was set before:

	caddy gateway limit set u1 600/1m burst 100 100000/1d

It holds for the next request here, and within a second for other processes on
the same store.`,
		Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *adminClient, cmd *cobra.Command, args []string) error {
			in := ownerInput{Limits: limitsOf(args[1:])}
			in.Tier, _ = cmd.Flags().GetString("tier")
			in.Concurrency, _ = cmd.Flags().GetInt("concurrency")
			var owner ownerJSON
			if err := c.ask(http.MethodPut, pathTo("owners", args[0]), in, &owner); err != nil {
				return err
			}
			return c.printOwners(owner, []ownerJSON{owner})
		}),
	}
	cmd.Flags().String("tier", "", "The tier instead of that of the owner's credentials")
	cmd.Flags().Int("concurrency", 0, "How many requests may be under way at once")
	return cmd
}

// limitsOf puts the words of limits together: each begins with a count and a
// period, whether it is quoted or not.
func limitsOf(args []string) []string {
	limits := []string{}
	for word := range strings.FieldsSeq(strings.Join(args, " ")) {
		if last := len(limits) - 1; last < 0 || strings.Contains(word, "/") {
			limits = append(limits, word)
		} else {
			limits[last] += " " + word
		}
	}
	return limits
}

func limitUnsetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unset OWNER",
		Short: "Takes back what was set for an owner",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			var owner ownerJSON
			if err := c.ask(http.MethodDelete, pathTo("owners", args[0]), nil, &owner); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(owner)
			}
			_, err := fmt.Fprintf(c.out, "Owner %s has no limits of their own any more but those of the configuration.\n", owner.Owner)
			return err
		}),
	}
}

func limitListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Lists the owners that have limits of their own",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, _ *cobra.Command, _ []string) error {
			list := []ownerJSON{}
			if err := c.ask(http.MethodGet, pathTo("owners"), nil, &list); err != nil {
				return err
			}
			return c.printOwners(list, list)
		}),
	}
}

func (c *adminClient) printOwners(asJSON any, list []ownerJSON) error {
	if c.json {
		return c.printJSON(asJSON)
	}
	var rows []string
	for _, o := range list {
		limits, concurrency := strings.Join(o.Limits, ", "), fmt.Sprint(o.Concurrency)
		if limits == "" {
			limits = "-"
		}
		if o.Concurrency == 0 {
			concurrency = "-"
		}
		rows = append(rows, strings.Join([]string{o.Owner, textOr(o.Tier), limits, concurrency, o.Source, textOr(o.UpdatedAt)}, "\t"))
	}
	return c.table("OWNER\tTIER\tLIMITS\tCONCURRENCY\tSOURCE\tUPDATED", rows)
}
