package caddymodule_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/internal/servertest"
)

// The upstreams below have the same routes, each as people write them there:
// /healthz, /search, /v1/admin/*, /v1/users/<id>. They answer with the name of the
// route that was reached, and the id.

// pathUpstream is a server whose reading of paths is compared with the gateway's.
type pathUpstream struct {
	name  string
	start func(testing.TB) string
	// proxy is the directive that leads to it, reverse_proxy if empty.
	proxy string
	// meant are the forms that one allows for such an upstream: it reads them as the
	// documentation of `allow` says.
	meant []string
	// tame says that without a policy none of the paths finds a way in: the server
	// cleans paths as Caddy's matchers do.
	tame bool
	// lastParameter says that it cuts only the last of several path parameters off a
	// segment. The docs say so of it.
	lastParameter bool
}

var pathUpstreams = []pathUpstream{
	{name: "FastAPI", start: pathsFastAPI, meant: []string{"encoded_semicolon", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "Flask", start: pathsFlask, meant: []string{"encoded_semicolon", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "Django", start: pathsDjango, meant: []string{"encoded_semicolon", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "Express", start: pathsExpress, meant: []string{"encoded_slash", "encoded_semicolon", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "Go", start: pathsGo, meant: []string{"encoded_slash", "encoded_semicolon", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "nginx", start: pathsNginx, tame: true, meant: []string{"encoded_semicolon", "empty_segments", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "PHP", start: pathsPHP, proxy: phpProxy, meant: []string{"encoded_semicolon", "backslash", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "Tomcat", start: pathsTomcat, meant: []string{"path_parameters", "encoded_semicolon", "empty_segments", "double_escape", "trailing_dot", "trailing_space"}},
	{name: "Jetty", start: pathsJetty, lastParameter: true, meant: []string{"path_parameters", "encoded_semicolon", "double_escape", "trailing_dot", "trailing_space"}},
}

// directive is what leads to the upstream.
func (up pathUpstream) directive() string {
	if up.proxy == "" {
		return "reverse_proxy $UPSTREAM"
	}
	return up.proxy
}

const phpProxy = "root * $ROOT\n php_fastcgi $UPSTREAM {\n index front.php\n }"

// pathSite is the pattern of Caddyfile.example, which also says in the response as
// which route a path was judged.
const pathSite = `
	@admin path /v1/admin /v1/admin/*
	@own path_regexp user (?i)^/v1/users/([^/]+)
	@search path /search /search/
	header @admin X-Judged admin
	header @own X-Judged user
	header @search X-Judged search
	gateway_errors
	@private not path /healthz
	gateway_auth @private {
		failures off
	}
	gateway_roles @admin ADMIN
	gateway_roles @own {
		owner {re.user.1}
	}
	gateway_limit @private
	`

// TestNoPathReachesAnotherRoute sends thousands of paths through the gateway to
// real servers. Which route the server says that it has reached is the verdict:
// without a credential none but the open one, with a user's neither the
// administrators' nor another user's, and with an administrator's none that the
// gateway's matchers took for another.
func TestNoPathReachesAnotherRoute(t *testing.T) {
	var passing map[string][]string
	if !t.Run("the guard", func(t *testing.T) { passing = passingPaths(t, attackPaths()) }) {
		return
	}
	// The administrator first, whom every check lets pass: a path by which that one reaches
	// no guarded route leads nobody to one.
	callers := []pathCaller{
		{name: "an administrator", authorization: bearer(t, "tier", "enterprise", "sub", "a1", "role", "ADMIN")},
		{name: "u1", authorization: bearer(t, "tier", "enterprise")},
		{name: "nobody"},
	}
	for _, up := range pathUpstreams {
		t.Run(up.name, func(t *testing.T) {
			address := up.start(t)
			text := gatewayOptions("tier enterprise 50000000/1m")
			for name, setting := range up.settings() {
				text += "http://" + name + ".test:$PORT {\n" + setting + pathSite + up.directive() + "\n}\n"
			}
			root, err := filepath.Abs(pathsDir)
			if err != nil {
				t.Fatal(err)
			}
			c := startText(t, text, "$UPSTREAM", address, "$ROOT", root)
			logReadings(t, c, callers[0])
			verdicts := map[string]*pathVerdict{}
			var wait sync.WaitGroup
			for name, setting := range up.settings() {
				v := &pathVerdict{paths: passing[setting]}
				if up.lastParameter && strings.Contains(setting, "path_parameters") {
					v.paths = slices.DeleteFunc(slices.Clone(v.paths), severalParameters.MatchString)
				}
				verdicts[name] = v
				wait.Go(func() { v.judge(c, name+".test", callers) })
			}
			wait.Wait()
			for name, v := range verdicts {
				t.Logf("%s: of %d paths that the guard lets pass, %d answers of a route, %d ways in", name, len(v.paths), v.reached, len(v.holes))
				for _, hole := range v.holes[:min(len(v.holes), 8)] {
					if name == "off" {
						t.Logf("%s: %s", name, hole)
					} else {
						t.Errorf("%s: %s", name, hole)
					}
				}
				switch {
				case v.err != nil:
					t.Errorf("%s: %v", name, v.err)
				case name == "off" && len(v.holes) == 0 && !up.tame:
					t.Error("the same paths find no way in without a policy: they could not find one with it")
				case v.reached < 10:
					t.Errorf("%s: got %d answers of routes: too few to say anything", name, v.reached)
				}
			}
		})
	}
}

// readings are the forms of the table in docs/gateway_site.md.
var readings = []string{
	"/v1/admin/../../search", "/v1/x/%2e%2e/admin/users", "/v1/x/..%2fadmin/users", "/v1/admin/..;/x", "/v1%2fadmin/users", "/v1/admin;x=1/users", "/search;x", "/search%3bx",
	"//v1/admin/users", "/v1//admin/users", "/v1%5cadmin/users", "/v1/%2561dmin/users", "/search.", "/search%20", "/search%00", "/%c0%afsearch", "/v1%ef%bc%8fadmin/users", "/SEARCH", "/search/",
}

// logReadings says what the upstream makes of each form without a policy, for the
// table of the docs: go test -v shows it.
func logReadings(t *testing.T, c *caddyharness.Caddy, caller pathCaller) {
	t.Helper()
	line := &rawClient{address: strings.TrimPrefix(c.URL, "http://")}
	defer line.close()
	for _, target := range append([]string{"/v1/admin/users", "/search"}, readings...) {
		status, _, body, err := line.ask("off.test", target, caller.authorization)
		if err != nil {
			t.Fatal(err)
		}
		route := "none"
		if said := routeSaid.FindStringSubmatch(body); said != nil {
			route = said[1]
		}
		t.Logf("reads %s: %d %s", target, status, route)
		if want := map[string]string{"/v1/admin/users": "admin", "/search": "search"}[target]; want != "" && route != want {
			t.Fatalf("%s: got the route %s, want %s: the upstream is not set up", target, route, want)
		}
	}
}

// settings are the sites that an upstream is asked through: their names, and what
// stands in each.
func (up pathUpstream) settings() map[string]string {
	out := map[string]string{
		"strict": "", "normalize": "gateway_site {\n path_policy normalize\n }", "off": "gateway_site {\n path_policy off\n }",
		"all": "gateway_site {\n allow " + strings.Join(up.meant, " ") + "\n }",
	}
	for _, form := range up.meant {
		out[strings.ReplaceAll(form, "_", "-")] = "gateway_site {\n allow " + form + "\n }"
	}
	return out
}

// passingPaths asks the guard alone which paths it lets pass under each setting:
// that does not depend on the upstream. What passes the strict policy is not asked
// again under others, but for a few.
func passingPaths(t *testing.T, paths []string) map[string][]string {
	t.Helper()
	if len(paths) < 5000 {
		t.Fatalf("made %d paths, want thousands", len(paths))
	}
	var settings []string
	text := gatewayOptions("")
	for _, up := range pathUpstreams {
		for _, setting := range up.settings() {
			if !slices.Contains(settings, setting) {
				text += fmt.Sprintf("http://s%d.test:$PORT {\n%s\n%s\nrespond ok\n}\n", len(settings), setting, "gateway_limit /none")
				settings = append(settings, setting)
			}
		}
	}
	c := startText(t, text)
	ask := func(site int, paths []string) (passing []string, err error) {
		line := &rawClient{address: strings.TrimPrefix(c.URL, "http://")}
		defer line.close()
		for _, path := range paths {
			host := fmt.Sprintf("s%d.test", site)
			status, _, _, err := line.ask(host, strings.ReplaceAll(path, "$HOST", host), "")
			switch {
			case err != nil:
				return nil, fmt.Errorf("%q: %w", path, err)
			case status != http.StatusBadRequest:
				passing = append(passing, path)
			}
		}
		return passing, nil
	}
	lists := make([][]string, len(settings))
	errs := make([]error, len(settings))
	first := slices.Index(settings, "")
	lists[first], errs[first] = ask(first, paths)
	strict := map[string]bool{}
	for _, path := range lists[first] {
		strict[path] = true
	}
	var others []string
	for at, path := range paths {
		if !strict[path] || at%40 == 0 {
			others = append(others, path)
		}
	}
	var wait sync.WaitGroup
	for i := range settings {
		if i != first {
			wait.Go(func() { lists[i], errs[i] = ask(i, others) })
		}
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for i, setting := range settings {
		t.Logf("%q: %d of %d paths pass", setting, len(lists[i]), len(paths))
		// Some are cut down, or the test would take minutes.
		every := 1
		switch {
		case strings.Contains(setting, "off"):
			every = 10
		case strings.Contains(setting, "normalize"):
			every = 6
		case strings.Count(setting, "_") > 3:
			// All forms together: each alone is on a site of its own.
			every = 2
		}
		for at, path := range lists[i] {
			if setting == "" || strict[path] || at%every == 0 {
				out[setting] = append(out[setting], path)
			}
		}
	}
	return out
}

// pathCaller is somebody who asks.
type pathCaller struct{ name, authorization string }

// pathVerdict is what came of all paths on one site.
type pathVerdict struct {
	paths   []string
	reached int
	holes   []string
	err     error
}

// severalParameters finds two path parameters in a segment.
var severalParameters = regexp.MustCompile(`;[^/]*;`)

var (
	routeSaid = regexp.MustCompile(`"route": ?"([a-z]+)"`)
	idSaid    = regexp.MustCompile(`"id": ?"((?:[^"\\]|\\.)*)"`)
)

// judge asks for each path, and for one that leads to a guarded route in each caller's
// name.
func (v *pathVerdict) judge(c *caddyharness.Caddy, host string, callers []pathCaller) {
	line := &rawClient{address: strings.TrimPrefix(c.URL, "http://")}
	defer line.close()
	for _, path := range v.paths {
		target := strings.ReplaceAll(path, "$HOST", host)
		for _, caller := range callers {
			_, judged, body, err := line.ask(host, target, caller.authorization)
			if err != nil {
				v.err = fmt.Errorf("%q: %w", target, err)
				return
			}
			route, id := "", ""
			if said := routeSaid.FindStringSubmatch(body); said != nil {
				v.reached++
				route = said[1]
			}
			if m := idSaid.FindStringSubmatch(body); m != nil {
				id = m[1]
			}
			guarded := route == "admin" || route == "user" || route == "search"
			if !guarded && caller == callers[0] {
				break
			}
			switch {
			case !guarded:
			case caller.authorization == "",
				caller.name == "u1" && (route == "admin" || route == "user" && id != "u1"),
				judged != route:
				v.holes = append(v.holes, fmt.Sprintf("%s reached %s %s by %q, which was judged as %q", caller.name, route, id, target, judged))
			}
		}
	}
}

// rawClient sends request lines as they are, over a connection that it keeps as
// long as the server does.
type rawClient struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

func (c *rawClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// ask sends a request and returns its status, the header X-Judged and its body.
func (c *rawClient) ask(host, target, authorization string) (status int, judged, body string, err error) {
	request := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n"
	if authorization != "" {
		request += "Authorization: " + authorization + "\r\n"
	}
	for range 3 {
		if c.conn == nil {
			if c.conn, err = net.Dial("tcp", c.address); err != nil {
				return 0, "", "", err
			}
			c.in = bufio.NewReader(c.conn)
		}
		_ = c.conn.SetDeadline(time.Now().Add(30 * time.Second))
		var response *http.Response
		if _, err = io.WriteString(c.conn, request+"\r\n"); err == nil {
			response, err = http.ReadResponse(c.in, nil)
		}
		if err != nil {
			// A connection that the server has closed meanwhile.
			c.close()
			continue
		}
		text, err := io.ReadAll(response.Body)
		if response.Close || err != nil {
			c.close()
		}
		return response.StatusCode, response.Header.Get("X-Judged"), string(text), err
	}
	return 0, "", "", err
}

// Ways to write what a path is made of.
var (
	pathDots = []string{
		"..", "%2e%2e", "%2E.", ".%2e", "..;", "..;x=1", "%2e%2e;", "..%3b", "..%00", "..%20", "..%09", "%252e%252e", "%25%32%65%25%32%65", "%u002e%u002e",
		"%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%ef%bc%8e%ef%bc%8e", "%e2%80%a5", "...", ".", "%2e", ".;x", "..%c2%a0", "..%e2%80%8b", "..%ef%bb%bf", "..#", "..?", "..%23", "..%3f",
	}
	pathSlashes = []string{
		"/", "//", "///", "%2f", "%2F", "%252f", "%25252f", "%u002f", "%u2215", "%c0%af", "%e0%80%af", "%ef%bc%8f", "%e2%81%84", "%e2%88%95", "\\", "%5c", "%5C", "%255c", "%ef%bc%bc",
		"/./", "/%2e/", "/;/", "/;x=1/", ";/", ";x/", "%3b/", "%3bx/", "%2f/", "/%2f", "%2f%2f", "/%5c", "\\/", "/ /", "/%20/", "%20/", "/%09/", "%00/", "/%00", "./", "%2e/", "/x/../", "/x/..;/", "/x/%2e%2e/", "/x%2f../", "/x%2f..%2f", "/x/..%2f", "/x%5c..%5c",
	}
	pathPieces = []string{
		";", ";x", ";x=1", ";a=b;c=d", ";jsessionid=1", "%3b", "%3bx=1", "%253b", "%00", "%01", "%0a", "%0d%0a", "%09", "%0b", "%7f", "%c2%85", "\t", "\x01", "\x7f", "\x00",
		".", "..", "%2e", "%252e", "...", "%20", "+", "%2b", "%c2%a0", "%e3%80%80", "%e2%80%8b", "%ef%bb%bf", "%ff", "%fe", "%c0", "%e2%28%a1", "%", "%2", "%zz", "%25", "%2500", "%u0000", "%u002e",
		"*", "~", "~1", "::$DATA", ".json", ".css", ";.css", "%23", "#", "#x", "?", "?x", "%3f", "%3fx", "&", "%26", "|", "%7c", "^", "`", "\"", "'", "<", ">", "{x}", "[", "]", "@", ":80", "!", "\xff", "\xc0\xaf", "\xef\xbc\x8f",
		"caf\u00e9", "%e2%80%ae", "/.", "/..", "/../", "/", "//", "/index.php", "/%2e", "/;", "\u017f", "\u212a", "\u0131",
	}
	openRoute   = "/healthz"
	guardRoutes = []string{"/v1/admin/users", "/v1/users/u2", "/v1/users/u1", "/search"}
)

// attackPaths makes the request targets, the same ones each time.
func attackPaths() []string {
	seen := map[string]bool{}
	var out []string
	add := func(target string) {
		// A space ends the target of a request line.
		if strings.ContainsAny(target, " \r\n") {
			target = strings.ReplaceAll(target, " ", "%20")
		}
		if target != "" && !seen[target] {
			seen[target] = true
			out = append(out, target)
		}
	}
	routes := append([]string{openRoute}, guardRoutes...)
	for _, route := range routes {
		add(route)
		add("http://$HOST" + route)
		for _, prefix := range []string{"HTTP://$HOST", "https://$HOST", "http://u@$HOST", "http:", "//$HOST", "///$HOST", "/$HOST", "http://$HOST/healthz?", "http://$HOST?", "x:", "/http://$HOST", "*", "/healthz#", "/healthz?", "/index.php", "/front.php", "/healthz.", "/.", "/;", "/%2f", "/\\"} {
			add(prefix + route)
		}
		for i := 0; i <= len(route); i++ {
			for _, piece := range pathPieces {
				// Every place beside a slash, the ends, and one inside a name.
				edge := i == len(route) || route[i] == '/' || i > 0 && route[i-1] == '/' || i == 3
				if edge {
					add(route[:i] + piece + route[i:])
				}
			}
			if i == len(route) {
				continue
			}
			if route[i] == '/' {
				for _, slash := range pathSlashes {
					add(route[:i] + slash + route[i+1:])
				}
				continue
			}
			c := route[i]
			for _, format := range []string{"%%%02x", "%%%02X", "%%25%02x", "%%%%%02x", "%%u00%02x", "%%c1%%%02x"} {
				add(route[:i] + fmt.Sprintf(format, c) + route[i+1:])
			}
			add(route[:i] + strings.ToUpper(string(c)) + route[i+1:])
			add(route[:i] + string(rune(c)-'!'+'\uff01') + route[i+1:])
		}
		add(strings.ToUpper(route))
		for _, slash := range pathSlashes {
			add("/" + strings.ReplaceAll(route[1:], "/", slash))
			add(slash + strings.ReplaceAll(route[1:], "/", slash) + slash)
		}
	}
	// From one route to another, as one server resolves it and the next does not.
	for _, pair := range [][2]string{
		{"/v1/admin/users", openRoute},
		{"/v1/users/u2", openRoute},
		{openRoute, "/v1/admin/users"},
		{openRoute, "/v1/users/u2"},
		{"/v1/users/u1", "/v1/users/u2"},
		{"/v1/users/u1", "/v1/admin/users"},
		{"/v1/admin/users", "/v1/users/u2"},
	} {
		from, to := pair[0], pair[1]
		depth := strings.Count(from, "/")
		for _, dots := range pathDots {
			for _, slash := range []string{"/", "%2f", "%5c", "\\", "//", ";/", "%252f", "%ef%bc%8f"} {
				add(from + strings.Repeat(slash+dots, depth) + slash + to[1:])
				add(from + strings.Repeat(slash+dots, depth) + to)
			}
		}
		for _, between := range []string{"?", "#", "%3f", "%23", "?/..", "#/..", "%3f/../", ";/..", "%00", "%0a", "%20", "%20HTTP/1.1%0d%0aX:", "@", "\t"} {
			add(from + between + to)
		}
	}
	for _, n := range []int{8, 200, 1500} {
		for _, route := range routes {
			add(strings.Repeat("/a", n) + strings.Repeat("/..", n) + route)
			add(strings.Repeat("/.", n) + route)
			add(strings.Repeat("/", n) + route)
			add(openRoute + strings.Repeat("/..", n) + route)
			add(route + strings.Repeat(";x", n))
			add(route + strings.Repeat("%25", n/4) + "2f")
		}
	}
	// What nobody thought of: combinations, by a fixed seed.
	random := rand.New(rand.NewPCG(11, 2026))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	for range 2500 {
		target := pick(routes)
		for range 1 + random.IntN(4) {
			at := random.IntN(len(target) + 1)
			switch random.IntN(6) {
			case 0:
				target = target[:at] + pick(pathPieces) + target[at:]
			case 1:
				target = target[:at] + pick(pathSlashes) + pick(pathDots) + pick(pathSlashes) + target[at:]
			case 2:
				target += pick(pathSlashes) + pick(pathDots) + pick(routes)
			case 3:
				if at = strings.LastIndexByte(target[:at], '/'); at >= 0 {
					target = target[:at] + pick(pathSlashes) + target[at+1:]
				}
			case 4:
				target = pick(routes) + pick(pathSlashes) + pick(pathDots) + target
			default:
				if at < len(target) {
					target = target[:at] + fmt.Sprintf("%%%02x", target[at]) + target[at+1:]
				}
			}
		}
		add(target)
	}
	return out
}

func TestAttackPathsAreTheSameEachTime(t *testing.T) {
	if a, b := attackPaths(), attackPaths(); !slices.Equal(a, b) {
		t.Error("two runs make two lists: a finding could not be repeated")
	}
}

// pythonWith finds an interpreter that has some modules.
func pythonWith(t testing.TB, what, modules string) string {
	t.Helper()
	for _, candidate := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(candidate, "-c", "import "+modules).Run() == nil {
			return candidate
		}
	}
	servertest.Missing(t, what)
	return ""
}

var pathsDir = filepath.Join("testdata", "paths")

func pathsFastAPI(t testing.TB) string {
	python := pythonWith(t, "FastAPI with uvicorn", "fastapi, uvicorn")
	port := caddyharness.FreePort(t)
	return run(t, pathsDir, port, python, "-B", "-m", "uvicorn", "fastapi_app:app", "--port", strconv.Itoa(port), "--log-level", "critical").addr()
}

func pathsFlask(t testing.TB) string {
	python := pythonWith(t, "Flask", "flask")
	port := caddyharness.FreePort(t)
	return run(t, pathsDir, port, python, "-B", "flask_app.py", strconv.Itoa(port)).addr()
}

func pathsDjango(t testing.TB) string {
	python := pythonWith(t, "Django", "django")
	port := caddyharness.FreePort(t)
	return run(t, pathsDir, port, python, "-B", "django_app.py", strconv.Itoa(port)).addr()
}

func pathsExpress(t testing.TB) string { return expressWith(t, "paths.js").addr() }

func pathsGo(t testing.TB) string {
	mux := http.NewServeMux()
	say := func(route string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"route":"%s","id":"%s"}`, route, r.PathValue("id"))
		}
	}
	mux.HandleFunc("GET /healthz", say("healthz"))
	mux.HandleFunc("GET /search", say("search"))
	mux.HandleFunc("GET /v1/admin/", say("admin"))
	mux.HandleFunc("GET /v1/users/{id}", say("user"))
	mux.HandleFunc("GET /v1/users/{id}/", say("user"))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func pathsNginx(t testing.TB) string {
	return nginxWith(t, filepath.Join(pathsDir, "nginx.conf")).addr()
}

// pathsPHP is PHP behind FastCGI, as PHP-FPM serves it.
func pathsPHP(t testing.TB) string {
	php, err := exec.LookPath("php-cgi")
	if err != nil {
		servertest.Missing(t, "PHP's php-cgi")
	}
	port := caddyharness.FreePort(t)
	return run(t, pathsDir, port, "env", "PHP_FCGI_CHILDREN=2", "PHP_FCGI_MAX_REQUESTS=1000000", php, "-b", "127.0.0.1:"+strconv.Itoa(port)).addr()
}

// javaWith finds what a servlet container of Debian's needs, below /usr/share.
// Other systems, and releases of Debian that lack it, go without these two, but not under
// CI=true.
func javaWith(t testing.TB, jars ...string) string {
	t.Helper()
	java, err := exec.LookPath("java")
	if err != nil {
		servertest.Missing(t, "Java")
	}
	for _, jar := range jars {
		if _, err := os.Stat(jar); err != nil {
			servertest.Missing(t, jar)
		}
	}
	return java
}

// servletApp copies the web application, in which the containers leave files.
func servletApp(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(pathsDir, "servlet"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pathsTomcat(t testing.TB) string {
	home := "/usr/share/tomcat10"
	jars := []string{home + "/bin/bootstrap.jar", home + "/bin/tomcat-juli.jar"}
	java := javaWith(t, append(jars, home+"/lib/jasper.jar")...)
	base, app := t.TempDir(), servletApp(t)
	for _, dir := range []string{"conf", "temp", "logs", "work", "webapps"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"server.xml": read(t, filepath.Join(pathsDir, "tomcat.xml")), "web.xml": "<web-app/>"} {
		if err := os.WriteFile(filepath.Join(base, "conf", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := caddyharness.FreePort(t)
	return run(t, base, port, java, "-XX:TieredStopAtLevel=1", "-cp", strings.Join(jars, ":"), "-Dcatalina.home="+home, "-Dcatalina.base="+base,
		"-Djava.io.tmpdir="+filepath.Join(base, "temp"), "-Dport="+strconv.Itoa(port), "-Dwebapp="+app, "org.apache.catalina.startup.Bootstrap", "start").addr()
}

func pathsJetty(t testing.TB) string {
	var jars []string
	for name := range strings.FieldsSeq("jetty9-annotations jetty9-apache-jsp jetty9-http jetty9-io jetty9-jndi jetty9-plus jetty9-security jetty9-server jetty9-servlet jetty9-util " +
		"jetty9-util-ajax jetty9-webapp jetty9-xml servlet-api geronimo-annotation-1.3-spec asm asm-analysis asm-commons asm-tree tomcat9-api tomcat9-util tomcat9-util-scan " +
		"tomcat9-jasper tomcat9-jasper-el tomcat9-el-api tomcat9-jsp-api tomcat9-juli eclipse-jdt-core") {
		jars = append(jars, "/usr/share/java/"+name+".jar")
	}
	java, app := javaWith(t, jars...), servletApp(t)
	config, err := filepath.Abs(filepath.Join(pathsDir, "jetty.xml"))
	if err != nil {
		t.Fatal(err)
	}
	port := caddyharness.FreePort(t)
	return run(t, app, port, java, "-XX:TieredStopAtLevel=1", "-cp", strings.Join(jars, ":"), "org.eclipse.jetty.xml.XmlConfiguration",
		"port="+strconv.Itoa(port), "webapp="+app, config).addr()
}
