package caddymodule_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins/decision"
)

// follow opens the stream of decisions; lines come until it ends.
func follow(t *testing.T, c *caddyharness.Caddy, query string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Admin+"/gateway/decisions?follow=1"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if contentType := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || contentType != "application/x-ndjson" {
		t.Fatalf("got %d %s", answer.StatusCode, contentType)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		defer func() { _ = answer.Body.Close() }()
		scanner := bufio.NewScanner(answer.Body)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// next is the next line; the test fails if none comes.
func next(t *testing.T, lines <-chan string) (line string, open bool) {
	t.Helper()
	select {
	case line, open = <-lines:
		return line, open
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
		return "", false
	}
}

func TestFollowDecisions(t *testing.T) {
	up := newUpstream(t)
	site := `
	gateway_errors
	gateway_auth {
		failures off
	}
	gateway_roles /admin* ADMIN
	reverse_proxy $UPSTREAM`
	c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
	admins := follow(t, c, "&reason=role_missing&owner=u2&path=/admin/")
	all := follow(t, c, "")
	record := func(line string) (r decision.Record) {
		t.Helper()
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		return r
	}
	c.Get("/x", "Authorization", bearer(t))
	c.Get("/admin/a", "Authorization", bearer(t))
	c.Get("/admin", "Authorization", bearer(t, "sub", "u2"))
	c.Get("/x")
	want := c.Get("/admin/b", "Authorization", bearer(t, "sub", "u2")).Header.Get("X-Request-Id")
	line, _ := next(t, admins)
	if got := record(line); got.RequestID != want {
		t.Errorf("with filters: got %+v, want %s", got, want)
	}
	for i, path := range []string{"/admin/a", "/admin", "/x", "/admin/b"} {
		line, _ := next(t, all)
		if got := record(line); got.Path != path || got.Seq != uint64(i+1) {
			t.Errorf("line %d: got %+v, want %s", i, got, path)
		}
	}
	// The list has the same, the newest first.
	var list []decision.Record
	answer := admin(t, c, http.MethodGet, "/gateway/decisions?status=4xx&limit=3", "")
	if err := json.Unmarshal([]byte(answer.Body), &list); err != nil || len(list) != 3 || list[0].RequestID != want || list[1].Status != 401 {
		t.Errorf("got %v %s", err, answer.Body)
	}
	for query, text := range map[string]string{"limit=0": "whole number", "after=x": "whole number", "status=abc": "4xx", "follow=yes": "follow=1"} {
		if got := admin(t, c, http.MethodGet, "/gateway/decisions?"+query, ""); got.Status != 422 || !strings.Contains(got.Body, text) {
			t.Errorf("%s: got %d %s, want 422 with %q", query, got.Status, got.Body, text)
		}
	}
	// A reload ends the streams at once and loses nothing; fewer may be kept from
	// then on.
	began := time.Now()
	if err := c.Reload(gatewayOptions("decisions 2") + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"); err != nil {
		t.Fatal(err)
	}
	for _, lines := range []<-chan string{admins, all} {
		if line, open := next(t, lines); open {
			t.Errorf("got %q, want the end", line)
		}
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the reload took %v", took)
	}
	missed := c.Get("/y").Header.Get("X-Request-Id")
	again := follow(t, c, "&after=4")
	if line, _ := next(t, again); record(line).RequestID != missed {
		t.Errorf("got %s, want what came in between", line)
	}
	if answer := admin(t, c, http.MethodGet, "/gateway/decisions", ""); strings.Count(answer.Body, `"seq":`) != 2 {
		t.Errorf("got %s, want two kept", answer.Body)
	}
	if got := admin(t, c, http.MethodGet, "/gateway/decisions/"+want, ""); got.Status != 200 {
		t.Errorf("got %d, want the record from before the reload", got.Status)
	}
}

func TestTailCommand(t *testing.T) {
	up := newUpstream(t)
	site := "gateway_errors\n gateway_auth {\n failures off\n }\n reverse_proxy $UPSTREAM"
	c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
	first := c.Get("/before").Header.Get("X-Request-Id")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "gateway", "--address", c.Admin, "tail", "--last", "5", "--reason", "no_credential")
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	if line, _ := next(t, lines); !strings.Contains(line, first) || !strings.Contains(line, "401 no_credential") || !strings.Contains(line, "GET 127.0.0.1:") {
		t.Errorf("got %q, want what was there", line)
	}
	c.Get("/x", "Authorization", "Basic x")
	second := c.Get("/after").Header.Get("X-Request-Id")
	if line, _ := next(t, lines); !strings.Contains(line, second) {
		t.Errorf("got %q, want what came", line)
	}
	if err := c.Reload(gatewayOptions("") + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"); err != nil {
		t.Fatal(err)
	}
	third := c.Get("/reloaded").Header.Get("X-Request-Id")
	if line, _ := next(t, lines); !strings.Contains(line, third) {
		t.Errorf("got %q, want what came after the reload", line)
	}
	got, errOut, err := command(t, "gateway", "--address", c.Admin, "tail", "--once", "--json", "--status", "401", "--last", "2")
	if err != nil || strings.Count(got, "\n") != 2 || !strings.Contains(got, third) {
		t.Errorf("got %v %s %s, want two lines", err, got, errOut)
	}
}

// What shadow mode lets pass is recorded and summed up, in all four policies,
// although the requests are answered.
func TestShadowReport(t *testing.T) {
	up := newUpstream(t)
	site := func(shadow string) string {
		return strings.ReplaceAll(`
	gateway_errors {
		SHADOW
	}
	gateway_auth {
		failures off
		SHADOW
	}
	gateway_roles /v1/admin/* ADMIN {
		SHADOW
	}
	gateway_limit /v1/often {
		zone often
		limit 1/1h
		by ip
		SHADOW
	}
	reverse_proxy /v1/* $UPSTREAM
	reverse_proxy /down 127.0.0.1:1`, "SHADOW", shadow)
	}
	c := start(t, gatewayOptions(""), site("shadow"), "$UPSTREAM", up.addr())
	auth := bearer(t)
	var last caddyharness.Response
	for i := range 3 {
		last = c.Get("/v1/admin/"+strconv.Itoa(1000+i), "Authorization", auth)
		if last.Status != 200 {
			t.Fatalf("got %d %s, want it to pass", last.Status, last.Body)
		}
	}
	c.Get("/v1/often", "Authorization", auth)
	limited := c.Get("/v1/often", "Authorization", auth)
	anonymous := c.Get("/v1/items")
	up.answerWith(500, "text/html", "<h1>SELECT * FROM users failed</h1>")
	html := c.Get("/v1/items", "Authorization", auth)
	up.answerWith(404, "text/plain", "no such item")
	plain := c.Get("/v1/items", "Authorization", auth)
	up.answerWith(404, "application/json", `{"detail":"as it should be"}`)
	c.Get("/v1/items", "Authorization", auth)
	down := c.Get("/down", "Authorization", auth)
	nowhere := c.Get("/nowhere", "Authorization", auth)
	if limited.Status != 200 || anonymous.Status != 200 || html.Body != "<h1>SELECT * FROM users failed</h1>" || html.Status != 500 ||
		plain.Body != "no such item" || down.Status != 502 || down.Body != "" || nowhere.Status != 200 {
		t.Errorf("got %v %v %v %v %v %v, want everything untouched", limited, anonymous, html, plain, down, nowhere)
	}
	if err := c.Reload(gatewayOptions("") + "\nhttp://127.0.0.1:$PORT {\n" + site("") + "\n}\n"); err != nil {
		t.Fatal(err)
	}
	report := func(query string) (rows map[string]decision.ShadowRow) {
		t.Helper()
		var answer struct {
			Rows []decision.ShadowRow `json:"rows"`
		}
		got := admin(t, c, http.MethodGet, "/gateway/shadow"+query, "")
		if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || got.Status != 200 {
			t.Fatalf("got %v %d %s", err, got.Status, got.Body)
		}
		rows = map[string]decision.ShadowRow{}
		for _, row := range answer.Rows {
			rows[row.Policy+" "+row.Reason+" "+row.Route] = row
		}
		return rows
	}
	rows := report("?since=1h")
	for name, want := range map[string]struct {
		count  uint64
		status int
		id     string
	}{
		"gateway_roles role_missing /v1/admin/*":   {3, 403, last.Header.Get("X-Request-Id")},
		"gateway_limit rate_limited /v1/often":     {1, 429, limited.Header.Get("X-Request-Id")},
		"gateway_auth no_credential /v1/items":     {1, 401, anonymous.Header.Get("X-Request-Id")},
		"gateway_errors body_replaced /v1/items":   {1, 500, html.Header.Get("X-Request-Id")},
		"gateway_errors body_translated /v1/items": {1, 404, plain.Header.Get("X-Request-Id")},
		"gateway_errors error_answered /down":      {1, 502, down.Header.Get("X-Request-Id")},
		"gateway_errors not_routed /nowhere":       {1, 404, nowhere.Header.Get("X-Request-Id")},
	} {
		if got := rows[name]; got.Count != want.count || got.Status != want.status || got.LastRequestID != want.id {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if len(rows) != 7 {
		t.Errorf("got %v, want 7 rows", rows)
	}
	for id, want := range map[string][]string{
		last.Header.Get("X-Request-Id"):      {"was answered with 200, by shadow mode", "2. gateway_roles: would refuse with 403, role_missing; found roles USER; wanted any of ADMIN."},
		html.Header.Get("X-Request-Id"):      {"gateway_errors: would refuse with 500, body_replaced; found status 500, read as html; wanted detail", "The upstream answered 500"},
		anonymous.Header.Get("X-Request-Id"): {"gateway_auth: would refuse with 401, no_credential"},
	} {
		out, errOut, err := command(t, "gateway", "--address", c.Admin, "explain", id)
		for _, text := range want {
			if err != nil || !strings.Contains(out, text) {
				t.Errorf("got %v %s %s\nwant %q", err, out, errOut, text)
			}
		}
	}
	out, errOut, err := command(t, "gateway", "--address", c.Admin, "shadow-report", "--since", "1d")
	if err != nil || !strings.Contains(out, "COUNT") || !strings.Contains(out, "3      gateway_roles") || !strings.Contains(out, "/v1/admin/*") {
		t.Errorf("got %v %s %s", err, out, errOut)
	}
	if got := admin(t, c, http.MethodGet, "/gateway/shadow?since=soon", ""); got.Status != 422 {
		t.Errorf("got %d %s, want 422", got.Status, got.Body)
	}
	if got := admin(t, c, http.MethodDelete, "/gateway/shadow", ""); got.Status != 200 || !strings.Contains(got.Body, "role_missing") {
		t.Errorf("got %d %s, want what there was", got.Status, got.Body)
	}
	if rows := report(""); len(rows) != 0 {
		t.Errorf("got %v after a reset", rows)
	}
}

// A site without gateway_errors says why too: its refusals carry a request id of
// their own.
func TestExplainWithoutErrors(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
	gateway_auth {
		failures off
	}
	gateway_roles /admin ADMIN
	gateway_roles /both ADMIN {
		shadow
	}
	gateway_limit /both {
		limit 1/1h
	}
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	auth := bearer(t)
	refused := c.Get("/admin", "Authorization", auth)
	if record := decisionOf(t, c, refused); record.Status != 403 || record.Reason != "role_missing" || len(record.Steps) != 2 {
		t.Errorf("got %+v", record)
	}
	if got := c.Get("/", "Authorization", auth); got.Header.Get("X-Request-Id") != "" {
		t.Error("a request that passes has an id that nobody asked for")
	}
	// One record of a request that shadow mode let pass and a limit refused.
	c.Get("/both", "Authorization", auth)
	record := decisionOf(t, c, c.Get("/both", "Authorization", auth))
	if record.Outcome != decision.Refused || record.Policy != "gateway_limit" || len(record.Steps) != 3 || record.Steps[1].Result != decision.StepShadow {
		t.Errorf("got %+v", record)
	}
	if answer := admin(t, c, http.MethodGet, "/gateway/decisions", ""); strings.Count(answer.Body, `"seq":`) != 3 {
		t.Errorf("got %s, want three records", answer.Body)
	}
}
