package plugins_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is this module's path; policies is where its policies are.
const (
	module   = "github.com/ainative/portcullis"
	policies = module + "/plugins"
)

// buildTags are those that the gateway ships with.
const buildTags = "-tags=nobadger,nomysql,nopgx"

// forbidden libraries may be reached from no policy: the policies are plain Go
// that Caddy is only one home for.
var forbidden = []string{
	"github.com/caddyserver",
	"go.uber.org/zap",
	"github.com/prometheus",
	module + "/caddymodule",
}

// owned libraries may be reached from one place only.
var owned = []struct {
	libraries []string
	owner     string // below policies; its subpackages included
}{
	{[]string{"github.com/golang-jwt", "github.com/MicahParks/jwkset", "github.com/go-jose", "github.com/lestrrat-go/jwx"}, "auth/bearer"},
	{[]string{"github.com/redis/go-redis", "github.com/go-redis/redis_rate", "github.com/alicebob/miniredis"}, "ratelimit/redisgcra"},
	{[]string{"modernc.org/sqlite"}, "store/sqlite"},
	{[]string{"github.com/jackc/pgx"}, "store/postgres"},
}

// pkg is a package of the graph as `go list -json` prints it.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // of the package's own tests
	XTestImports []string // of its tests from outside
}

// graph maps import paths to packages: the policies and all that they reach.
type graph map[string]pkg

// TestDependencyDirection holds the imports of the policies to the direction of
// the design: cmd -> caddymodule -> plugins/* -> plugins.
func TestDependencyDirection(t *testing.T) {
	g := loadGraph(t)
	if len(g) == 0 {
		t.Fatal("go list found no package")
	}
	for _, breach := range breaches(g) {
		t.Error(breach)
	}
}

