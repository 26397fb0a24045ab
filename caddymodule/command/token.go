package command

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func tokenCommand() *cobra.Command {
	return group("token", "Explains and revokes tokens", tokenInspectCommand(), tokenRevokeCommand(), tokenRevocationsCommand())
}

func tokenInspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect TOKEN",
		Short: "Explains a token: what it says, and why it would be refused",
		Long: `Explains a token by the rules of the running configuration. - reads it from
standard input, so that it is not in the shell's history.`,
		Args: cobra.ExactArgs(1),
		RunE: withClient(func(c *client, args []string) error {
			token, err := secretArg(args[0])
			if err != nil {
				return err
			}
			return show(c, http.MethodPost, pathTo("tokens", "inspect"), adminapi.TokenInput{Token: token}, func(found adminapi.Inspection) {
				c.out.linef("header  %s", found.Header)
				c.out.linef("claims  %s", found.Claims)
				for _, note := range found.Notes {
					c.out.linef("note    %s", note)
				}
				c.out.linef("verdict %s", verdictText(found.Verdict))
			})
		}),
	}
}

func tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke --jti JTI | --subject SUBJECT [--issued-before TIME] | --issued-before TIME | --kid KID",
		Short: "Ends a token, or all tokens of a subject or a signing key, at once",
		Args:  cobra.NoArgs,
	}
	var in adminapi.RevocationInput
	flags := cmd.Flags()
	flags.StringVar(&in.JTI, "jti", "", "The id of the token")
	flags.StringVar(&in.Subject, "subject", "", "The subject whose tokens end")
	flags.StringVar(&in.KID, "kid", "", "The id of the signing key whose tokens end")
	issuedBefore := flags.String("issued-before", "", "End tokens issued at or before this time, RFC 3339; now if not given")
	flags.StringVar(&in.Issuer, "issuer", "", "Only tokens of the issuer of this name")
	flags.StringVar(&in.Note, "note", "", "A remark")
	cmd.RunE = withClient(func(c *client, _ []string) error {
		if flags.Changed("issued-before") {
			at, err := time.Parse(time.RFC3339, *issuedBefore)
			if err != nil {
				return fmt.Errorf("issued_before: %q is not a time: write one like 2026-01-31T08:00:00Z", *issuedBefore)
			}
			in.IssuedBefore = &at
		}
		return show(c, http.MethodPost, pathTo("revocations"), in, func(r adminapi.Revocation) {
			c.out.linef("Revoked %s %s (%s).", r.Kind, r.Value, r.ID)
		})
	})
	return cmd
}

func tokenRevocationsCommand() *cobra.Command {
	return leaf("revocations", "Lists the revocations in force", cobra.NoArgs, func(c *client, _ []string) error {
		return showList(c, pathTo("revocations"), []string{"ID", "KIND", "VALUE", "ISSUER", "ISSUED BEFORE", "KEPT UNTIL"},
			func(r adminapi.Revocation) []string {
				return []string{r.ID, r.Kind, r.Value, textOr(r.Issuer), textOr(r.IssuedBefore), textOr(r.ExpiresAt)}
			})
	})
}

// verdictText says a verdict in a line.
func verdictText(v adminapi.Verdict) string {
	switch {
	case v.Unavailable != "":
		return "can't tell: " + v.Unavailable
	case v.Accepted:
		return "accepted"
	}
	text := "refused: " + v.Reason
	if v.Value != "" {
		text += ": " + v.Value
	}
	if v.Bound != "" {
		text += ", want " + v.Bound
	}
	return text
}
