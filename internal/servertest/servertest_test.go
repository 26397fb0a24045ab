package servertest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ainative/portcullis/internal/servertest"
)

// asChild makes the test binary run one of the two helpers.
const asChild = "SERVERTEST_CHILD"

func TestChild(t *testing.T) {
	switch os.Getenv(asChild) {
	case "needed":
		servertest.Needed(t)
	case "missing":
		servertest.Missing(t, "a program")
	}
}

func TestSkipsFailInCI(t *testing.T) {
	for _, tc := range []struct {
		helper string
		flags  []string
		ci     string
		want   string
	}{
		{"needed", nil, "", "--- PASS"},
		{"needed", nil, "true", "--- PASS"},
		{"needed", []string{"-test.short"}, "", "--- SKIP"},
		{"needed", []string{"-test.short"}, "true", "--- SKIP"},
		{"missing", nil, "", "--- SKIP"},
		{"missing", nil, "true", "--- FAIL"},
		{"missing", []string{"-test.short"}, "true", "--- SKIP"},
	} {
		cmd := exec.Command(os.Args[0], append([]string{"-test.v", "-test.run=^TestChild$"}, tc.flags...)...)
		cmd.Env = append(os.Environ(), asChild+"="+tc.helper, "CI="+tc.ci)
		out, _ := cmd.CombinedOutput() // a failure is one of the results
		if !strings.Contains(string(out), tc.want+": TestChild") {
			t.Errorf("%s with %q and CI=%q:\n%s\nwant %s", tc.helper, tc.flags, tc.ci, out, tc.want)
		}
	}
}
