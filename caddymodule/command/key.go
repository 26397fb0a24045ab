package command

import (
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func keyCommand() *cobra.Command {
	return group("key", "Makes, lists and revokes API keys",
		keyCreateCommand(), keyListCommand(), keyShowCommand(), keyRevokeCommand(), keyRotateCommand(), keyImportCommand())
}

func keyCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --owner OWNER [--name NAME] [--role ROLE] [--tier TIER] [--scopes A,B] [--expires 90d] [--ip-allow CIDR,...] [--limit LIMIT] [--test]",
		Short: "Makes an API key and prints it, once",
		Long: `Makes an API key. The key is printed alone on standard output, so that
KEY=$(caddy gateway key create --owner u1) works; what else there is to know
goes to standard error. It is not shown again.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	owner := flags.String("owner", "", "The owner that the key acts for (required)")
	name := flags.String("name", "", "A label")
	role := flags.String("role", "", "The role it grants; the default role if not given")
	tier := flags.String("tier", "", "The tier whose limits hold; the default tier if not given")
	scopes := flags.StringSlice("scopes", nil, "The scopes it grants, separated by commas")
	expires := flags.String("expires", "", "How long it works, like 90d; for ever if not given")
	ipAllow := flags.StringSlice("ip-allow", nil, "The addresses or CIDR prefixes that may use it, separated by commas")
	limits := flags.StringArray("limit", nil, `A limit instead of the tier's, like "600/1m burst 100"; can be given several times`)
	test := flags.Bool("test", false, "Make a key that starts with sk_test_")
	_ = cmd.MarkFlagRequired("owner")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		return show(c, http.MethodPost, pathTo("keys"), adminapi.KeyInput{
			Owner: owner, Name: given(flags, "name", name), Role: given(flags, "role", role), Tier: given(flags, "tier", tier),
			Scopes: given(flags, "scopes", scopes), Expires: given(flags, "expires", expires),
			IPAllow: given(flags, "ip-allow", ipAllow), Limits: given(flags, "limit", limits), Test: *test,
		}, c.tellNewKey)
	})
	return cmd
}

// tellNewKey prints a new key alone on standard output.
func (c *client) tellNewKey(key adminapi.Key) {
	c.notes.linef("Key %s for owner %s. Keep it: it is not shown again.", key.ID, key.Owner)
	c.out.linef("%s", key.APIKey)
}

func keyListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list [--owner OWNER]", Short: "Lists API keys", Args: cobra.NoArgs}
	owner := cmd.Flags().String("owner", "", "Only the keys of this owner")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		path := pathTo("keys")
		if *owner != "" {
			path += "?owner=" + url.QueryEscape(*owner)
		}
		return showList(c, path, []string{"ID", "OWNER", "NAME", "PREFIX", "ROLE", "TIER", "EXPIRES", "LAST USED", "REVOKED"},
			func(k adminapi.Key) []string {
				return []string{k.ID, k.Owner, k.Name, k.Prefix, textOr(k.Role), textOr(k.Tier), textOr(k.ExpiresAt), textOr(k.LastUsedAt), textOr(k.RevokedAt)}
			})
	})
	return cmd
}

func keyShowCommand() *cobra.Command {
	return leaf("show ID", "Shows an API key's record", cobra.ExactArgs(1), func(c *client, args []string) error {
		return show(c, http.MethodGet, pathTo("keys", args[0]), nil, func(k adminapi.Key) {
			c.out.fields(13, [][2]string{
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
			})
		})
	})
}

func keyRevokeCommand() *cobra.Command {
	return leaf("revoke ID", "Ends an API key at once", cobra.ExactArgs(1), func(c *client, args []string) error {
		return show(c, http.MethodDelete, pathTo("keys", args[0]), nil, func(k adminapi.Key) {
			c.out.linef("Key %s of owner %s is revoked since %s.", k.ID, k.Owner, textOr(k.RevokedAt))
		})
	})
}

func keyRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate ID [--grace 24h]",
		Short: "Makes a key that replaces another, and prints it, once",
		Long: `Makes a key with the rights of another. Both work until the grace ends, the
old one never past its own expiry.`,
		Args: cobra.ExactArgs(1),
	}
	grace := cmd.Flags().String("grace", adminapi.DefaultGrace, "How long the old key goes on working")
	cmd.RunE = withClient(func(c *client, args []string) error {
		return show(c, http.MethodPost, pathTo("keys", args[0], "rotate"), adminapi.Rotation{Grace: grace}, c.tellNewKey)
	})
	return cmd
}

func keyImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Imports the API keys of another system from CSV",
		Long: `Reads CSV with a header row: key (the key itself, in any format) or hash (its
SHA-256 in hexadecimal), owner, and optionally name, role, tier, scopes,
ip_allow and expires_at. All keys are imported or none. - reads standard input.

The configuration must have foreign_keys in its global gateway block.`,
		Args: cobra.ExactArgs(1),
		RunE: withClient(func(c *client, args []string) error {
			file := os.Stdin
			if args[0] != "-" {
				var err error
				if file, err = os.Open(args[0]); err != nil {
					return err
				}
				defer func() { _ = file.Close() }()
			}
			raw, err := c.send(http.MethodPost, pathTo("keys", "import"), "text/csv", file)
			if err != nil {
				return err
			}
			return tellAnswer(c, raw, func(answer adminapi.Imported) { c.out.linef("%d keys imported.", answer.Imported) })
		}),
	}
}
