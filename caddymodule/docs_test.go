package caddymodule_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// pages reads the README, the example and every page of the docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	out := map[string]string{}
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = string(text)
	}
	return out
}

var fence = regexp.MustCompile("(?s)```caddyfile ?([a-z]*)\n(.*?)```")

// Every Caddyfile in the docs is one that loads.
func TestDocsBlocksLoad(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, name := range []string{"JWT_SECRET", "GATEWAY_PEPPER", "IDENTITY_SECRET", "PORTCULLIS_JWT_SECRET"} {
		t.Setenv(name, testSecret)
	}
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{"Caddyfile.example": string(example)}
	for file, text := range pages(t) {
		for i, match := range fence.FindAllStringSubmatch(text, -1) {
			block := match[2]
			switch match[1] {
			case "site":
				block = "{\n gateway {\n issuer main {\n secret {env.JWT_SECRET}\n }\n }\n}\nhttp://localhost:8080 {\n" + block + "}\n"
			case "global":
				block = "{\n" + block + "}\nhttp://localhost:8080 {\n gateway_auth\n gateway_limit\n}\n"
			}
			blocks[file+" block "+string(rune('1'+i))] = block
		}
	}
	if len(blocks) < 10 {
		t.Fatalf("found %d blocks", len(blocks))
	}
	for name, block := range blocks {
		config, err := caddyharness.Adapt(block)
		if err == nil {
			err = validate(config)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every directive, option, placeholder and reason of the code is in the docs.
func TestDocsAreComplete(t *testing.T) {
	var all strings.Builder
	for _, text := range pages(t) {
		all.WriteString(text)
	}
	var wanted []string
	option := regexp.MustCompile(`(?m)^\t+"([a-z_]+)":\s+func\(\) error`)
	files, err := filepath.Glob("*_caddyfile.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "limiter_redis.go", "limiter_memory.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range option.FindAllStringSubmatch(string(text), -1) {
			wanted = append(wanted, match[1])
		}
	}
	if len(wanted) < 40 {
		t.Fatalf("found %d options", len(wanted))
	}
	for _, name := range []string{"id", "owner", "role", "roles", "tier", "scheme", "key_id", "scopes", "issuer"} {
		wanted = append(wanted, "."+name)
	}
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), "../plugins/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == gotoken.STRING {
			wanted = append(wanted, strings.Trim(literal.Value, `"`))
		}
		return true
	})
	for _, word := range wanted {
		if !strings.Contains(all.String(), word) {
			t.Errorf("the docs do not mention %s", word)
		}
	}
}
