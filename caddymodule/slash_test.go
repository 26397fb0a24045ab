package caddymodule_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// slashRecipe is a block of the recipe, by a text that is in it.
func slashRecipe(t *testing.T, part string) string {
	t.Helper()
	_, page, ok := strings.Cut(read(t, "docs/recipes.md"), "\n## Trailing slash\n")
	page, _, _ = strings.Cut(page, "\n## ")
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		if strings.Contains(m[3], part) {
			return strings.ReplaceAll(m[3], "localhost:8000", "$UPSTREAM")
		}
	}
	t.Fatalf("no recipe with %q, page %v", part, ok)
	return ""
}

var slashDir = filepath.Join("testdata", "slash")

func slashFastAPI(t *testing.T) string {
	python := pythonWith(t, "FastAPI with uvicorn", "fastapi, uvicorn")
	port := caddyharness.FreePort(t)
	return run(t, slashDir, port, python, "-B", "-m", "uvicorn", "fastapi_app:app", "--port", strconv.Itoa(port), "--log-level", "critical").addr()
}

func slashDjango(t *testing.T) string {
	python := pythonWith(t, "Django", "django")
	port := caddyharness.FreePort(t)
	return run(t, slashDir, port, python, "-B", "django_app.py", strconv.Itoa(port)).addr()
}

// Both forms of a URL work as the recipe has it, for reading and for writing, without
// a redirect; and a policy on one form holds for the other.
func TestTrailingSlash(t *testing.T) {
	for _, tc := range []struct {
		name, part string
		upstream   func(*testing.T) string
	}{
		{"FastAPI", "strip_suffix /", slashFastAPI},
		{"Django", "$0/", slashDjango},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), slashRecipe(t, tc.part), "$UPSTREAM", tc.upstream(t))
			user, admin := []string{"Authorization", bearer(t)}, []string{"Authorization", bearer(t, "role", "ADMIN")}
			for path, want := range map[string]string{"/items": `{"id":0}`, "/items/7": `{"id":7}`, "/items/7?q=a%20b": `{"id":7}`} {
				base, query, _ := strings.Cut(path, "?")
				for _, form := range []string{base, base + "/"} {
					got := c.Get(form+"?"+query, user...)
					if body := strings.ReplaceAll(got.Body, " ", ""); got.Status != 200 || body != want {
						t.Errorf("GET %s: got %d %s %v", form, got.Status, got.Body, got.Header["Location"])
					}
				}
			}
			for _, form := range []string{"/items", "/items/"} {
				if got := c.Do("POST", form, "{}", user...); got.Status != 200 || !strings.Contains(got.Body, "made") {
					t.Errorf("POST %s: got %d %s", form, got.Status, got.Body)
				}
			}
			for _, form := range []string{"/admin", "/admin/", "/admin/x", "/admin/x/"} {
				if got := c.Get(form, user...); got.Status != 403 {
					t.Errorf("%s as a user: got %d", form, got.Status)
				}
				if got := c.Get(form, admin...); got.Status != 404 {
					t.Errorf("%s as an administrator: got %d", form, got.Status)
				}
			}
			if got := c.Get("/", user...); got.Status != 404 {
				t.Errorf("the root: got %d", got.Status)
			}
		})
	}
}

// A route that is not as the recipe says is found by the API's redirect, which stays on
// the gateway's host whatever host the API knows itself by.
func TestSlashRedirectStaysHere(t *testing.T) {
	api := slashFastAPI(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n reverse_proxy $UPSTREAM {\n header_up Host {upstream_hostport}\n }", "$UPSTREAM", api)
	if got := c.Get("http://" + api + "/with?a=1"); got.Header.Get("Location") != "http://"+api+"/with/?a=1" {
		t.Fatalf("the API itself: got %d %v", got.Status, got.Header)
	}
	if got := c.Get("/with?a=1"); got.Status != 307 || got.Header.Get("Location") != "/with/?a=1" {
		t.Errorf("got %d %v", got.Status, got.Header)
	}
	if got := c.Get("/items/?a=1"); got.Status != 307 || got.Header.Get("Location") != "/items?a=1" {
		t.Errorf("got %d %v", got.Status, got.Header)
	}
}

// The host goes from a redirect of any upstream that only adds or takes a slash, below a
// prefix that the gateway takes away too, and from no other.
func TestSlashRedirectOfAnyUpstream(t *testing.T) {
	up := newUpstream(t)
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Path + "/"
		if r.URL.Path == "/login" {
			to = "/to/another"
		}
		w.Header().Set("Location", "http://10.0.0.5:8000"+to)
		w.WriteHeader(http.StatusMovedPermanently)
	})
	for _, proxy := range []string{"reverse_proxy", "gateway_proxy"} {
		t.Run(proxy, func(t *testing.T) {
			c := start(t, gatewayOptions(""), "gateway_errors\n handle_path /v1/* {\n "+proxy+" $UPSTREAM\n }\n handle {\n "+proxy+" $UPSTREAM\n }", "$UPSTREAM", up.addr())
			for path, want := range map[string]string{"/items": "/items/", "/v1/items": "/v1/items/", "/login": "http://10.0.0.5:8000/to/another"} {
				if got := c.Get(path); got.Status != 301 || got.Header.Get("Location") != want {
					t.Errorf("%s: got %d %v, want %s", path, got.Status, got.Header["Location"], want)
				}
			}
		})
	}
}
