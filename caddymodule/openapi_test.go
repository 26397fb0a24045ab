package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// description is openapi.json as the admin API serves it.
type description struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		RequestBody struct {
			Content map[string]struct {
				Schema any `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
		Responses map[string]struct {
			Content map[string]struct {
				Schema any `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

func described(t *testing.T, c *caddyharness.Caddy) *description {
	t.Helper()
	answer := admin(t, c, http.MethodGet, "/gateway/openapi.json", "")
	d := new(description)
	if err := json.Unmarshal([]byte(answer.Body), d); err != nil || answer.Status != 200 || d.OpenAPI != "3.1.0" {
		t.Fatalf("got %v %d %s", err, answer.Status, d.OpenAPI)
	}
	return d
}

// mistakes checks a value against a schema, by the part of JSON Schema that
// openapi.json uses, and refuses what it does not know of.
func (d *description) mistakes(schema, value any, at string) []string {
	s, ok := schema.(map[string]any)
	if !ok {
		return []string{at + ": no schema"}
	}
	if name, ok := s["$ref"].(string); ok {
		return d.mistakes(d.Components.Schemas[strings.TrimPrefix(name, "#/components/schemas/")], value, at)
	}
	var list []string
	for word, rule := range s {
		switch word {
		case "type":
			allowed, ok := rule.([]any)
			if !ok {
				allowed = []any{rule}
			}
			if !slices.Contains(allowed, any(typeOf(value))) && !(typeOf(value) == "integer" && slices.Contains(allowed, any("number"))) {
				list = append(list, fmt.Sprintf("%s: is a %s, want %v", at, typeOf(value), allowed))
			}
		case "enum":
			if !slices.Contains(rule.([]any), value) {
				list = append(list, fmt.Sprintf("%s: is %v, want one of %v", at, value, rule))
			}
		case "format":
			if text, ok := value.(string); ok && rule == "date-time" {
				if _, err := time.Parse(time.RFC3339, text); err != nil {
					list = append(list, fmt.Sprintf("%s: %q is no time", at, text))
				}
			}
		case "oneOf":
			matching := 0
			for _, one := range rule.([]any) {
				if len(d.mistakes(one, value, at)) == 0 {
					matching++
				}
			}
			if matching != 1 {
				list = append(list, fmt.Sprintf("%s: matches %d of oneOf", at, matching))
			}
		case "items":
			if elements, ok := value.([]any); ok {
				for i, element := range elements {
					list = append(list, d.mistakes(rule, element, fmt.Sprintf("%s[%d]", at, i))...)
				}
			}
		case "required":
			if object, ok := value.(map[string]any); ok {
				for _, name := range rule.([]any) {
					if _, there := object[name.(string)]; !there {
						list = append(list, fmt.Sprintf("%s: no %s", at, name))
					}
				}
			}
		case "properties":
			object, _ := value.(map[string]any)
			for name, member := range object {
				if of, known := rule.(map[string]any)[name]; known {
					list = append(list, d.mistakes(of, member, at+"."+name)...)
				} else if s["additionalProperties"] == false {
					list = append(list, at+": has "+name+", which is not described")
				}
			}
		case "additionalProperties", "description":
		default:
			list = append(list, at+": the test knows no "+word)
		}
	}
	return list
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// Every route of the code is described and the reverse, and what a life of the
// API answers is as described.
func TestOpenAPI(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("foreign_keys"), `
	gateway_errors
	gateway_auth {
		failures off
	}
	gateway_roles /admin ADMIN {
		shadow
	}
	gateway_limit
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	d := described(t, c)
	routes := adminRoutes(t)
	for path, operations := range d.Paths {
		for method := range operations {
			if route := strings.ToUpper(method) + " " + path; !slices.Contains(routes, route) {
				t.Errorf("openapi.json has %s, the code has not", route)
			}
		}
	}
	ids := map[string]bool{}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		operation, ok := d.Paths[path][strings.ToLower(method)]
		if !ok {
			t.Errorf("caddymodule/openapi.json has no %s: add it", route)
		} else if operation.OperationID == "" || ids[operation.OperationID] {
			t.Errorf("%s: operationId %q is empty or another's", route, operation.OperationID)
		}
		ids[operation.OperationID] = true
	}

	used := map[string]bool{}
	// ask sends a request by the pattern of its route and checks both sides.
	ask := func(status int, method, pattern, body string, values ...string) map[string]any {
		t.Helper()
		path := strings.NewReplacer(values...).Replace(pattern)
		operation := d.Paths[strings.Split(pattern, "?")[0]][strings.ToLower(method)]
		if sent, ok := operation.RequestBody.Content["application/json"]; ok && body != "" && status < 400 {
			var value any
			if err := json.Unmarshal([]byte(body), &value); err != nil {
				t.Fatal(err)
			}
			for _, mistake := range d.mistakes(sent.Schema, value, "body") {
				t.Errorf("%s %s: %s", method, pattern, mistake)
			}
		}
		answer := admin(t, c, method, path, body)
		if answer.Status != status {
			t.Fatalf("%s %s: got %d %s, want %d", method, path, answer.Status, answer.Body, status)
		}
		response, ok := operation.Responses[fmt.Sprint(status)]
		if !ok {
			t.Fatalf("%s %s: %d is not described", method, pattern, status)
		}
		var value any
		if err := json.Unmarshal([]byte(answer.Body), &value); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		for _, mistake := range d.mistakes(response.Content["application/json"].Schema, value, "answer") {
			t.Errorf("%s %s: %s\n%s", method, pattern, mistake, answer.Body)
		}
		used[method+" "+strings.Split(pattern, "?")[0]] = true
		object, _ := value.(map[string]any)
		return object
	}
	made := ask(201, "POST", "/gateway/keys", `{"owner":"u1","scopes":["a"],"tier":"pro","expires":"90d"}`)
	id := []string{"{id}", made["id"].(string)}
	refused := c.Get("/x", "X-Api-Key", made["api_key"].(string)+"x").Header.Get("X-Request-Id")
	c.Get("/admin", "X-Api-Key", made["api_key"].(string))
	ask(422, "POST", "/gateway/keys", `{"owner":""}`)
	ask(200, "GET", "/gateway/keys", "")
	ask(422, "GET", "/gateway/keys?limit=x", "")
	ask(200, "GET", "/gateway/keys/{id}", "", id...)
	ask(404, "GET", "/gateway/keys/{id}", "", "{id}", "nobody")
	ask(200, "PATCH", "/gateway/keys/{id}", `{"name":"n"}`, id...)
	ask(201, "POST", "/gateway/keys/{id}/rotate", `{"grace":"1h"}`, id...)
	ask(409, "POST", "/gateway/keys/{id}/rotate", "", id...)
	ask(200, "DELETE", "/gateway/keys/{id}", "", id...)
	ask(201, "POST", "/gateway/keys/import", "key,owner\nan-old-key-of-another-system,u9\n")
	ask(200, "POST", "/gateway/tokens/inspect", `{"token":"`+token(t, claims())+`"}`)
	ask(422, "POST", "/gateway/tokens/inspect", `{"token":"x"}`)
	revocation := ask(201, "POST", "/gateway/revocations", `{"jti":"j1"}`)
	ask(422, "POST", "/gateway/revocations", `{}`)
	ask(200, "GET", "/gateway/revocations", "")
	ask(200, "DELETE", "/gateway/revocations/{id}", "", "{id}", revocation["id"].(string))
	ask(404, "DELETE", "/gateway/revocations/{id}", "", "{id}", "none")
	ask(200, "GET", "/gateway/decisions", "")
	ask(422, "GET", "/gateway/decisions?limit=x", "")
	ask(200, "GET", "/gateway/decisions/{id}", "", "{id}", refused)
	ask(404, "GET", "/gateway/decisions/{id}", "", "{id}", "none")
	ask(200, "GET", "/gateway/shadow", "")
	ask(200, "DELETE", "/gateway/shadow", "")
	ask(200, "GET", "/gateway/usage/{owner}", "", "{owner}", "u1")
	ask(200, "GET", "/gateway/limits/{zone}/{owner}", "", "{zone}", "default", "{owner}", "u1")
	ask(404, "GET", "/gateway/limits/{zone}/{owner}", "", "{zone}", "none", "{owner}", "u1")
	ask(200, "DELETE", "/gateway/limits/{zone}/{owner}", "", "{zone}", "default", "{owner}", "u1")
	ask(200, "PUT", "/gateway/owners/{owner}", `{"tier":"pro"}`, "{owner}", "u1")
	ask(422, "PUT", "/gateway/owners/{owner}", `{"tier":"gold"}`, "{owner}", "u1")
	ask(200, "GET", "/gateway/owners", "")
	ask(200, "DELETE", "/gateway/owners/{owner}", "", "{owner}", "u1")
	ask(404, "DELETE", "/gateway/owners/{owner}", "", "{owner}", "u1")
	ask(201, "POST", "/gateway/users", `{"email":"a@example.com","full_name":"A"}`)
	ask(409, "POST", "/gateway/users", `{"email":"a@example.com"}`)
	ask(200, "GET", "/gateway/users", "")
	account := []string{"{id}", "a@example.com"}
	ask(200, "GET", "/gateway/users/{id}", "", account...)
	ask(404, "GET", "/gateway/users/{id}", "", "{id}", "none")
	ask(200, "PATCH", "/gateway/users/{id}", `{"tier":"pro"}`, account...)
	ask(200, "POST", "/gateway/users/{id}/password", "", account...)
	ask(200, "POST", "/gateway/users/{id}/disable", "", account...)
	ask(200, "POST", "/gateway/users/{id}/enable", "", account...)
	ask(200, "GET", "/gateway/audit", "")
	ask(422, "GET", "/gateway/audit?since=x", "")
	ask(200, "POST", "/gateway/check", `{"url":"`+c.URL+`/admin","as":{"owner":"u1","roles":["USER"]},"headers":[{"name":"X-A","value":"b"}]}`)
	ask(422, "POST", "/gateway/check", `{"url":"/"}`)
	ask(200, "GET", "/gateway/health", "")
	ask(200, "GET", "/gateway/openapi.json", "")
	for _, route := range routes {
		if !used[route] {
			t.Errorf("the scenario does not ask %s: add it", route)
		}
	}
}

// Caddy's own rules decide who may use the admin API, and what is not there or not
// allowed is said in the project's format.
func TestAdminAccess(t *testing.T) {
	c := start(t, strings.Replace(gatewayOptions(""), "admin $ADMIN", "admin $ADMIN {\n origins $ADMIN\n enforce_origin\n }", 1), "respond hi")
	ask := func(method, path, host, origin string) caddyharness.Response {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+c.Admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		answer, err := c.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		return caddyharness.Response{Status: answer.StatusCode, Header: answer.Header}
	}
	good := "http://" + c.Admin
	for _, tc := range []struct {
		name, method, path, host, origin string
		status                           int
		allow                            string
	}{
		{"good", "GET", "/gateway/keys", "", good, 200, ""},
		{"another origin", "GET", "/gateway/keys", "", "http://evil.example", 403, ""},
		{"no origin", "GET", "/gateway/keys", "", "", 403, ""},
		{"another host", "GET", "/gateway/keys", "evil.example", good, 403, ""},
		{"another origin makes no key", "POST", "/gateway/keys", "", "http://evil.example", 403, ""},
		{"another method", "PUT", "/gateway/keys", "", good, 405, "GET, HEAD, POST"},
		{"another method on a key", "POST", "/gateway/keys/x", "", good, 405, "DELETE, GET, HEAD, PATCH"},
		{"no such path", "GET", "/gateway/nothing", "", good, 404, ""},
		{"no such path below", "GET", "/gateway/keys/a/b/c", "", good, 404, ""},
	} {
		got := ask(tc.method, tc.path, tc.host, tc.origin)
		if got.Status != tc.status || got.Header.Get("Allow") != tc.allow || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d, Allow %q, %s; want %d, %q", tc.name, got.Status, got.Header.Get("Allow"), got.Header.Get("Content-Type"), tc.status, tc.allow)
		}
	}
}
