package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// checked is what POST /gateway/check answers.
type checked struct {
	Allowed   bool                `json:"allowed"`
	Status    int                 `json:"status"`
	PassedTo  *string             `json:"passed_to"`
	Upstreams []string            `json:"upstreams"`
	Limits    []decision.LimitRow `json:"limits"`
	Decision  decision.Record     `json:"decision"`
}

// probe is a request that is both checked and sent.
type probe struct {
	method, url string
	headers     []string
}

func (p probe) check(t *testing.T, c *caddyharness.Caddy) checked {
	t.Helper()
	type line struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	body := struct {
		Method  string `json:"method"`
		URL     string `json:"url"`
		Headers []line `json:"headers"`
	}{p.method, p.url, nil}
	for i := 0; i < len(p.headers); i += 2 {
		body.Headers = append(body.Headers, line{p.headers[i], p.headers[i+1]})
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	answer := admin(t, c, http.MethodPost, "/gateway/check", string(encoded))
	if answer.Status != http.StatusOK {
		t.Fatalf("checking %v: %d %s", p, answer.Status, answer.Body)
	}
	var got checked
	if err := json.Unmarshal([]byte(answer.Body), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// decisionOf is the record of a request that was refused; the zero record where
// there is none.
func decisionOf(t testing.TB, c *caddyharness.Caddy, answer caddyharness.Response) decision.Record {
	t.Helper()
	var record decision.Record
	got := admin(t, c, http.MethodGet, "/gateway/decisions/"+answer.Header.Get("X-Request-Id"), "")
	if got.Status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.Body), &record); err != nil {
			t.Fatal(err)
		}
	}
	return record
}

// manySites is one of everything that decides where a request goes. Nothing
// comes back within the time of the test, so that remaining can be compared.
const manySites = `
http://127.0.0.1:$PORT {
	gateway_errors
	header X-Site one
	handle_path /api/* {
		gateway_auth {
			failures 40/1h
		}
		gateway_roles /admin* ADMIN
		@writes method POST DELETE
		gateway_roles @writes DEVELOPER {
			scopes any write all
		}
		gateway_limit
		reverse_proxy $UPSTREAM
	}
	handle /pub/* {
		gateway_auth {
			optional
			failures off
		}
		gateway_limit {
			zone pub
			anonymous 30/1h
		}
		encode
		reverse_proxy $UPSTREAM
	}
	route /w/* {
		uri strip_prefix /w
		rewrite /old/* /new{uri}
		gateway_auth {
			schemes api_key
			failures off
		}
		map {path} {cost} {
			~^/new/ 3
			default 1
		}
		gateway_limit /new/* {
			zone w
			limit 40/1h
			limit 100/1d
			cost {cost}
		}
		gateway_limit /by/* {
			zone by
			limit 20/1h
			by {http.request.header.X-Tenant}
			concurrency 3
		}
		gateway_roles /own/* USER {
			owner {http.request.uri.query.owner}
		}
		reverse_proxy $UPSTREAM
	}
	@trial {
		path /trial/*
		header X-Trial yes
	}
	handle @trial {
		gateway_auth {
			shadow
		}
		gateway_roles ADMIN
		reverse_proxy $UPSTREAM
	}
	handle /error {
		error "no" 410
	}
	redir /moved /api/items
	respond /health fine 200
}

http://127.0.0.2:$PORT {
	gateway_auth {
		failures off
	}
	gateway_roles /admin* ADMIN {
		shadow
	}
	gateway_limit {
		limit 25/1h window strict
	}
	respond /teapot 418
	reverse_proxy $UPSTREAM
}

&(shared) {
	gateway_auth {
		schemes bearer
		failures off
	}
	gateway_limit {
		zone shared
	}
}

http://127.0.0.1:$OTHER {
	invoke shared
	respond /x hello
	handle_errors {
		gateway_errors
	}
}
`

