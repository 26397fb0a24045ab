package main

import (
	"go/ast"
	"go/token"
)

// function mutates a body; its results say which return values are truth values.
func (f *file) function(name string, t *ast.FuncType, body *ast.BlockStmt) {
	f.in = name
	f.walk(body, truths(t))
}

// truths tells of each result whether it is a bool.
func truths(t *ast.FuncType) []bool {
	var is []bool
	if t.Results == nil {
		return nil
	}
	for _, field := range t.Results.List {
		name, _ := field.Type.(*ast.Ident)
		for range max(1, len(field.Names)) {
			is = append(is, name != nil && name.Name == "bool")
		}
	}
	return is
}

// walk goes through statements and expressions. Outer mutants are noted before
// inner ones: insert depends on it. The condition of a loop is mutated inside
// only: a loop that does not run is no missing check.
func (f *file) walk(node ast.Node, results []bool) {
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.walk(n.Body, truths(n.Type))
			return false
		case *ast.IfStmt:
			f.condition(n.Cond)
		case *ast.SwitchStmt:
			f.cases(n)
		case *ast.ReturnStmt:
			for i, value := range n.Results {
				if i < len(results) && len(n.Results) == len(results) && results[i] {
					f.truth(value)
				}
			}
		case *ast.ExprStmt:
			if call, ok := n.X.(*ast.CallExpr); ok && !harmless[calledName(call)] {
				f.around(n, "if !"+f.mutant(skip, n)+" { ", " }")
			}
		case *ast.BinaryExpr:
			f.binary(n)
		}
		return true
	})
}

// condition may be always or never true.
func (f *file) condition(cond ast.Expr) {
	f.around(cond, "((", ") || "+f.mutant(always, cond)+")")
	f.around(cond, "((", ") && !"+f.mutant(never, cond)+")")
	f.whole(cond)
}

// truth is a returned value.
func (f *file) truth(value ast.Expr) {
	f.around(value, "((", ") != "+f.mutant(flip, value)+")")
	f.whole(value)
}

// whole marks an equality that stands alone: always and never say all that
// flipping it would.
func (f *file) whole(e ast.Expr) {
	if b, ok := e.(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ) {
		if f.alone == nil {
			f.alone = map[*ast.BinaryExpr]bool{}
		}
		f.alone[b] = true
	}
}

// binary mutates an operator and its operands.
func (f *file) binary(b *ast.BinaryExpr) {
	switch b.Op {
	case token.LAND, token.LOR:
		other, keep := "||", ") || "
		if b.Op == token.LOR {
			other, keep = "&&", ") && !"
		}
		left, right := f.print(b.X), f.print(b.Y)
		// Where it is on, what the original says is thrown away.
		on := f.mutant(swap, b)
		f.around(b, "(("+on+" && (("+left+") "+other+" ("+right+"))) || (!"+on+" && (", ")))")
		f.around(b.X, "((", keep+f.mutant(drop, b.X)+")")
		f.around(b.Y, "((", keep+f.mutant(drop, b.Y)+")")
		f.whole(b.X)
		f.whole(b.Y)
	case token.LSS, token.GTR:
		f.around(b, "((", ") || ("+f.mutant(edge, b)+" && ("+f.print(b.X)+") == ("+f.print(b.Y)+")))")
	case token.LEQ, token.GEQ:
		f.around(b, "((", ") && !("+f.mutant(edge, b)+" && ("+f.print(b.X)+") == ("+f.print(b.Y)+")))")
	case token.EQL, token.NEQ:
		if !f.alone[b] {
			f.around(b, "((", ") != "+f.mutant(flip, b)+")")
		}
	}
}

// cases mutates a switch: each case may be missing. One with a tag becomes one
// without, whose cases compare.
func (f *file) cases(s *ast.SwitchStmt) {
	equals := ""
	if s.Tag != nil {
		if s.Init != nil {
			// There is no room for a second one.
			if _, plain := s.Tag.(*ast.Ident); !plain {
				return
			}
			equals = f.print(s.Tag) + " == "
			f.around(s.Tag, "/* ", " */")
		} else {
			equals = "mutantTag == "
			f.around(s.Tag, "mutantTag := (", ");")
		}
	}
	for _, clause := range s.Body.List {
		for _, value := range clause.(*ast.CaseClause).List {
			if s.Tag == nil {
				f.condition(value)
				continue
			}
			f.around(value, "("+equals+"(", "))"+" && !"+f.mutant(never, value))
		}
	}
}

// harmless are calls that are no checks: what they do is for the order of
// goroutines, for memory, or for the reader of a text.
var harmless = map[string]bool{
	"Lock": true, "Unlock": true, "RLock": true, "RUnlock": true, "close": true, "panic": true,
	"WriteString": true, "WriteByte": true, "WriteRune": true,
}

func calledName(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}
