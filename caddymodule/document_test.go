package caddymodule_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// The document's own snippets work, run by Python against a gateway that serves
// accounts: see testdata/document.
func TestDocumentSnippets(t *testing.T) {
	up := newUpstream(t)
	up.answerWith(200, "application/json", `[{"id":1}]`)
	projects := strings.ReplaceAll(accountsSite, "reverse_proxy $UPSTREAM", `
	handle /v1/database/projects/* {
		header Content-Type application/json
		respond "{\"id\":1}"
	}
	handle {
		reverse_proxy $UPSTREAM
	}`)
	c := start(t, gatewayOptions("tier free 60/2s"), projects, "$UPSTREAM", up.addr())
	runSnippets(t, c)
}

func runSnippets(t *testing.T, c *caddyharness.Caddy) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/document/snippets.py", c.URL).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all snippets work") {
		t.Errorf("%v\n%s", err, out)
	}
}
