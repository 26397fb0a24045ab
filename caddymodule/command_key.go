package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Makes, lists and revokes API keys"}
	cmd.AddCommand(keyCreateCommand(), keyListCommand(), keyShowCommand(), keyRevokeCommand(), keyRotateCommand(), keyImportCommand())
	return cmd
}

func keyCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --owner OWNER [--name NAME] [--role ROLE] [--tier TIER] [--scopes A,B] [--expires 90d] [--ip-allow CIDR,...] [--limit LIMIT] [--test]",
		Short: "Makes an API key and prints it, once",
		Long: `Makes an API key. The key is printed alone on standard output, so that
KEY=$(caddy gateway key create --owner u1) works; what else there is to know
goes to standard error. It is not shown again.`,
		Args: cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error {
			body := map[string]any{}
			flags := cmd.Flags()
			for flag, field := range map[string]string{"owner": "owner", "name": "name", "role": "role", "tier": "tier", "expires": "expires"} {
				if flags.Changed(flag) {
					body[field], _ = flags.GetString(flag)
				}
			}
			for flag, field := range map[string]string{"scopes": "scopes", "ip-allow": "ip_allow"} {
				if flags.Changed(flag) {
					body[field], _ = flags.GetStringSlice(flag)
				}
			}
			if flags.Changed("limit") {
				body["limits"], _ = flags.GetStringArray("limit")
			}
			if test, _ := flags.GetBool("test"); test {
				body["test"] = true
			}
			var key keyJSON
			if err := c.ask(http.MethodPost, pathTo("keys"), body, &key); err != nil {
				return err
			}
			return c.printNewKey(key)
		}),
	}
	cmd.Flags().String("owner", "", "Whom the key acts for (required)")
	cmd.Flags().String("name", "", "A label")
	cmd.Flags().String("role", "", "The role it grants; the default role if not given")
	cmd.Flags().String("tier", "", "The tier whose limits hold; the default tier if not given")
	cmd.Flags().StringSlice("scopes", nil, "The scopes it grants, separated by commas")
	cmd.Flags().String("expires", "", "How long it works, like 90d; for ever if not given")
	cmd.Flags().StringSlice("ip-allow", nil, "The addresses or CIDR prefixes that may use it, separated by commas")
	cmd.Flags().StringArray("limit", nil, `A limit instead of the tier's, like "600/1m burst 100"; can be given several times`)
	cmd.Flags().Bool("test", false, "Make a key that starts with sk_test_")
	_ = cmd.MarkFlagRequired("owner")
	return cmd
}

// printNewKey prints a key that was just made: with --json everything, else the
// key alone on standard output.
func (c *adminClient) printNewKey(key keyJSON) error {
	if c.json {
		return c.printJSON(key)
	}
	fmt.Fprintf(os.Stderr, "Key %s for owner %s. Keep it: it is not shown again.\n", key.ID, key.Owner)
	_, err := fmt.Fprintln(c.out, key.APIKey)
	return err
}

func keyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--owner OWNER]",
		Short: "Lists API keys",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error {
			path := pathTo("keys")
			if owner, _ := cmd.Flags().GetString("owner"); owner != "" {
				path += "?owner=" + url.QueryEscape(owner)
			}
			keys := []keyJSON{}
			if err := c.ask(http.MethodGet, path, nil, &keys); err != nil {
				return err
			}
			return printList(c, keys, "ID\tOWNER\tNAME\tPREFIX\tROLE\tTIER\tEXPIRES\tLAST USED\tREVOKED", func(k keyJSON) []string {
				return []string{k.ID, k.Owner, k.Name, k.Prefix, textOr(k.Role), textOr(k.Tier), textOr(k.ExpiresAt), textOr(k.LastUsedAt), textOr(k.RevokedAt)}
			})
		}),
	}
	cmd.Flags().String("owner", "", "Only the keys of this owner")
	return cmd
}

func keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Shows an API key's record",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			var key keyJSON
			if err := c.ask(http.MethodGet, pathTo("keys", args[0]), nil, &key); err != nil {
				return err
			}
			return c.printKey(key)
		}),
	}
}

func keyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Ends an API key at once",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			var key keyJSON
			if err := c.ask(http.MethodDelete, pathTo("keys", args[0]), nil, &key); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(key)
			}
			_, err := fmt.Fprintf(c.out, "Key %s of owner %s is revoked since %s.\n", key.ID, key.Owner, textOr(key.RevokedAt))
			return err
		}),
	}
}

func keyRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate ID [--grace 24h]",
		Short: "Makes a key that takes the place of another, and prints it, once",
		Long: `Makes a key with the rights of another. Both work until the grace ends, the
old one never past its own expiry.`,
		Args: cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, cmd *cobra.Command, args []string) error {
			grace, _ := cmd.Flags().GetString("grace")
			var key keyJSON
			if err := c.ask(http.MethodPost, pathTo("keys", args[0], "rotate"), map[string]string{"grace": grace}, &key); err != nil {
				return err
			}
			return c.printNewKey(key)
		}),
	}
	cmd.Flags().String("grace", defaultGrace, "How long the old key goes on working")
	return cmd
}

// printKey prints a key's record in lines.
func (c *adminClient) printKey(k keyJSON) error {
	if c.json {
		return c.printJSON(k)
	}
	for _, line := range [][2]string{
		{"id", k.ID},
		{"owner", k.Owner},
		{"name", k.Name},
		{"prefix", k.Prefix},
		{"role", textOr(k.Role)},
		{"tier", textOr(k.Tier)},
		{"scopes", strings.Join(k.Scopes, ", ")},
		{"ip_allow", strings.Join(k.IPAllow, ", ")},
		{"limits", strings.Join(k.Limits, ", ")},
		{"created_at", textOr(k.CreatedAt)},
		{"expires_at", textOr(k.ExpiresAt)},
		{"last_used_at", textOr(k.LastUsedAt)},
		{"revoked_at", textOr(k.RevokedAt)},
		{"replaced_by", textOr(k.ReplacedBy)},
	} {
		if _, err := fmt.Fprintf(c.out, "%-13s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

func keyImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Takes the API keys of another system in, from CSV",
		Long: `Reads CSV with a header row: key (the key itself, in any format) or hash (its
SHA-256 in hexadecimal), owner, and optionally name, role, tier, scopes,
ip_allow and expires_at. All keys are taken in or none. - reads standard input.

The configuration must have foreign_keys in its global gateway block.`,
		Args: cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			file := os.Stdin
			if args[0] != "-" {
				var err error
				if file, err = os.Open(args[0]); err != nil {
					return err
				}
				defer func() { _ = file.Close() }()
			}
			var answer struct {
				Imported int `json:"imported"`
			}
			if err := c.send(http.MethodPost, pathTo("keys", "import"), "text/csv", file, &answer); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(answer)
			}
			_, err := fmt.Fprintf(c.out, "%d keys imported.\n", answer.Imported)
			return err
		}),
	}
}
