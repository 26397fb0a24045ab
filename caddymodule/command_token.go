package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/plugins/auth/bearer"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Explains and revokes tokens"}
	cmd.AddCommand(tokenInspectCommand(), tokenRevokeCommand(), tokenRevocationsCommand())
	return cmd
}

func tokenInspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect TOKEN",
		Short: "Explains a token: what it says, and why it would be refused",
		Long: `Explains a token by the rules of the running configuration. - reads it from
standard input, so that it is not in the shell's history.`,
		Args: cobra.ExactArgs(1),
		RunE: run(func(c *adminClient, _ *cobra.Command, args []string) error {
			token := args[0]
			if token == "-" {
				read, err := io.ReadAll(io.LimitReader(os.Stdin, maxAdminBody))
				if err != nil {
					return err
				}
				token = strings.TrimSpace(string(read))
			}
			var found bearer.Inspection
			if err := c.ask(http.MethodPost, pathTo("tokens", "inspect"), map[string]string{"token": token}, &found); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(found)
			}
			fmt.Fprintf(c.out, "header  %s\nclaims  %s\n", found.Header, found.Claims)
			for _, note := range found.Notes {
				fmt.Fprintf(c.out, "note    %s\n", note)
			}
			_, err := fmt.Fprintf(c.out, "verdict %s\n", verdictText(found.Verdict))
			return err
		}),
	}
}

func tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke --jti JTI | --subject SUBJECT [--issued-before TIME] | --issued-before TIME | --kid KID",
		Short: "Ends a token, or all tokens of a subject or a signing key, at once",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, cmd *cobra.Command, _ []string) error {
			body := map[string]any{}
			for flag, field := range map[string]string{
				"jti": "jti", "subject": "subject", "kid": "kid", "issued-before": "issued_before", "issuer": "issuer", "note": "note",
			} {
				if cmd.Flags().Changed(flag) {
					body[field], _ = cmd.Flags().GetString(flag)
				}
			}
			var rev revocationJSON
			if err := c.ask(http.MethodPost, pathTo("revocations"), body, &rev); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(rev)
			}
			_, err := fmt.Fprintf(c.out, "Revoked %s %s (%s).\n", rev.Kind, rev.Value, rev.ID)
			return err
		}),
	}
	cmd.Flags().String("jti", "", "The id of the token")
	cmd.Flags().String("subject", "", "The subject whose tokens end")
	cmd.Flags().String("kid", "", "The id of the signing key whose tokens end")
	cmd.Flags().String("issued-before", "", "End tokens issued at or before this time, RFC 3339; now if not given")
	cmd.Flags().String("issuer", "", "Only tokens of the issuer of this name")
	cmd.Flags().String("note", "", "A remark")
	return cmd
}

func tokenRevocationsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revocations",
		Short: "Lists the revocations in force",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, _ *cobra.Command, _ []string) error {
			list := []revocationJSON{}
			if err := c.ask(http.MethodGet, pathTo("revocations"), nil, &list); err != nil {
				return err
			}
			return printList(c, list, "ID\tKIND\tVALUE\tISSUER\tISSUED BEFORE\tKEPT UNTIL", func(r revocationJSON) []string {
				return []string{r.ID, r.Kind, r.Value, textOr(r.Issuer), textOr(r.IssuedBefore), textOr(r.ExpiresAt)}
			})
		}),
	}
}

// verdictText says a verdict in a line.
func verdictText(v bearer.Verdict) string {
	switch {
	case v.Unavailable != "":
		return "can't tell: " + v.Unavailable
	case v.Accepted:
		return "accepted"
	}
	text := "refused: " + string(v.Reason)
	if v.Value != "" {
		text += ": " + v.Value
	}
	if v.Bound != "" {
		text += ", want " + v.Bound
	}
	return text
}
