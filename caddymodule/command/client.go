package command

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

const defaultAddress = "localhost:2019"

// client asks the admin endpoint of a running Caddy and prints the answers.
type client struct {
	address string
	// json says to print answers unchanged.
	json bool
	// out is for answers. notes is for what a person wants to know beside them, on standard
	// error, so that KEY=$(caddy gateway key create ...) works.
	out, notes *printer
}

func newClient(cmd *cobra.Command) (*client, error) {
	address, err := cmd.Flags().GetString("address")
	if err != nil {
		return nil, err
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return nil, err
	}
	return &client{address, asJSON, &printer{w: os.Stdout}, &printer{w: os.Stderr}}, nil
}

// withClient lets cobra run a function that needs a client.
func withClient(f func(c *client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		// An error from here on is not a wrong use of the command, so the usage does not help.
		cmd.SilenceUsage = true
		return f(c, args)
	}
}

// show asks, and prints the answer: unchanged with --json, else by tell.
func show[T any](c *client, method, path string, body any, tell func(T)) error {
	raw, err := c.ask(method, path, body)
	if err != nil {
		return err
	}
	return tellAnswer(c, raw, tell)
}

// tellAnswer prints an answer that is there already.
func tellAnswer[T any](c *client, raw json.RawMessage, tell func(T)) error {
	if c.json {
		c.out.json(raw)
		return c.out.err
	}
	var answer T
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("reading the answer of the admin endpoint at %s: %w", c.address, err)
	}
	tell(answer)
	return c.out.err
}

// showList is show for a list, which is printed as a table.
func showList[T any](c *client, path string, head []string, row func(T) []string) error {
	return show(c, http.MethodGet, path, nil, func(list []T) { tellList(c, list, head, row) })
}

// tellList prints a list as a table.
func tellList[T any](c *client, list []T, head []string, row func(T) []string) {
	rows := make([][]string, 0, len(list))
	for _, element := range list {
		rows = append(rows, row(element))
	}
	c.out.table(head, rows)
}

// ask sends a request with a JSON body and returns the JSON of the answer. An
// answer that is an error is returned as its text.
func (c *client) ask(method, path string, body any) (json.RawMessage, error) {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(encoded)
	}
	return c.send(method, path, "application/json", sent)
}

// send is ask for a body that is not JSON.
func (c *client) send(method, path, contentType string, body io.Reader) (json.RawMessage, error) {
	answer, err := caddycmd.AdminAPIRequest(c.address, method, path, http.Header{"Content-Type": {contentType}}, body)
	if err != nil {
		return nil, c.explain(err)
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// explain turns an error of AdminAPIRequest into one that a person can act on.
func (c *client) explain(err error) error {
	text := err.Error()
	if body, ok := refusalBody(err); ok {
		var refused struct {
			Detail json.RawMessage `json:"detail"`
			Error  string          `json:"error"`
		}
		if json.Unmarshal(body, &refused) == nil {
			if refused.Error != "" {
				return fmt.Errorf("the admin endpoint at %s refused: %s", c.address, escaped(refused.Error))
			}
			return &refusal{body, detailText(refused.Detail)}
		}
	}
	if strings.Contains(text, "connect") || strings.Contains(text, "dial") {
		return fmt.Errorf("no Caddy answers at %s: start it, or name its admin endpoint with --address (%w)", c.address, err)
	}
	return errors.New(escaped(text))
}

// refusal is an answer of status 400 or above.
type refusal struct {
	body json.RawMessage
	text string
}

func (e *refusal) Error() string { return e.text }

// refusalBody is the JSON that AdminAPIRequest puts into its error: it keeps
// nothing else of an answer of status 400 or above.
func refusalBody(err error) (json.RawMessage, bool) {
	text := err.Error()
	start := strings.IndexByte(text, '{')
	if start < 0 {
		return nil, false
	}
	return json.RawMessage(text[start:]), true
}

// detailText is the text of a `detail`: a string, or a list of field errors.
func detailText(detail json.RawMessage) string {
	var text string
	if json.Unmarshal(detail, &text) == nil {
		return escaped(text)
	}
	var fields []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(detail, &fields) != nil || len(fields) == 0 {
		return escaped(string(detail))
	}
	var lines []string
	for _, f := range fields {
		name := ""
		if len(f.Loc) != 0 {
			name = fmt.Sprint(f.Loc[len(f.Loc)-1]) + ": "
		}
		lines = append(lines, escaped(name+f.Msg))
	}
	return strings.Join(lines, "\n")
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

// given is the value of a flag, or nil where it is not on the command line.
func given[T any](flags *pflag.FlagSet, name string, value *T) *T {
	if !flags.Changed(name) {
		return nil
	}
	return value
}

// secretArg is an argument, or standard input for -, which is neither in the shell's
// history nor in the list of processes.
func secretArg(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	read, err := io.ReadAll(io.LimitReader(os.Stdin, adminapi.MaxBody))
	return strings.TrimSpace(string(read)), err
}

// textOr is a pointer's text, or a dash.
func textOr(s *string) string {
	if s == nil {
		return "-"
	}
	return orDash(*s)
}

func orDash(s string) string { return cmp.Or(s, "-") }
