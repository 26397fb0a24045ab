package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Makes and changes accounts"}
	cmd.AddCommand(
		userCreateCommand(), userListCommand(), userShowCommand(), userResetPasswordCommand(),
		userSetCommand("set-role", "role", "Gives an account another role; its tokens end at once"),
		userSetCommand("set-tier", "tier", "Gives an account another tier; its tokens end at once"),
		userDoCommand("disable", "Disables an account; its tokens and keys are revoked at once"),
		userDoCommand("enable", "Lets a disabled account log in again"),
	)
	return cmd
}

const passwordStdin = "password-stdin"

func userCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --email EMAIL [--full-name NAME] [--role ROLE] [--tier TIER] [--scopes A,B] [--password-stdin]",
		Short: "Makes an account, and prints its password, once",
		Long: `Makes an account. Without --password-stdin a password is made and printed
alone on standard output, so that PASSWORD=$(caddy gateway user create ...)
works; it is not shown again. A password is never an argument: those are in
the shell's history and in the list of processes.`,
		Args: cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error {
			body := map[string]any{}
			flags := cmd.Flags()
			for flag, field := range map[string]string{"email": "email", "full-name": "full_name", "role": "role", "tier": "tier"} {
				if flags.Changed(flag) {
					body[field], _ = flags.GetString(flag)
				}
			}
			if flags.Changed("scopes") {
				body["scopes"], _ = flags.GetStringSlice("scopes")
			}
			if err := addPassword(cmd, body); err != nil {
				return err
			}
			return c.changeUser(http.MethodPost, pathTo("users"), body, "made")
		}),
	}
	cmd.Flags().String("email", "", "The address to log in with (required)")
	cmd.Flags().String("full-name", "", "The name")
	cmd.Flags().String("role", "", "The role; the default role if not given")
	cmd.Flags().String("tier", "", "The tier; the default tier if not given")
	cmd.Flags().StringSlice("scopes", nil, "The scopes, separated by commas")
	cmd.Flags().Bool(passwordStdin, false, "Read the password from the first line of standard input")
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

func userResetPasswordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset-password ID|EMAIL [--password-stdin]",
		Short: "Sets a password, and prints it, once; the account's tokens end at once",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			if err := addPassword(cmd, body); err != nil {
				return err
			}
			return c.changeUser(http.MethodPost, pathTo("users", args[0], "password"), body, "given another password")
		}),
	}
	cmd.Flags().Bool(passwordStdin, false, "Read the password from the first line of standard input")
	return cmd
}

// addPassword reads a password where the flag asks for it.
func addPassword(cmd *cobra.Command, body map[string]any) error {
	if asked, _ := cmd.Flags().GetBool(passwordStdin); !asked {
		return nil
	}
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return errors.New("standard input has no password")
	}
	body["password"] = line
	return nil
}

// changeUser asks for a change and prints what became of it. A password that was
// made stands alone on standard output.
func (c *adminClient) changeUser(method, path string, body any, done string) error {
	var u userJSON
	if err := c.ask(method, path, body, &u); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(u)
	}
	fmt.Fprintf(os.Stderr, "Account %s of %s, role %s, tier %s, is %s.\n", u.ID, u.Email, u.Role, u.Tier, done)
	if u.Password == "" {
		return nil
	}
	fmt.Fprintln(os.Stderr, "Keep the password: it is not shown again.")
	_, err := fmt.Fprintln(c.out, u.Password)
	return err
}

func userSetCommand(name, field, short string) *cobra.Command {
	return &cobra.Command{
		Use:   name + " ID|EMAIL " + strings.ToUpper(field),
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			return c.changeUser(http.MethodPatch, pathTo("users", args[0]), map[string]string{field: args[1]}, "changed")
		}),
	}
}

func userDoCommand(name, short string) *cobra.Command {
	return &cobra.Command{
		Use:   name + " ID|EMAIL",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			return c.changeUser(http.MethodPost, pathTo("users", args[0], name), nil, name+"d")
		}),
	}
}

func userListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Lists accounts",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, _ *cobra.Command, _ []string) error {
			users := []userJSON{}
			if err := c.ask(http.MethodGet, pathTo("users"), nil, &users); err != nil {
				return err
			}
			return printList(c, users, "ID\tEMAIL\tNAME\tROLE\tTIER\tCREATED\tDISABLED", func(u userJSON) []string {
				return []string{u.ID, u.Email, u.FullName, u.Role, u.Tier, textOr(u.CreatedAt), textOr(u.DisabledAt)}
			})
		}),
	}
}

func userShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID|EMAIL",
		Short: "Shows an account",
		Args:  cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			var u userJSON
			if err := c.ask(http.MethodGet, pathTo("users", args[0]), nil, &u); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(u)
			}
			for _, line := range [][2]string{
				{"id", u.ID},
				{"email", u.Email},
				{"full_name", u.FullName},
				{"role", u.Role},
				{"tier", u.Tier},
				{"scopes", strings.Join(u.Scopes, ", ")},
				{"created_at", textOr(u.CreatedAt)},
				{"password_set_at", textOr(u.PasswordSetAt)},
				{"disabled_at", textOr(u.DisabledAt)},
			} {
				if _, err := fmt.Fprintf(c.out, "%-15s %s\n", line[0], line[1]); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
