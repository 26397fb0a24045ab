package caddymodule_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// classScript runs the loop of the document's class, as it is, against a URL.
const classScript = `
import sys, requests

def make_request():
    return requests.get(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})

$CLASS
limiter = RateLimiter(max_requests=60, time_window=60)

statuses = []
for i in range(200):
    limiter.wait_if_needed()
    response = make_request()
    statuses.append(response.status_code)
assert statuses == [200] * 200, [(i, s) for i, s in enumerate(statuses) if s != 200]
`

// The document's class, with its own figures, is never refused on the quickstart. It
// takes three minutes: PORTCULLIS_SLOW=1 runs it. The same trace on a clock that is
// moved is in limitertest, for every limiter.
func TestDocumentClassOnTheQuickstart(t *testing.T) {
	if os.Getenv("PORTCULLIS_SLOW") == "" {
		t.Skip("takes three minutes: set PORTCULLIS_SLOW=1")
	}
	class := regexp.MustCompile(`(?s)from collections import deque\n.*?self\.requests\.append\(now\)\n`).
		FindString(read(t, "testdata/document/snippets.py"))
	if class == "" {
		t.Fatal("the snippets have no class RateLimiter")
	}
	_, url := startExample(t)
	token := strings.TrimPrefix(bearer(t, "sub", "class"), "Bearer ")
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", strings.Replace(classScript, "$CLASS", class, 1), url+"/v1/items", token).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