// breaches returns a sentence for each import that goes the wrong way, sorted.
func breaches(g graph) []string {
	found := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(g)) {
		if !within(path, policies) {
			continue
		}
		p := g[path]
		for _, imported := range p.Imports {
			if crosses(path, imported) {
				found[fmt.Sprintf("%s imports %s: policies do not know each other, they meet in %s", short(path), short(imported), short(policies))] = true
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if crosses(path, imported) {
				found[fmt.Sprintf("the tests of %s import %s: policies do not know each other, in tests neither", short(path), short(imported))] = true
			}
			if rule := libraryRule(path, imported); rule != "" {
				found[fmt.Sprintf("the tests of %s import %s: %s", short(path), imported, rule)] = true
			}
		}
		for _, chain := range reached(g, path) {
			last := chain[len(chain)-1]
			if rule := libraryRule(path, last); rule != "" {
				found[fmt.Sprintf("%s: %s", strings.Join(shorten(chain), " imports "), rule)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// libraryRule returns what forbids a policy to reach a library; empty if nothing does.
func libraryRule(policy, library string) string {
	for _, f := range forbidden {
		if within(library, f) {
			return "policies are plain Go; Caddy, zap and Prometheus stay in caddymodule"
		}
	}
	for _, o := range owned {
		for _, l := range o.libraries {
			if within(library, l) && !within(policy, policies+"/"+o.owner) {
				return fmt.Sprintf("%s belongs to %s alone", l, short(policies+"/"+o.owner))
			}
		}
	}
	return ""
}

// reached returns a shortest import chain from a package to each package that
// libraryRule forbids it. What is behind a forbidden library is not reported.
func reached(g graph, from string) [][]string {
	var chains [][]string
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range g[queue[0]].Imports {
			if _, seen := before[next]; seen {
				continue
			}
			before[next] = queue[0]
			if libraryRule(from, next) == "" {
				queue = append(queue, next)
				continue
			}
			chain := []string{next}
			for at := queue[0]; at != ""; at = before[at] {
				chain = append(chain, at)
			}
			slices.Reverse(chain)
			chains = append(chains, chain)
		}
	}
	return chains
}

// crosses reports whether an import leads from one policy into another. Packages
// of one policy may know each other: the Redis limiter counts in memory while
// Redis is gone. Everything may import the vocabulary and the tools in
// internal, which import no policy.
func crosses(from, imported string) bool {
	return within(imported, policies) && imported != policies && !within(imported, policies+"/internal") && family(from) != family(imported)
}

// within reports whether a path is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// family is the policy that a package belongs to, the first element below
// policies: auth, roles, ratelimit... It is the path itself for the vocabulary.
func family(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, policies+"/"), "/")
	return first
}

func short(path string) string { return strings.TrimPrefix(path, module+"/") }

func shorten(paths []string) []string {
	s := make([]string, len(paths))
	for i, path := range paths {
		s[i] = short(path)
	}
	return s
}

// loadGraph asks the go command for the policies and all that they depend on.
func loadGraph(t *testing.T) graph {
	t.Helper()
	output := goCommand(t, "list", "-deps", buildTags, "-json=ImportPath,Imports,TestImports,XTestImports", policies+"/...")
	g := graph{}
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var p pkg
		err := decoder.Decode(&p)
		if err == io.EOF {
			return g
		}
		if err != nil {
			t.Fatalf("reading the output of go list: %v", err)
		}
		g[p.ImportPath] = p
	}
}

func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("running go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return output
}

// TestBreachesAreCaught checks the checker, on graphs with one mistake each.
func TestBreachesAreCaught(t *testing.T) {
	// in returns the path of a policy.
	in := func(name string) string { return policies + "/" + name }
	imports := func(paths ...string) pkg { return pkg{Imports: paths} }

	tests := map[string]struct {
		graph graph
		want  []string
	}{
		"nothing wrong": {
			graph{
				in("auth/bearer"):         imports("crypto", policies, in("auth"), "github.com/golang-jwt/jwt/v5"),
				in("auth/bearer/jwks"):    imports(in("auth/bearer"), "github.com/MicahParks/jwkset"),
				in("auth"):                imports(policies),
				in("auth/apikey"):         imports(in("auth/internal/bounded"), in("internal/jsontext")),
				in("internal/jsontext"):   imports("strings"),
				in("ratelimit/redisgcra"): imports(in("ratelimit"), in("ratelimit/gcra"), "github.com/redis/go-redis/v9"),
				in("store/sqlite"):        {Imports: []string{in("store"), "database/sql", "modernc.org/sqlite"}, TestImports: []string{in("store/storetest")}},
				policies:                  imports("time"),
				module + "/caddymodule":   imports("github.com/caddyserver/caddy/v2", in("auth"), in("roles")),
			},
			nil,
		},
		"Caddy": {
			graph{in("auth"): imports("github.com/caddyserver/caddy/v2")},
			[]string{"plugins/auth imports github.com/caddyserver/caddy/v2: policies are plain Go"},
		},
		"zap": {
			graph{in("roles"): imports("go.uber.org/zap/zapcore")},
			[]string{"plugins/roles imports go.uber.org/zap/zapcore: policies are plain Go"},
		},
		"Prometheus in the root": {
			graph{policies: imports("github.com/prometheus/client_golang/prometheus")},
			[]string{"plugins imports github.com/prometheus/client_golang/prometheus: policies are plain Go"},
		},
		"our own Caddy modules": {
			graph{in("auth"): imports(module + "/caddymodule")},
			[]string{"plugins/auth imports caddymodule: policies are plain Go"},
		},
		"Caddy through a library": {
			graph{
				in("auth"):            imports("example.com/helpful"),
				"example.com/helpful": imports("github.com/caddyserver/certmagic"),
			},
			[]string{"plugins/auth imports example.com/helpful imports github.com/caddyserver/certmagic: policies are plain Go"},
		},
		"a sibling": {
			graph{in("roles"): imports(in("auth"))},
			[]string{"plugins/roles imports plugins/auth: policies do not know each other"},
		},
		"a sibling's child": {
			graph{in("problem"): imports(in("store/sqlite"))},
			[]string{"plugins/problem imports plugins/store/sqlite: policies do not know each other"},
		},
		"the vocabulary knows a policy": {
			graph{policies: imports(in("auth"))},
			[]string{"plugins imports plugins/auth: policies do not know each other"},
		},
		"a tool knows a policy": {
			graph{in("internal/jsontext"): imports(in("auth"))},
			[]string{"plugins/internal/jsontext imports plugins/auth: policies do not know each other"},
		},
		"Redis through a package of the same policy": {
			graph{
				in("ratelimit/gcra"):      imports(in("ratelimit/redisgcra")),
				in("ratelimit/redisgcra"): imports("github.com/redis/go-redis/v9"),
			},
			[]string{"plugins/ratelimit/gcra imports plugins/ratelimit/redisgcra imports github.com/redis/go-redis/v9: github.com/redis/go-redis belongs"},
		},
		"a name that only begins like an ancestor's": {
			graph{in("authority"): imports(in("auth"))},
			[]string{"plugins/authority imports plugins/auth: policies do not know each other"},
		},
		"a sibling in a test": {
			graph{in("auth"): {XTestImports: []string{in("store/sqlite")}}},
			[]string{"the tests of plugins/auth import plugins/store/sqlite: policies do not know each other"},
		},
		"Caddy in a test": {
			graph{in("auth"): {TestImports: []string{"github.com/caddyserver/caddy/v2/caddytest"}}},
			[]string{"the tests of plugins/auth import github.com/caddyserver/caddy/v2/caddytest: policies are plain Go"},
		},
		"JOSE outside auth/bearer": {
			graph{in("auth/apikey"): imports("github.com/golang-jwt/jwt/v5")},
			[]string{"plugins/auth/apikey imports github.com/golang-jwt/jwt/v5: github.com/golang-jwt belongs to plugins/auth/bearer alone"},
		},
		"JOSE through the parent": {
			graph{
				in("auth"):        imports(in("auth/bearer")),
				in("auth/bearer"): imports("github.com/golang-jwt/jwt/v5"),
			},
			[]string{"plugins/auth imports plugins/auth/bearer imports github.com/golang-jwt/jwt/v5: github.com/golang-jwt belongs to plugins/auth/bearer alone"},
		},
		"Redis outside ratelimit/redisgcra": {
			graph{in("ratelimit/gcra"): imports("github.com/redis/go-redis/v9")},
			[]string{"plugins/ratelimit/gcra imports github.com/redis/go-redis/v9: github.com/redis/go-redis belongs to plugins/ratelimit/redisgcra alone"},
		},
		"the other store's driver": {
			graph{in("store/sqlite"): imports("github.com/jackc/pgx/v5")},
			[]string{"plugins/store/sqlite imports github.com/jackc/pgx/v5: github.com/jackc/pgx belongs to plugins/store/postgres alone"},
		},
		"two in one package": {
			graph{in("roles"): imports("go.uber.org/zap", in("auth"))},
			[]string{
				"plugins/roles imports go.uber.org/zap: policies are plain Go",
				"plugins/roles imports plugins/auth: policies do not know each other",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := breaches(tt.graph)
			if len(got) != len(tt.want) {
				t.Fatalf("breaches() = %q, want %d that begin with %q", got, len(tt.want), tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("breach %d = %q, want it to begin with %q", i, got[i], want)
				}
			}
		})
	}
}

// TestLibcIsWhatSQLiteWants guards a pair that must move together: modernc's
// SQLite is a translation of C that works with exactly the libc it was made with,
// and a newer one that another requirement brings breaks it at run time
// (https://gitlab.com/cznic/sqlite/-/issues/177).
func TestLibcIsWhatSQLiteWants(t *testing.T) {
	const sqlite, libc = "modernc.org/sqlite", "modernc.org/libc"
	var selected struct{ GoMod string }
	if err := json.Unmarshal(goCommand(t, "list", "-m", "-json", sqlite), &selected); err != nil {
		t.Fatalf("reading where %s is: %v", sqlite, err)
	}
	var file struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json", selected.GoMod), &file); err != nil {
		t.Fatalf("reading the go.mod of %s: %v", sqlite, err)
	}
	want := ""
	for _, r := range file.Require {
		if r.Path == libc {
			want = r.Version
		}
	}
	if want == "" {
		t.Fatalf("the go.mod of %s requires no %s: is this test still needed?", sqlite, libc)
	}
	if got := strings.TrimSpace(string(goCommand(t, "list", "-m", "-f", "{{.Version}}", libc))); got != want {
		t.Errorf("%s is %s, and %s wants exactly %s: require that version in go.mod", libc, got, sqlite, want)
	}
}
