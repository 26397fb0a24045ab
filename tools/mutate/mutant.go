package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The kinds of mutation.
const (
	never  = "never"  // the condition, or this case of a switch, does not hold
	always = "always" // the condition holds
	drop   = "drop"   // this operand of && or || is gone
	swap   = "swap"   // && is ||, || is &&
	edge   = "edge"   // < is <=, <= is <, and so on
	flip   = "flip"   // the truth value is the other one
	skip   = "skip"   // the call is left out
)

// mutant is one change.
type mutant struct {
	id int
	// file is relative to the module's directory, in is the function around.
	file, in string
	line     int
	kind     string
	// code is what is changed; nth counts the same in one function from 1.
	code string
	nth  int
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s", m.file, m.line, m.in, m.label(), m.code)
}

func (m *mutant) label() string {
	if m.nth > 1 {
		return m.kind + "#" + strconv.Itoa(m.nth)
	}
	return m.kind
}

// key names the mutant whatever line it stands on.
func (m *mutant) key() string { return strings.Join([]string{m.file, m.in, m.label(), m.code}, "\t") }

// source is the mutants of a package and the text that holds them all.
type source struct {
	pkg, name string
	mutants   []*mutant
	// files are the instrumented texts by absolute path.
	files map[string][]byte
}

// parsePackage reads the files that the package is built from here, tests apart.
func parsePackage(root, pkg string) (*source, error) {
	dir, err := filepath.Abs(filepath.Join(root, pkg))
	if err != nil {
		return nil, err
	}
	names, err := goFiles(dir)
	if err != nil {
		return nil, err
	}
	s := &source{pkg: pkg, files: map[string][]byte{}}
	for _, name := range names {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		relative := filepath.ToSlash(filepath.Join(filepath.Clean(pkg), name))
		if err := s.add(path, relative, text); err != nil {
			return nil, err
		}
	}
	if len(s.mutants) == 0 {
		return nil, fmt.Errorf("there is nothing to change in %s", dir)
	}
	return s, nil
}

// add finds the mutants of a file and instruments it.
func (s *source) add(path, relative string, text []byte) error {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s.name = tree.Name.Name
	f := &file{source: s, set: set, text: text, relative: relative, seen: map[string]int{}}
	for _, decl := range tree.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Body != nil {
				f.function(functionName(d), d.Type, d.Body)
			}
		case *ast.GenDecl:
			// Functions in the values of variables.
			for _, spec := range d.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok || d.Tok != token.VAR {
					continue
				}
				f.in = value.Names[0].Name
				for _, v := range value.Values {
					f.walk(v, nil)
				}
			}
		}
	}
	s.files[path] = f.apply()
	return nil
}

func functionName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	receiver := d.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	return receiver.(*ast.Ident).Name + "." + d.Name.Name
}

// file is a file that is being instrumented. Every mutant is text put around
// what it changes, so that those inside each other do not get in each other's way.
type file struct {
	*source
	set      *token.FileSet
	text     []byte
	relative string
	in       string
	seen     map[string]int
	inserts  []insert
	// alone are equalities that need no flip, see whole.
	alone map[*ast.BinaryExpr]bool
}

// insert is text at an offset. Of those at one offset the closing ones come
// first, the innermost of them first; of the opening ones the outermost.
type insert struct {
	at      int
	closing bool
	order   int
	text    string
}

// mutant notes a change of a node and returns the call that tells whether it is on.
func (f *file) mutant(kind string, node ast.Node) string {
	code := f.show(node)
	base := strings.Join([]string{f.in, kind, code}, "\t")
	f.seen[base]++
	m := &mutant{
		id: len(f.mutants) + 1, file: f.relative, in: f.in, line: f.set.Position(node.Pos()).Line,
		kind: kind, code: code, nth: f.seen[base],
	}
	f.mutants = append(f.mutants, m)
	return "mutantIsOn(" + strconv.Itoa(m.id) + ")"
}

// around puts text before and after a node.
func (f *file) around(node ast.Node, before, after string) {
	order := len(f.inserts)
	f.inserts = append(f.inserts,
		insert{f.set.Position(node.Pos()).Offset, false, order, before},
		insert{f.set.Position(node.End()).Offset, true, -order, after})
}

// show prints a node in one line.
func (f *file) show(node ast.Node) string {
	return strings.Join(strings.Fields(f.print(node)), " ")
}

func (f *file) print(node ast.Node) string {
	var b bytes.Buffer
	// The tree is the parser's own: printing it can't fail.
	_ = printer.Fprint(&b, f.set, node)
	return b.String()
}

func (f *file) apply() []byte {
	slices.SortStableFunc(f.inserts, func(a, b insert) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		if a.closing != b.closing {
			if a.closing {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.order, b.order)
	})
	var out []byte
	last := 0
	for _, i := range f.inserts {
		out = append(out, f.text[last:i.at]...)
		out = append(out, i.text...)
		last = i.at
	}
	return append(out, f.text[last:]...)
}

// goFiles lists what the go command would compile here, without tests.
func goFiles(dir string) ([]string, error) {
	out, err := goCommand(dir, "list", "-tags", buildTags, "-f", `{{join .GoFiles "\n"}}`, ".")
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}
