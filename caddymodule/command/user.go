package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func userCommand() *cobra.Command {
	return group("user", "Makes and changes accounts",
		userCreateCommand(), userListCommand(), userShowCommand(), userResetPasswordCommand(),
		userSetCommand("set-role", "ROLE", "Gives an account another role; its tokens end at once",
			func(role string) adminapi.UserInput { return adminapi.UserInput{Role: &role} }),
		userSetCommand("set-tier", "TIER", "Gives an account another tier; its tokens end at once",
			func(tier string) adminapi.UserInput { return adminapi.UserInput{Tier: &tier} }),
		userDoCommand("disable", "Disables an account; its tokens and keys are revoked at once"),
		userDoCommand("enable", "Lets a disabled account log in again"),
	)
}

func userCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --email EMAIL [--full-name NAME] [--role ROLE] [--tier TIER] [--scopes A,B] [--password-stdin]",
		Short: "Makes an account, and prints its password, once",
		Long: `Makes an account. Without --password-stdin a password is made and printed
alone on standard output, so that PASSWORD=$(caddy gateway user create ...)
works; it is not shown again. A password is never an argument: those are in
the shell's history and in the list of processes.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	email := flags.String("email", "", "The address to log in with (required)")
	fullName := flags.String("full-name", "", "The name")
	role := flags.String("role", "", "The role; the default role if not given")
	tier := flags.String("tier", "", "The tier; the default tier if not given")
	scopes := flags.StringSlice("scopes", nil, "The scopes, separated by commas")
	password := passwordFlag(cmd)
	_ = cmd.MarkFlagRequired("email")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		chosen, err := password()
		if err != nil {
			return err
		}
		return c.changeUser(http.MethodPost, pathTo("users"), adminapi.UserInput{
			Email: email, FullName: given(flags, "full-name", fullName), Role: given(flags, "role", role), Tier: given(flags, "tier", tier),
			Scopes: given(flags, "scopes", scopes), Password: chosen,
		}, "made")
	})
	return cmd
}

func userResetPasswordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset-password ID|EMAIL [--password-stdin]",
		Short: "Sets a password, and prints it, once; the account's tokens end at once",
		Args:  cobra.ExactArgs(1),
	}
	password := passwordFlag(cmd)
	cmd.RunE = withClient(func(c *client, args []string) error {
		chosen, err := password()
		if err != nil {
			return err
		}
		return c.changeUser(http.MethodPost, pathTo("users", args[0], "password"), adminapi.UserInput{Password: chosen}, "given another password")
	})
	return cmd
}

// passwordFlag adds --password-stdin. What it returns reads the password, nil
// without the flag.
func passwordFlag(cmd *cobra.Command) func() (*string, error) {
	asked := cmd.Flags().Bool("password-stdin", false, "Read the password from the first line of standard input")
	return func() (*string, error) {
		if !*asked {
			return nil, nil
		}
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the password: %w", err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return nil, errors.New("standard input has no password")
		}
		return &line, nil
	}
}

// changeUser asks for a change and prints the account. A generated password stands
// alone on standard output.
func (c *client) changeUser(method, path string, body any, done string) error {
	return show(c, method, path, body, func(u adminapi.User) {
		c.notes.linef("Account %s of %s, role %s, tier %s, is %s.", u.ID, u.Email, u.Role, u.Tier, done)
		if u.Password != "" {
			c.notes.linef("Keep the password: it is not shown again.")
			c.out.linef("%s", u.Password)
		}
	})
}

func userSetCommand(name, value, short string, input func(string) adminapi.UserInput) *cobra.Command {
	return leaf(name+" ID|EMAIL "+value, short, cobra.ExactArgs(2), func(c *client, args []string) error {
		return c.changeUser(http.MethodPatch, pathTo("users", args[0]), input(args[1]), "changed")
	})
}

func userDoCommand(name, short string) *cobra.Command {
	return leaf(name+" ID|EMAIL", short, cobra.ExactArgs(1), func(c *client, args []string) error {
		return c.changeUser(http.MethodPost, pathTo("users", args[0], name), nil, name+"d")
	})
}

func userListCommand() *cobra.Command {
	return leaf("list", "Lists accounts", cobra.NoArgs, func(c *client, _ []string) error {
		return showList(c, pathTo("users"), []string{"ID", "EMAIL", "NAME", "ROLE", "TIER", "CREATED", "DISABLED"},
			func(u adminapi.User) []string {
				return []string{u.ID, u.Email, u.FullName, u.Role, u.Tier, textOr(u.CreatedAt), textOr(u.DisabledAt)}
			})
	})
}

func userShowCommand() *cobra.Command {
	return leaf("show ID|EMAIL", "Shows an account", cobra.ExactArgs(1), func(c *client, args []string) error {
		return show(c, http.MethodGet, pathTo("users", args[0]), nil, func(u adminapi.User) {
			c.out.fields(15, [][2]string{
				{"id", u.ID},
				{"email", u.Email},
				{"full_name", u.FullName},
				{"role", u.Role},
				{"tier", u.Tier},
				{"scopes", strings.Join(u.Scopes, ", ")},
				{"created_at", textOr(u.CreatedAt)},
				{"password_set_at", textOr(u.PasswordSetAt)},
				{"disabled_at", textOr(u.DisabledAt)},
			})
		})
	})
}
