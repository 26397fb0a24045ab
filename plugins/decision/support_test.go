package decision

import (
	"strings"
	"testing"
	"time"
)

func TestSupport(t *testing.T) {
	r := &Record{
		RequestID: "01a2", Time: time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC), Method: "GET", Host: "api.example.com", Path: "/v1/admin",
		Status: 403, UserAgent: "curl/8.5", HeaderNames: "Accept, X-Api-Key", CredentialIn: "X-Api-Key", Scheme: "api_key", KeyID: "k1",
		Policy: "gateway_roles", Reason: "role_missing", Value: "roles USER", Bound: "any of ADMIN",
	}
	r.SetAnswer([]byte(`{"detail":"Insufficient permissions"}`))
	want := `Request ID: 01a2
Time: 2026-11-28T10:00:00Z
Endpoint: GET api.example.com/v1/admin
Status: 403
Answer: {"detail":"Insufficient permissions"}
Request headers: Accept, X-Api-Key
User agent: curl/8.5
Credential: in X-Api-Key, scheme api_key, key k1
Answered by: gateway_roles: role_missing
Expected: any of ADMIN
Found: roles USER
Versions: caddy v2
`
	if got := r.Support("caddy v2"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	up := &Record{Method: "POST", Host: "h", Path: "/x", Status: 404, UpstreamStatus: 404, Outcome: Upstream}
	if got := up.Support(""); !strings.Contains(got, "Answered by: the API, with 404\n") || strings.Contains(got, "Versions") {
		t.Errorf("got\n%s", got)
	}
}

// A block that is pasted into a mail or shown on a terminal holds no second line, no
// escape and no credential of somebody who wrote one into a path.
func TestSupportIsHarmless(t *testing.T) {
	r := &Record{Method: "GET", Host: "h", Path: "/x\nStatus: 200", UserAgent: "a\x1b[2Jb", HeaderNames: "X-\u202eevil"}
	r.SetAnswer([]byte("token=" + strings.Repeat("s", 2*MaxAnswer)))
	got := r.Support("")
	for _, c := range got {
		if c != '\n' && (c < ' ' || c > '~') {
			t.Fatalf("got %q", got)
		}
	}
	if strings.Contains(got, "\nStatus: 200") || strings.Contains(got, "sss") {
		t.Errorf("got\n%s", got)
	}
	if len(r.Answer) > MaxAnswer+len("...") {
		t.Errorf("kept %d bytes of the answer", len(r.Answer))
	}
}
