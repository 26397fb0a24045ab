package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// gatewayCommand is `caddy gateway`. Its subcommands talk to the admin endpoint
// of a running Caddy; they open no store of their own.
var gatewayCommand = caddycmd.Command{
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
		cmd.PersistentFlags().String("address", defaultAdminAddress, "Address of the admin endpoint")
		cmd.PersistentFlags().Bool("json", false, "Print JSON")
		cmd.AddCommand(keyCommand(), tokenCommand(), limitCommand(), explainCommand(), checkCommand(), userCommand(), auditCommand(), tailCommand(), shadowCommand(), healthCommand())
		refuseUnknown(cmd)
	},
}

// refuseUnknown makes commands that only hold others fail where the one that was
// asked for is not there: cobra would print the help and exit with 0, and a script
// would go on.
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

const defaultAdminAddress = "localhost:2019"

// adminClient asks the admin endpoint of a running Caddy.
type adminClient struct {
	address string
	json    bool
	out     io.Writer
}

func clientOf(cmd *cobra.Command) (*adminClient, error) {
	address, err := cmd.Flags().GetString("address")
	if err != nil {
		return nil, err
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return nil, err
	}
	// A mistake from here on is not one in the command's usage.
	cmd.SilenceUsage = true
	return &adminClient{address, asJSON, os.Stdout}, nil
}

// ask sends a request and decodes the answer into into. An answer that is an
// error is returned as its text.
func (c *adminClient) ask(method, path string, body, into any) error {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
	}
	return c.send(method, path, "application/json", sent, into)
}

// send is ask with a body as it is.
func (c *adminClient) send(method, path, contentType string, body io.Reader, into any) error {
	answer, err := caddycmd.AdminAPIRequest(c.address, method, path, http.Header{"Content-Type": {contentType}}, body)
	if err != nil {
		return c.explain(err)
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

// explain turns what AdminAPIRequest says into what a person needs.
func (c *adminClient) explain(err error) error {
	text := err.Error()
	if start := strings.IndexByte(text, '{'); start >= 0 {
		var refused struct {
			Detail json.RawMessage `json:"detail"`
			Error  string          `json:"error"`
		}
		if json.Unmarshal([]byte(text[start:]), &refused) == nil {
			if refused.Error != "" {
				return fmt.Errorf("the admin endpoint at %s refused: %s", c.address, refused.Error)
			}
			return errors.New(detailText(refused.Detail))
		}
	}
	if strings.Contains(text, "connect") || strings.Contains(text, "dial") {
		return fmt.Errorf("no Caddy answers at %s: start it, or name its admin endpoint with --address (%w)", c.address, err)
	}
	return err
}

// detailText is the text of a `detail`: a string, or a list of field errors.
func detailText(detail json.RawMessage) string {
	var text string
	if json.Unmarshal(detail, &text) == nil {
		return text
	}
	var fields []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(detail, &fields) != nil || len(fields) == 0 {
		return string(detail)
	}
	var lines []string
	for _, f := range fields {
		name := ""
		if len(f.Loc) != 0 {
			name = fmt.Sprint(f.Loc[len(f.Loc)-1]) + ": "
		}
		lines = append(lines, name+f.Msg)
	}
	return strings.Join(lines, "\n")
}

// printJSON prints a value as JSON.
func (c *adminClient) printJSON(value any) error {
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// table prints rows in columns.
func (c *adminClient) table(head string, rows []string) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

// printList prints records: as JSON, or one a row, in columns.
func printList[T any](c *adminClient, list []T, head string, row func(T) []string) error {
	if c.json {
		return c.printJSON(list)
	}
	rows := make([]string, 0, len(list))
	for _, record := range list {
		rows = append(rows, strings.Join(row(record), "\t"))
	}
	return c.table(head, rows)
}

// pathTo joins escaped segments behind /gateway/.
func pathTo(segments ...string) string {
	var path strings.Builder
	path.WriteString("/gateway")
	for _, s := range segments {
		path.WriteString("/" + url.PathEscape(s))
	}
	return path.String()
}

// textOr prints a pointer's value, or a dash.
func textOr(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}

// run makes a cobra function of one that needs a client.
func run(f func(c *adminClient, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := clientOf(cmd)
		if err != nil {
			return err
		}
		return f(c, cmd, args)
	}
}

func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Shows whether the gateway can decide",
		Args:  cobra.NoArgs,
		RunE: run(func(c *adminClient, _ *cobra.Command, _ []string) error {
			answer, err := c.askHealth()
			if err != nil {
				return err
			}
			if answer.Status == healthFailing {
				// Printed all the same: the exit code says no.
				err = errors.New("the gateway can't decide")
			}
			if c.json {
				return errors.Join(c.printJSON(answer), err)
			}
			fmt.Fprintf(c.out, "%s: %s, %d revocations\n", answer.Status, answer.Store.Name, answer.Store.Revocations)
			for _, p := range answer.Problems {
				fmt.Fprintln(c.out, p.text())
			}
			if redis := answer.Limiter.Redis; redis != nil {
				fmt.Fprintf(c.out, "limiter redis at %s: breaker %s, %s, %d gateways\n", redis.Target, redis.Breaker, redis.Bound, redis.Gateways)
			} else {
				fmt.Fprintf(c.out, "limiter %s\n", answer.Limiter.Name)
			}
			for _, i := range answer.Issuers {
				fmt.Fprintf(c.out, "issuer %s (%s): usable %t, %d keys, error %s\n", i.Name, i.Source, i.Usable, i.Keys, textOr(i.Error))
			}
			return err
		}),
	}
}

// askHealth asks for the health, which is an answer with a 503 too.
func (c *adminClient) askHealth() (answer healthJSON, err error) {
	resp, err := caddycmd.AdminAPIRequest(c.address, http.MethodGet, pathTo("health"), nil, nil)
	if err == nil {
		defer resp.Body.Close()
		return answer, json.NewDecoder(resp.Body).Decode(&answer)
	}
	if start := strings.IndexByte(err.Error(), '{'); start >= 0 && json.Unmarshal([]byte(err.Error()[start:]), &answer) == nil && answer.Status != "" {
		return answer, nil
	}
	return answer, c.explain(err)
}