// What check says is what then happens, whatever is asked: the status, the
// reason, what it was held against, and what is left of the limits. And asking
// changes nothing, or the next answers would be wrong.
func TestCheckAgreesWithReality(t *testing.T) {
	up := newUpstream(t)
	other := strconv.Itoa(caddyharness.FreePort(t))
	c := startText(t, gatewayOptions(`
		tier free 12/1h
		tier pro {
			limit 40/1h
			limit 60/1d burst 45
		}`)+manySites, "$UPSTREAM", up.addr(), "$OTHER", other)
	credentials := credentialsFor(t, c)
	one := strings.TrimPrefix(c.URL, "http://127.0.0.1")
	hosts := []string{c.URL, "http://127.0.0.2" + one, "http://127.0.0.1:" + other}
	paths := []string{
		"/api/items", "/api/admin/users", "/api/admin", "/api", "/pub/a", "/pub/b/../c", "/w/old/x", "/w/by/x", "/w/own/x?owner=u1",
		"/w/own/x?owner=u2", "/trial/x", "/error", "/moved", "/health", "/nowhere", "/admin", "/teapot", "/x", "/", "/api/%2e%2e/x", "//api/items",
		"/API/items", "/w/new/x",
	}
	methods := []string{"GET", "GET", "GET", "POST", "DELETE", "HEAD", "OPTIONS", "get"}

	rounds := 500
	if n, err := strconv.Atoi(os.Getenv("CHECK_ROUNDS")); err == nil {
		rounds = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	reasons, allowed := map[string]int{}, 0
	for i := range rounds {
		p := probe{method: pick(methods), url: pick(hosts[:1+random.IntN(3)]) + pick(paths)}
		p.headers = slices.Clone(credentials[random.IntN(len(credentials))])
		if random.IntN(3) == 0 {
			p.headers = append(p.headers, "X-Tenant", pick([]string{"t1", "t2"}))
		}
		if random.IntN(2) == 0 {
			p.headers = append(p.headers, "X-Trial", "yes")
		}
		up.forget()
		foreseen := p.check(t, c)
		if up.count() != 0 {
			t.Fatal("checking called the upstream")
		}
		got := c.Do(p.method, p.url, "", p.headers...)
		record := decisionOf(t, c, got)

		problem := foreseen.differs(got, record, up.count() != 0)
		if problem != "" {
			t.Fatalf("request %d, %s %s %v: %s\nforeseen %+v\ngot %d %v %s\n%+v", i, p.method, p.url, p.headers, problem,
				foreseen, got.Status, got.Header, got.Body, record)
		}
		reasons[string(record.Reason)]++
		if foreseen.Allowed {
			allowed++
		}
	}
	t.Logf("%d of %d pass; refused: %v", allowed, rounds, reasons)
	if allowed < rounds/10 || len(reasons) < 12 {
		t.Errorf("got %d that pass and %d reasons: the test asks too little", allowed, len(reasons))
	}
}

// differs says what was not as foreseen; empty if everything was.
func (f checked) differs(got caddyharness.Response, record decision.Record, proxied bool) string {
	refused := record.Outcome == decision.Refused || record.Outcome == decision.Undecided
	switch {
	case f.Allowed == refused:
		return "allowed or not"
	case refused && f.Status != got.Status:
		return "status"
	case f.Decision.Reason != record.Reason && refused:
		return "reason"
	case refused && f.Decision.Policy != record.Policy:
		return "policy"
	case refused && f.Decision.Bound != record.Bound && !strings.HasPrefix(record.Bound, "now "):
		return "bound"
	case refused && len(f.Decision.Steps) != len(record.Steps):
		return "steps"
	case (f.PassedTo != nil && *f.PassedTo == "reverse_proxy") != proxied:
		return "passed on or not"
	case f.Status != 0 && f.Status != got.Status:
		return "status of the answer"
	case record.Outcome == decision.Shadow && f.Decision.Outcome != decision.Shadow:
		return "shadow mode"
	}
	if left := got.Header.Get("X-Ratelimit-Remaining"); left != "" {
		least := int64(-1)
		for _, row := range f.Limits {
			limit, err := ratelimit.ParseLimitString(row.Limit)
			if err != nil {
				return err.Error()
			}
			if told := limit.Left(row.Remaining); least < 0 || told < least {
				least = told
			}
		}
		if left != fmt.Sprint(least) {
			return "remaining: foreseen " + fmt.Sprint(least) + ", got " + left
		}
	} else if len(f.Limits) != 0 && got.Status < 400 {
		return "limits foreseen, and none told"
	}
	return ""
}

// credentialsFor makes one of each kind of credential, good and bad.
func credentialsFor(t *testing.T, c *caddyharness.Caddy) [][]string {
	t.Helper()
	good := createKey(t, c, `"owner":"u1","role":"USER","scopes":["write","all"]`).APIKey
	developer := createKey(t, c, `"owner":"u2","role":"DEVELOPER","tier":"pro","scopes":["write"]`).APIKey
	own := createKey(t, c, `"owner":"u3","limits":["7/1h"]`).APIKey
	elsewhere := createKey(t, c, `"owner":"u1","ip_allow":["10.0.0.0/8"]`).APIKey
	ended := createKey(t, c, `"owner":"u1"`)
	if got := admin(t, c, http.MethodDelete, "/gateway/keys/"+ended.ID, ""); got.Status != http.StatusOK {
		t.Fatalf("revoking: %d %s", got.Status, got.Body)
	}
	return [][]string{
		nil,
		{"Authorization", bearer(t)},
		{"Authorization", bearer(t, "sub", "u4", "role", "ADMIN", "tier", "pro")},
		{"Authorization", bearer(t, "sub", "u5", "role", "DEVELOPER", "scope", "all", "tier", "enterprise")},
		{"Authorization", bearer(t, "iat", 1_600_000_000, "exp", 1_600_000_100)},
		{"Authorization", bearer(t) + "x"},
		{"Authorization", "Basic dTpw"},
		{"Authorization", token(t, claims())},
		{"X-Api-Key", good},
		{"X-Api-Key", developer},
		{"Authorization", "Bearer " + developer},
		{"X-Api-Key", own},
		{"X-Api-Key", elsewhere},
		{"X-Api-Key", ended.APIKey},
		{"X-Api-Key", good[:len(good)-1] + "!"},
		{"X-Api-Key", "sk_live_0000000000000000000000000000000000ABCD"},
		{"X-Api-Token", good},
		{"Authorization", bearer(t), "X-Api-Key", good},
		{"X-User-Role", "ADMIN"},
	}
}
