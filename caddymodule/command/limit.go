package command

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func limitCommand() *cobra.Command {
	return group("limit", "Shows and resets what is left of rate limits, and gives owners limits of their own",
		limitShowCommand(), limitResetCommand(), limitSetCommand(), limitUnsetCommand(), limitListCommand())
}

func limitShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show OWNER [--zone ZONE]",
		Short: "Shows what is left to an owner, and charges nothing",
		Args:  cobra.ExactArgs(1),
	}
	zone := cmd.Flags().String("zone", "", "Only this zone")
	cmd.RunE = withClient(func(c *client, args []string) error {
		path := pathTo("usage", args[0])
		if *zone != "" {
			path = pathTo("limits", *zone, args[0])
		}
		return show(c, http.MethodGet, path, nil, c.tellUsage)
	})
	return cmd
}

func limitResetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset OWNER [--zone ZONE]",
		Short: "Sets the counts of an owner to zero",
		Args:  cobra.ExactArgs(1),
	}
	zone := cmd.Flags().String("zone", "", "Only this zone")
	cmd.RunE = withClient(func(c *client, args []string) error {
		zones := []string{*zone}
		if *zone == "" {
			var err error
			if zones, err = c.zonesOf(args[0]); err != nil {
				return err
			}
		}
		after := []json.RawMessage{}
		for _, zone := range zones {
			raw, err := c.ask(http.MethodDelete, pathTo("limits", zone, args[0]), nil)
			if err != nil {
				return err
			}
			var rows []json.RawMessage
			if err := json.Unmarshal(raw, &rows); err != nil {
				return err
			}
			after = append(after, rows...)
		}
		raw, err := json.Marshal(after)
		if err != nil {
			return err
		}
		return tellAnswer(c, raw, c.tellUsage)
	})
	return cmd
}

// zonesOf are the zones in which an owner is counted.
func (c *client) zonesOf(owner string) ([]string, error) {
	raw, err := c.ask(http.MethodGet, pathTo("usage", owner), nil)
	if err != nil {
		return nil, err
	}
	var list []adminapi.Usage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var zones []string
	for _, u := range list {
		if !slices.Contains(zones, u.Zone) {
			zones = append(zones, u.Zone)
		}
	}
	return zones, nil
}

func (c *client) tellUsage(list []adminapi.Usage) {
	tellList(c, list, []string{"ZONE", "NAME", "BY", "LIMIT", "REMAINING", "RESET"}, func(u adminapi.Usage) []string {
		return []string{u.Zone, u.Name, u.By, u.Limit, strconv.FormatInt(u.Remaining, 10), strconv.FormatInt(u.Reset, 10) + "s"}
	})
	if i := slices.IndexFunc(list, func(u adminapi.Usage) bool { return u.Share != nil }); i >= 0 {
		c.out.linef("The limiter's Redis can't be asked: what remains is of the %.3g of each limit that this gateway grants alone.", *list[i].Share)
	}
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
	}
	var in adminapi.OwnerInput
	cmd.Flags().StringVar(&in.Tier, "tier", "", "The tier instead of that of the owner's credentials")
	cmd.Flags().IntVar(&in.Concurrency, "concurrency", 0, "How many requests may be under way at once")
	cmd.RunE = withClient(func(c *client, args []string) error {
		in.Limits = limitsOf(args[1:])
		return show(c, http.MethodPut, pathTo("owners", args[0]), in, func(o adminapi.Owner) { c.tellOwners([]adminapi.Owner{o}) })
	})
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
	return leaf("unset OWNER", "Deletes the limits that were set for an owner", cobra.ExactArgs(1), func(c *client, args []string) error {
		return show(c, http.MethodDelete, pathTo("owners", args[0]), nil, func(o adminapi.Owner) {
			c.out.linef("Owner %s has no limits of their own any more but those of the configuration.", o.Owner)
		})
	})
}

func limitListCommand() *cobra.Command {
	return leaf("list", "Lists the owners that have limits of their own", cobra.NoArgs, func(c *client, _ []string) error {
		return show(c, http.MethodGet, pathTo("owners"), nil, c.tellOwners)
	})
}

func (c *client) tellOwners(list []adminapi.Owner) {
	tellList(c, list, []string{"OWNER", "TIER", "LIMITS", "CONCURRENCY", "SOURCE", "UPDATED"}, func(o adminapi.Owner) []string {
		concurrency := "-"
		if o.Concurrency != 0 {
			concurrency = strconv.Itoa(o.Concurrency)
		}
		return []string{o.Owner, textOr(o.Tier), orDash(strings.Join(o.Limits, ", ")), concurrency, o.Source, textOr(o.UpdatedAt)}
	})
}
