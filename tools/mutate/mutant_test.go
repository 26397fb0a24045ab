package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// find instruments a function body and lists its mutants.
func find(t *testing.T, body string) (*source, []string) {
	t.Helper()
	s := &source{files: map[string][]byte{}}
	text := "package p\n\nfunc F(a, b int, ok bool) bool {\n" + body + "\n}\n"
	if err := s.add("p.go", "p.go", []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "p.go", s.files["p.go"], 0); err != nil {
		t.Fatalf("what is made is not Go: %v\n%s", err, s.files["p.go"])
	}
	var found []string
	for _, m := range s.mutants {
		found = append(found, m.label()+" "+m.code)
	}
	return s, found
}

func TestMutants(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"guard":           {"if ok { return false }; return ok", []string{"always ok", "never ok", "flip false", "flip ok"}},
		"equality alone":  {"if a == b { return ok }; return a != b", []string{"always a == b", "never a == b", "flip ok", "flip a != b"}},
		"operands":        {"return ok && a < b", []string{"flip ok && a < b", "swap ok && a < b", "drop ok", "drop a < b", "edge a < b"}},
		"equal operand":   {"return ok || a == b", []string{"flip ok || a == b", "swap ok || a == b", "drop ok", "drop a == b"}},
		"loop":            {"for a < b { a++ }; return ok", []string{"edge a < b", "flip ok"}},
		"switch":          {"switch { case ok: return ok }; return ok", []string{"always ok", "never ok", "flip ok", "flip#2 ok"}},
		"switch on a tag": {"switch a { case 1, b: return ok }; return ok", []string{"never 1", "never b", "flip ok", "flip#2 ok"}},
		"tag behind init": {"switch a := b; a { case 1: return ok }; return ok", []string{"never 1", "flip ok", "flip#2 ok"}},
		"call":            {"delete(nil, a); mu.Lock(); return ok", []string{"skip delete(nil, a)", "flip ok"}},
		"inner function":  {"return f(func() bool { return ok })", []string{"flip f(func() bool { return ok })", "flip ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := find(t, tc.body); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

const program = `package p

func Least(n int, ok bool) bool { return ok && n >= 3 }

func Name(n int) string {
	switch n {
	case 1, 2:
		return "few"
	}
	return "many"
}
`

// A test that holds every check kills every mutant; one that does not is told.
func TestMutate(t *testing.T) {
	weak := "package p\n\nimport \"testing\"\n\nfunc TestLeast(t *testing.T) {\n\tif !Least(4, true) || Least(2, true) || Least(4, false) {\n\t\tt.Fatal()\n\t}\n}\n\n" +
		"func TestName(t *testing.T) {\n\tif Name(1) != \"few\" || Name(2) != \"few\" || Name(3) != \"many\" {\n\t\tt.Fatal()\n\t}\n}\n"
	strong := strings.Replace(weak, "!Least(4, true)", "!Least(4, true) || !Least(3, true)", 1)
	for name, tc := range map[string]struct {
		test, equivalent string
		survivors        int
	}{
		"strong": {strong, "", 0},
		"weak":   {weak, "", 1},
		"known":  {weak, "p/p.go\tLeast\tedge\tn >= 3\tnobody cares about 3\n", 0},
		"stale":  {strong, "p/p.go\tGone\tedge\tn >= 3\tit was there once\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range map[string]string{
				"go.mod": "module example.com/p\n\ngo 1.26\n", "p/p.go": program, "p/p_test.go": tc.test, "tools/mutate/equivalent.tsv": tc.equivalent,
			} {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			survivors, err := mutate(root, []string{"./p"}, false, false, 1)
			if err != nil || survivors != tc.survivors {
				t.Errorf("got %d survivors, %v, want %d", survivors, err, tc.survivors)
			}
		})
	}
}
