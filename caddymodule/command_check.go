package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--key KEY | --token TOKEN | --as owner=u1,role=USER,tier=pro] [--ip ADDRESS] [--header 'Name: value'] METHOD URL",
		Short: "Says what would become of a request, without sending it",
		Long: `Asks the running configuration what it would decide about a request. Nothing is
charged, counted or noted, and no upstream is called. --key - and --token - read
the credential from standard input, so that it is not in the shell's history.

The exit code is 0 if the request would pass, 1 if it would be refused, and 2 if
that can't be told.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cannotTell(errors.New("write `caddy gateway check METHOD URL`, like `caddy gateway check GET https://api.example.com/v1/items`"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := clientOf(cmd)
			if err != nil {
				return cannotTell(err)
			}
			allowed, err := c.check(cmd, args[0], args[1])
			switch {
			case err != nil:
				return cannotTell(err)
			case !allowed:
				return errors.New("refused")
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cannotTell(err) })
	cmd.Flags().String("key", "", "An API key; - reads it from standard input")
	cmd.Flags().String("token", "", "A token; - reads it from standard input")
	cmd.Flags().String("as", "", "A described caller instead of a credential: owner, subject, role, tier, scopes, scheme, issuer and key_id, like owner=u1,role=USER,scopes=a b")
	cmd.Flags().String("ip", "", "The address that the request comes from; 127.0.0.1 if not given")
	cmd.Flags().StringArrayP("header", "H", nil, `A header, like "X-Tenant: t1"; can be given several times`)
	return cmd
}

// cannotTell prints an error and makes the process exit with 2.
func cannotTell(err error) error {
	fmt.Fprintln(os.Stderr, "Error: "+err.Error())
	silent := &cobra.Command{}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return 2, nil })(silent, nil)
}

// check asks and prints, and reports whether the request would pass.
func (c *adminClient) check(cmd *cobra.Command, method, url string) (bool, error) {
	in := checkInput{Method: method, URL: url}
	flags := cmd.Flags()
	in.IP, _ = flags.GetString("ip")
	lines, _ := flags.GetStringArray("header")
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return false, fmt.Errorf("--header %q: write it as 'Name: value'", line)
		}
		in.Headers = append(in.Headers, checkHeader{name, strings.TrimSpace(value)})
	}
	for name, into := range map[string]*string{"key": &in.Key, "token": &in.Token} {
		*into, _ = flags.GetString(name)
		if *into == "-" {
			read, err := io.ReadAll(io.LimitReader(os.Stdin, maxAdminBody))
			if err != nil {
				return false, err
			}
			*into = strings.TrimSpace(string(read))
		}
	}
	if text, _ := flags.GetString("as"); text != "" {
		var err error
		if in.As, err = parseDescribed(text); err != nil {
			return false, err
		}
	}
	var answer checkJSON
	if err := c.ask(http.MethodPost, pathTo("check"), in, &answer); err != nil {
		return false, err
	}
	if c.json {
		return answer.Allowed, c.printJSON(answer)
	}
	tellCheck(c.out, answer)
	return answer.Allowed, nil
}

// parseDescribed reads `owner=u1,role=USER,tier=pro,scopes=a b`. A name may come
// several times where a list is meant.
func parseDescribed(text string) (*describedUser, error) {
	d := new(describedUser)
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		words := map[string]*string{
			"owner": &d.Owner, "subject": &d.Subject, "tier": &d.Tier, "scheme": &d.Scheme, "issuer": &d.Issuer, "key_id": &d.KeyID,
		}
		lists := map[string]*[]string{"role": &d.Roles, "roles": &d.Roles, "scope": &d.Scopes, "scopes": &d.Scopes}
		switch name = strings.TrimSpace(name); {
		case !ok:
			return nil, fmt.Errorf("--as: %q is no name=value: write it like owner=u1,role=USER,tier=pro,scopes=a b", part)
		case words[name] != nil:
			*words[name] = strings.TrimSpace(value)
		case lists[name] != nil:
			*lists[name] = append(*lists[name], strings.Fields(value)...)
		default:
			return nil, fmt.Errorf("--as: unknown name %s: write owner, subject, role, tier, scopes, scheme, issuer or key_id", name)
		}
	}
	return d, nil
}

// tellCheck prints what would become of a request.
func tellCheck(w io.Writer, answer checkJSON) {
	r := answer.Decision
	fmt.Fprintf(w, "%s %s%s from %s\n", r.Method, r.Host, r.Path, orDash(r.ClientIP))
	tellDecision(w, *r)
	switch {
	case !answer.Allowed:
		fmt.Fprintf(w, "It would be refused with %d.\n", answer.Status)
	case answer.PassedTo != nil && answer.Status != 0:
		fmt.Fprintf(w, "It would pass, and %s would answer with %d.\n", *answer.PassedTo, answer.Status)
	case answer.PassedTo != nil:
		fmt.Fprintf(w, "It would be passed to %s.\n", strings.Join(append([]string{*answer.PassedTo}, answer.Upstreams...), " "))
	default:
		fmt.Fprintf(w, "It would pass, and be answered with %d.\n", answer.Status)
	}
}
