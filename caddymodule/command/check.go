package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--key KEY | --token TOKEN | --as owner=u1,role=USER,tier=pro] [--ip ADDRESS] [--header 'Name: value'] METHOD URL",
		Short: "Says how the gateway would decide about a request, without sending it",
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
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cannotTell(err) })
	var in adminapi.CheckInput
	flags := cmd.Flags()
	flags.StringVar(&in.Key, "key", "", "An API key; - reads it from standard input")
	flags.StringVar(&in.Token, "token", "", "A token; - reads it from standard input")
	as := flags.String("as", "", "A described caller instead of a credential: owner, subject, role, tier, scopes, scheme, issuer and key_id, like owner=u1,role=USER,scopes=a b")
	flags.StringVar(&in.IP, "ip", "", "The address that the request comes from; 127.0.0.1 if not given")
	lines := flags.StringArrayP("header", "H", nil, `A header, like "X-Tenant: t1"; can be given several times`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Method, in.URL = args[0], args[1]
		allowed, err := check(cmd, &in, *as, *lines)
		switch {
		case err != nil:
			return cannotTell(err)
		case !allowed:
			return errors.New("refused")
		}
		return nil
	}
	return cmd
}

// cannotTell prints an error and makes the process exit with 2.
func cannotTell(err error) error {
	fmt.Fprintln(os.Stderr, "Error: "+err.Error())
	silent := &cobra.Command{}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return 2, nil })(silent, nil)
}

// check asks and prints, and reports whether the request would pass.
func check(cmd *cobra.Command, in *adminapi.CheckInput, as string, lines []string) (allowed bool, err error) {
	c, err := newClient(cmd)
	if err != nil {
		return false, err
	}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return false, fmt.Errorf("--header %q: write it as 'Name: value'", line)
		}
		in.Headers = append(in.Headers, adminapi.CheckHeader{Name: name, Value: strings.TrimSpace(value)})
	}
	for _, credential := range []*string{&in.Key, &in.Token} {
		if *credential, err = secretArg(*credential); err != nil {
			return false, err
		}
	}
	if as != "" {
		if in.As, err = parseDescribed(as); err != nil {
			return false, err
		}
	}
	raw, err := c.ask(http.MethodPost, pathTo("check"), in)
	if err != nil {
		return false, err
	}
	var result adminapi.CheckResult
	if err := json.Unmarshal(raw, &result); err != nil {
		return false, err
	}
	return result.Allowed, tellAnswer(c, raw, c.out.tellCheck)
}

// parseDescribed reads `owner=u1,role=USER,tier=pro,scopes=a b`. A name may come
// several times where a list is meant.
func parseDescribed(text string) (*adminapi.DescribedUser, error) {
	d := new(adminapi.DescribedUser)
	words := map[string]*string{
		"owner": &d.Owner, "subject": &d.Subject, "tier": &d.Tier, "scheme": &d.Scheme, "issuer": &d.Issuer, "key_id": &d.KeyID,
	}
	lists := map[string]*[]string{"role": &d.Roles, "roles": &d.Roles, "scope": &d.Scopes, "scopes": &d.Scopes}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		switch name = strings.TrimSpace(name); {
		case !ok:
			return nil, fmt.Errorf("--as: %q is not name=value: write it like owner=u1,role=USER,tier=pro,scopes=a b", part)
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
func (p *printer) tellCheck(result adminapi.CheckResult) {
	r := result.Decision
	p.linef("%s %s%s from %s", word(r.Method), word(r.Host), word(r.Path), orDash(r.ClientIP))
	p.tellDecision(*r)
	switch {
	case !result.Allowed:
		p.linef("It would be refused with %d.", result.Status)
	case result.PassedTo != nil && result.Status != 0:
		p.linef("It would pass, and %s would answer with %d.", *result.PassedTo, result.Status)
	case result.PassedTo != nil:
		p.linef("It would be passed to %s.", strings.Join(append([]string{*result.PassedTo}, result.Upstreams...), " "))
	default:
		p.linef("It would pass, and be answered with %d.", result.Status)
	}
}
