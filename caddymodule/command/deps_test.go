package command

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The command line knows of the gateway what is in the admin API's JSON, and
// nothing else: it works with any gateway that it reaches.
func TestCommandKnowsTheAdminAPIAlone(t *testing.T) {
	const ours, allowed = "github.com/ainative/portcullis", "github.com/ainative/portcullis/caddymodule/adminapi"
	for dir, may := range map[string]func(string) bool{
		".": func(path string) bool { return path == allowed },
		"../adminapi": func(path string) bool {
			return path == ours+"/plugins" || path == ours+"/plugins/decision" || path == ours+"/plugins/store"
		},
	} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: found %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				if strings.HasPrefix(path, ours) && !may(path) || dir != "." && strings.Contains(path, "caddyserver") {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}
