package caddymodule_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

const readme = "../README.md"

// pages reads the README and every page of the docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	out := map[string]string{}
	for _, file := range append(files, readme, "../CONTRIBUTING.md") {
		out[file] = read(t, file)
	}
	return out
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fence = regexp.MustCompile("(?ms)^[ ]*```([a-z]+) ?([a-z]*)\n(.*?)^[ ]*```$")

// block is a fenced block of a page: its language and the word behind it.
type block struct {
	name, language, kind, text string
}

func blocks(t *testing.T, languages ...string) []block {
	t.Helper()
	var out []block
	for file, text := range pages(t) {
		for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
			b := block{
				name:     file + ":" + strconv.Itoa(1+strings.Count(text[:m[0]], "\n")),
				language: text[m[2]:m[3]], kind: text[m[4]:m[5]], text: text[m[6]:m[7]],
			}
			if slices.Contains(languages, b.language) {
				out = append(out, b)
			}
		}
	}
	return out
}

// Every Caddyfile in the docs is one that loads. ```caddyfile is a whole one,
// ```caddyfile site is what stands in a site block, ```caddyfile global what
// stands in the global block.
func TestDocsBlocksLoad(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, name := range []string{"DATABASE_PASSWORD", "JWT_SECRET", "OLD_JWT_SECRET", "GATEWAY_PEPPER", "OLD_PEPPER", "IDENTITY_SECRET", "PORTCULLIS_JWT_SECRET"} {
		t.Setenv(name, testSecret+name)
	}
	t.Setenv("REDIS_HOST", "localhost")
	t.Setenv("DATABASE_URL", "postgres://gateway@localhost/gateway")
	t.Setenv("IDENTITY_KEY", identityKey(t))
	all := append(blocks(t, "caddyfile"), block{name: "Caddyfile.example", text: read(t, "../Caddyfile.example")})
	if len(all) < 25 {
		t.Fatalf("found %d blocks", len(all))
	}
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			switch b.kind {
			case "":
			case "site":
				b.text = "{\n gateway {\n issuer main {\n secret {env.JWT_SECRET}\n }\n }\n}\nhttp://localhost:8080 {\n" + b.text + "}\n"
			case "global":
				b.text = "{\n" + b.text + "}\nhttp://localhost:8080 {\n gateway_auth\n gateway_limit\n}\n"
			default:
				t.Fatalf("unknown kind of block %s: write caddyfile, caddyfile site or caddyfile global", b.kind)
			}
			config, err := caddyharness.Adapt(b.text)
			if err == nil {
				err = validate(config)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// identityKey is an Ed25519 key in PEM.
func identityKey(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// subcommands is `caddy gateway`: its commands by path, and the flags of each.
func subcommands(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	section := func(help, name string) string {
		_, rest, _ := strings.Cut(help, name+":\n")
		part, _, _ := strings.Cut(rest, "\n\n")
		return part
	}
	listed := regexp.MustCompile(`(?m)^  ([a-z-]+) `)
	flags := regexp.MustCompile(`(?m)^ +(?:-[a-z], )?--([a-z-]+)`)
	var walk func(path ...string)
	walk = func(path ...string) {
		help, errOut, err := command(t, append(slices.Clone(path), "--help")...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", path, err, errOut)
		}
		own := []string{}
		for _, m := range flags.FindAllStringSubmatch(section(help, "\nFlags")+"\n"+section(help, "Global Flags"), -1) {
			own = append(own, m[1])
		}
		found[strings.Join(path, " ")] = own
		for _, m := range listed.FindAllStringSubmatch(section(help, "Available Commands"), -1) {
			walk(append(slices.Clone(path), m[1])...)
		}
	}
	walk("gateway")
	return found
}

// Shell blocks name commands and flags that exist, and every command and flag is
// on the page of commands.
func TestDocsCommands(t *testing.T) {
	known := subcommands(t)
	if len(known) < 12 {
		t.Fatalf("found %d commands: %v", len(known), slices.Sorted(maps.Keys(known)))
	}
	page := read(t, "docs/cli.md")
	for path, flags := range known {
		name := strings.TrimPrefix(path, "gateway ")
		if !mentions(page, name) && !regexp.MustCompile(`(?m)^## .*\b`+name+`\b`).MatchString(page) && path != "gateway" && name != "key" && name != "token" && name != "limit" && name != "user" {
			t.Errorf("docs/cli.md does not mention `caddy %s`", path)
		}
		for _, flag := range flags {
			if flag != "help" && !strings.Contains(page, "`--"+flag) {
				t.Errorf("docs/cli.md does not mention --%s of `caddy %s`", flag, path)
			}
		}
	}

	script := read(t, "../xcaddy.sh")
	words := regexp.MustCompile(`"[^"]*"|\S+`)
	for _, b := range blocks(t, "sh", "console") {
		for line := range strings.Lines(b.text) {
			line, prompt := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if b.language == "console" && !prompt {
				continue
			}
			line = strings.TrimSuffix(strings.TrimPrefix(line, "KEY=$("), ")")
			if _, piped, ok := strings.Cut(line, "| "); ok && strings.Contains(piped, "caddy gateway") {
				line = piped
			}
			checkShell(t, b.name, words.FindAllString(line, -1), known, script)
		}
	}
}

func checkShell(t *testing.T, where string, line []string, known map[string][]string, script string) {
	t.Helper()
	if len(line) == 0 {
		return
	}
	switch line[0] {
	case "git", "cd", "curl", "for", "xcaddy", "docker", "kubectl":
	case "./xcaddy.sh":
		if len(line) < 2 || !strings.Contains(script, "\n"+line[1]+") ") {
			t.Errorf("%s: there is no command %v", where, line)
		}
	case "caddy", "bin/caddy":
		if len(line) < 2 || line[1] != "gateway" {
			return
		}
		path, at := "gateway", 2
		for ; at < len(line) && known[path+" "+line[at]] != nil; at++ {
			path += " " + line[at]
		}
		if slices.Contains([]string{"gateway", "gateway key", "gateway token", "gateway limit", "gateway user"}, path) {
			t.Errorf("%s: there is no command %v", where, line)
		}
		for _, word := range line[at:] {
			flag, isFlag := strings.CutPrefix(word, "--")
			flag, _, _ = strings.Cut(flag, "=")
			if isFlag && !slices.Contains(known[path], flag) {
				t.Errorf("%s: `caddy %s` has no flag --%s", where, path, flag)
			}
		}
	default:
		t.Errorf("%s: unknown program %s", where, line[0])
	}
}

// mentions reports whether a page has a word in code: in backquotes or a block.
func mentions(page, word string) bool {
	inCode := regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	whole := regexp.MustCompile(`(^|[^a-z_])` + regexp.QuoteMeta(word) + `($|[^a-z_])`)
	return slices.ContainsFunc(inCode.FindAllString(page, -1), whole.MatchString)
}

// Each parser is asked what it takes, by a word that it does not know. All of it
// must be on the page of its directive.
func TestDocsOptions(t *testing.T) {
	site := func(text string) string { return "http://localhost:8080 {\n" + text + "\n}\n" }
	for _, tc := range []struct {
		page   string
		config string
		least  int
	}{
		{"gateway.md", "{\n gateway {\n nonsense\n }\n}\n", 10},
		{"gateway.md", "{\n gateway {\n issuer main {\n nonsense\n }\n }\n}\n", 14},
		{"gateway.md", "{\n gateway {\n tier pro {\n nonsense\n }\n }\n}\n", 2},
		{"gateway.md", "{\n gateway {\n owner u1 {\n nonsense\n }\n }\n}\n", 3},
		{"gateway.md", "{\n gateway {\n store nonsense\n }\n}\n", 1},
		{"gateway.md", "{\n gateway {\n limiter nonsense\n }\n}\n", 2},
		{"gateway.md", "{\n gateway {\n limiter memory {\n nonsense\n }\n }\n}\n", 1},
		{"gateway.md", "{\n gateway {\n limiter redis redis://localhost {\n nonsense\n }\n }\n}\n", 6},
		{"gateway_errors.md", site("gateway_errors {\n nonsense\n}"), 5},
		{"gateway_site.md", site("gateway_site {\n nonsense\n}"), 5},
		{"gateway_site.md", site("gateway_site {\n allow nonsense\n}"), 8},
		{"gateway_accounts.md", site("gateway_accounts /v1 {\n nonsense\n}"), 11},
		{"gateway_errors.md", site("gateway_errors {\n rule status 500 {\n nonsense 1\n }\n}"), 3},
		{"gateway_auth.md", site("gateway_auth {\n nonsense\n}"), 9},
		{"gateway_auth.md", site("gateway_auth {\n identity_token {\n nonsense\n }\n}"), 5},
		{"gateway_roles.md", site("gateway_roles ADMIN {\n nonsense\n}"), 4},
		{"gateway_cors.md", site("gateway_cors https://a.example {\n nonsense\n}"), 8},
		{"gateway_limit.md", site("gateway_limit {\n nonsense\n}"), 9},
	} {
		_, err := caddyharness.Adapt(tc.config)
		if err == nil {
			t.Errorf("%s: nonsense is taken in\n%s", tc.page, tc.config)
			continue
		}
		message, _, _ := strings.Cut(err.Error(), " at Caddyfile")
		message, _, _ = strings.Cut(message, ", or build")
		list := regexp.MustCompile(`: write (?:one (?:or more )?of )?([a-z_]+(?:(?:, | or )[a-z_]+)*)`).FindStringSubmatch(message)
		if list == nil {
			t.Errorf("%s: the message names no options: %v", tc.page, err)
			continue
		}
		options := regexp.MustCompile(`, | or `).Split(list[1], -1)
		if len(options) < tc.least {
			t.Errorf("%s: got options %v, want %d or more", tc.page, options, tc.least)
		}
		page := read(t, "docs/"+tc.page)
		for _, option := range options {
			// Modules that only tests have are called so.
			if !mentions(page, option) && !strings.HasPrefix(option, "test_") {
				t.Errorf("docs/%s does not mention %s", tc.page, option)
			}
		}
	}
}

// Every reason, placeholder, header, admin route and field of the code is in the
// docs.
func TestDocsAreComplete(t *testing.T) {
	observability := read(t, "docs/observability.md")
	reference, api := read(t, "docs/reference.md"), read(t, "docs/admin-api.md")
	for _, c := range []struct {
		what, page, text string
		form             string
		names            []string
		least            int
	}{
		{"reason", "reference.md", reference, "\n| `%s` | ", stringsOf(t, "../plugins/reason.go", "Reason"), 40},
		{"header", "reference.md", reference, "`%s`", stringsOf(t, "../plugins/auth/identity.go", "Header"), 8},
		{"placeholder", "reference.md", reference, "`{http.auth.user.%s}`", casesOf(t, "request/user.go", "userValue"), 9},
		{"placeholder", "gateway_errors.md", read(t, "docs/gateway_errors.md"), "`{%s}`", templateNames(t), 8},
		{"route", "admin-api.md", api, "`%s`", adminRoutes(t), 13},
		{"field of a key", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/key.go", "Key")), 15},
		{"field to make a key with", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/key.go", "KeyInput")), 11},
		{"field of a revocation", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/token.go", "Revocation")), 8},
		{"field of an owner", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/limit.go", "Owner", "OwnerInput")), 6},
		{"field of a row of usage", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/limit.go", "Usage")), 6},
		{"field of a decision", "admin-api.md", api, "%s", quoted(fieldsOf(t, "../plugins/decision/decision.go", "Record")), 20},
		{"field of an account", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/user.go", "User")), 10},
		{"field of the audit trail", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/user.go", "AuditEntry")), 7},
		{"field of health", "admin-api.md", api, "%s", quoted(fieldsOf(t, "adminapi/health.go", "Health", "StoreHealth", "IssuerHealth")), 12},
		{"metric", "observability.md", observability, "| `%s` |", metricNames(t), 28},
		{"event", "observability.md", observability, "| `%s` |", literals(t, `"(gateway\.[a-z_]+)"`, "gateway/events.go"), 8},
		{"attribute", "observability.md", observability, "`%s`", attributes(t), 10},
		{"field of the access log", "observability.md", observability, "`%s`", logFields(t), 11},
	} {
		if len(c.names) < c.least {
			t.Errorf("found %d of %s, want %d or more: %v", len(c.names), c.what, c.least, c.names)
		}
		for _, name := range c.names {
			missing := !strings.Contains(c.text, fmt.Sprintf(c.form, name))
			if alternatives := strings.Split(name, "|"); len(alternatives) > 1 {
				missing = !slices.ContainsFunc(alternatives, func(a string) bool { return strings.Contains(c.text, a) })
			}
			if missing {
				t.Errorf("docs/%s does not have the %s %s", c.page, c.what, name)
			}
		}
	}
}

// quoted gives each name in the two forms in which a page may show a JSON field.
func quoted(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, "`"+name+"`|\""+name+"\":")
	}
	return out
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func unquote(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != gotoken.STRING {
		return "", false
	}
	s, err := strconv.Unquote(literal.Value)
	return s, err == nil
}

// stringsOf are the values of a file's string constants whose names start so.
func stringsOf(t *testing.T, file, prefix string) []string {
	t.Helper()
	var out []string
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		for _, value := range spec.Values {
			if s, ok := unquote(value); ok {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}

// casesOf are the strings that the switches of a function know.
func casesOf(t *testing.T, file, function string) []string {
	t.Helper()
	var out []string
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok {
			return f.Name.Name == function
		}
		if clause, ok := n.(*ast.CaseClause); ok {
			for _, e := range clause.List {
				if s, ok := unquote(e); ok {
					out = append(out, s)
				}
			}
		}
		return true
	})
	return out
}

// fieldsOf are the JSON names of structs.
func fieldsOf(t *testing.T, file string, types ...string) []string {
	t.Helper()
	var out []string
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !slices.Contains(types, spec.Name.Name) {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Tag != nil {
				name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
				out = append(out, name)
			}
		}
		return true
	})
	return out
}

// templateNames are the placeholders of a custom format.
func templateNames(t *testing.T) []string {
	t.Helper()
	_, list, _ := strings.Cut(read(t, "../plugins/problem/template.go"), "ownPlaceholders = map[string]bool{")
	list, _, _ = strings.Cut(list, "\n}")
	var out []string
	for _, m := range regexp.MustCompile(`"(problem\.[a-z_]+)"`).FindAllStringSubmatch(list, -1) {
		out = append(out, m[1])
	}
	return out
}

// metricNames are the metrics of the code.
func metricNames(t *testing.T) []string {
	t.Helper()
	return literals(t, `"(caddy_gateway_[a-z_]+)"`, "metrics/metrics.go", "gateway/metrics.go")
}

// attributes are those of a span.
func attributes(t *testing.T) []string {
	t.Helper()
	return literals(t, `attribute\.Key\("([a-z_.]+)"\)`, "request/trace.go")
}

// logFields are the names in the access log's object.
func logFields(t *testing.T) []string {
	t.Helper()
	return literals(t, `(?:text|AddString|AddInt64|AddArray)\("([a-z_]+)"`, "request/accesslog.go")
}

func literals(t *testing.T, pattern string, files ...string) []string {
	t.Helper()
	var out []string
	for _, file := range files {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1) {
			if !slices.Contains(out, m[1]) {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// adminRoutes are the patterns of the admin API.
func adminRoutes(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`"((?:GET|POST|PUT|PATCH|DELETE) /gateway/[^"]*)"`).FindAllStringSubmatch(read(t, "admin/admin.go"), -1) {
		out = append(out, m[1])
	}
	return out
}

// Links lead somewhere: to a file, and to a heading of it.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	for file, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", file, m[1])
				continue
			}
			anchors := []string{""}
			for _, h := range heading.FindAllStringSubmatch(string(content), -1) {
				slug := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(h[1]), "")
				anchors = append(anchors, strings.ReplaceAll(slug, " ", "-"))
			}
			if !slices.Contains(anchors, anchor) {
				t.Errorf("%s: the link %s leads to no heading, only %v", file, m[1], anchors)
			}
		}
	}
}
