// Package command is `caddy gateway`, the command line. It talks HTTP to the admin
// endpoint of a running Caddy, in the JSON of package adminapi, and knows nothing
// else of the gateway: it opens no store of its own.
package command

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() { caddycmd.RegisterCommand(gateway) }

var gateway = caddycmd.Command{
	Name:  "gateway",
	Short: "Manages API keys and revocations, and explains refusals",
	Long: `
Talks to the admin endpoint of a running Caddy with the gateway's modules.

	caddy gateway key create --owner u1 --name "New Key" --expires 90d
	caddy gateway key list --owner u1
	caddy gateway key revoke ID
	caddy gateway token revoke --subject u1
	caddy gateway user create --email root@example.com --role ADMIN

With --json every subcommand prints JSON.`,
	CobraFunc: func(cmd *cobra.Command) {
		cmd.PersistentFlags().String("address", defaultAddress, "Address of the admin endpoint")
		cmd.PersistentFlags().Bool("json", false, "Print JSON")
		cmd.AddCommand(keyCommand(), tokenCommand(), limitCommand(), explainCommand(), checkCommand(), userCommand(), auditCommand(), tailCommand(), shadowCommand(), healthCommand())
		refuseUnknown(cmd)
	},
}

// refuseUnknown makes a command that only holds others fail where it has none of
// that name: cobra would print the help and exit with 0, and a script would go on.
func refuseUnknown(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		refuseUnknown(sub)
	}
	if cmd.Runnable() {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return fmt.Errorf("there is no command %q of %q: see `%s --help`", args[0], cmd.CommandPath(), cmd.CommandPath())
	}
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(subs...)
	return cmd
}

// leaf is a command without flags of its own.
func leaf(use, short string, args cobra.PositionalArgs, run func(c *client, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: withClient(run)}
}
