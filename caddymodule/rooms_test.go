package caddymodule_test

import (
	"bytes"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is a package below caddymodule and the other rooms that it may import.
type room struct {
	name string
	may  []string
}

// rooms are all of them. The order is the direction of the house: a room imports only what stands above it.
// Every room may import `internal/`, but for those that any client may use.
var rooms = []room{
	{"adminapi", nil},
	{"metrics", nil},
	{"sitehandler", nil},
	{"gateway", []string{"metrics"}},
	{"request", []string{"metrics", "sitehandler"}},
	{"stores", []string{"gateway"}},
	{"limiters", []string{"gateway", "metrics"}},
	{"proxyhandler", []string{"sitehandler"}},
	{"errorhandler", []string{"gateway", "metrics", "request", "sitehandler"}},
	{"corshandler", []string{"gateway", "request", "sitehandler"}},
	{"authhandler", []string{"gateway", "request", "sitehandler"}},
	{"rolehandler", []string{"gateway", "request", "sitehandler"}},
	{"limithandler", []string{"adminapi", "gateway", "request", "sitehandler"}},
	{"accounthandler", []string{"adminapi", "authhandler", "gateway", "limithandler", "request", "sitehandler"}},
	{"admin/dryrun", []string{"accounthandler", "adminapi", "authhandler", "gateway", "proxyhandler", "request", "sitehandler"}},
	{"admin", []string{"accounthandler", "admin/dryrun", "adminapi", "gateway", "limithandler"}},
	{"command", []string{"adminapi"}},
}

// How large a room may become before it is divided.
const (
	maxRoomFiles = 25
	maxRoomLines = 3500
)

// A breach of the direction does not compile in somebody's head: it is told by name.
func TestRoomsImportOneWay(t *testing.T) {
	const house = "github.com/ainative/portcullis/caddymodule"
	known := map[string]bool{}
	for i, r := range rooms {
		known[r.name] = true
		for _, other := range r.may {
			if !slices.ContainsFunc(rooms[:i], func(above room) bool { return above.name == other }) {
				t.Errorf("%s may import %s, which does not stand above it", r.name, other)
			}
		}
		for file, paths := range imports(t, r.name) {
			for _, path := range paths {
				other, ours := strings.CutPrefix(path, house+"/")
				switch {
				case !ours && strings.HasPrefix(path, house):
					t.Errorf("%s imports the package that brings all rooms in", file)
				case ours && strings.HasPrefix(other, "internal/") && r.name != "adminapi" && r.name != "command":
				case ours && !slices.Contains(r.may, other):
					t.Errorf("%s imports %s: %s may import %v", file, other, r.name, r.may)
				}
			}
		}
	}
	for _, dir := range packages(t) {
		if !known[dir] && dir != "." && dir != "cmd/caddy" && !strings.HasPrefix(dir, "internal/") {
			t.Errorf("%s is in no list: say what it may import", dir)
		}
	}
}

// The command line works with any gateway that it reaches, and any client may import
// the JSON of the admin API: neither depends on what the gateway is made of.
func TestClientsKnowTheAdminAPIAlone(t *testing.T) {
	for room, may := range map[string][]string{
		"command":  {"caddymodule/adminapi"},
		"adminapi": {"plugins", "plugins/decision", "plugins/store"},
	} {
		for file, paths := range imports(t, room) {
			for _, path := range paths {
				name, ours := strings.CutPrefix(path, "github.com/ainative/portcullis/")
				if ours && !slices.Contains(may, name) || room == "adminapi" && strings.Contains(path, "caddyserver") {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}

// A room that nobody can read in one sitting is divided.
func TestRoomsStaySmall(t *testing.T) {
	for _, dir := range packages(t) {
		files, lines := sources(t, dir), 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(text, []byte("\n"))
		}
		if len(files) > maxRoomFiles || lines > maxRoomLines {
			t.Errorf("%s has %d files and %d lines, %d and %d are the most", dir, len(files), lines, maxRoomFiles, maxRoomLines)
		}
	}
}

// packages are the directories below this one that hold Go code.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() != "testdata" && len(sources(t, path)) != 0 {
			dirs = append(dirs, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// sources are the Go files of a directory, without tests.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
}

// imports are the import paths of each file of a room.
func imports(t *testing.T, room string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, file := range sources(t, room) {
		parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			found[file] = append(found[file], path)
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no Go files", room)
	}
	return found
}
