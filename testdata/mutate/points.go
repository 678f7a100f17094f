package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// file is one source file of a package.
type file struct {
	path string
	src  []byte
	fset *token.FileSet
}

func (f *file) offset(p token.Pos) int { return f.fset.Position(p).Offset }

func (f *file) text(n ast.Node) string { return string(f.src[f.offset(n.Pos()):f.offset(n.End())]) }

// edit replaces the source from at to end; an opening one stands before those that open
// inside it, a closing one after those that close inside it.
type edit struct {
	at, end int
	text    string
	closes  bool
	span    int // how much it encloses
}

// point is one place where a fault can be put in. Its edits keep the lines as they are and
// name the fault as "mutant(#)".
type point struct {
	file      *file
	line, end int
	change    string
	edits     []edit
	order     uint64
	seq, id   int
	dropped   bool
	killed    bool
}

// find parses the package's files and orders the points in them by seed.
func (p *pkg) find(seed string) error {
	for _, name := range p.GoFiles {
		f := &file{path: filepath.Join(p.Dir, name), fset: token.NewFileSet()}
		var err error
		if f.src, err = os.ReadFile(f.path); err != nil {
			return err
		}
		tree, err := parser.ParseFile(f.fset, f.path, f.src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range tree.Decls {
			v := &finder{pkg: p, file: f, seed: seed, seen: map[string]int{}}
			switch d := d.(type) {
			case *ast.FuncDecl:
				v.name = d.Name.Name
				v.results(d.Type)
				if d.Body != nil {
					v.walk(d.Body)
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					for _, s := range d.Specs {
						v.name = s.(*ast.ValueSpec).Names[0].Name
						for _, x := range s.(*ast.ValueSpec).Values {
							v.walk(x)
						}
					}
				}
			}
		}
	}
	slices.SortStableFunc(p.points, func(a, b *point) int { return cmp.Compare(a.order, b.order) })
	return nil
}

// sample takes the first n points, or all where n is 0.
func (p *pkg) sample(n int) {
	if n == 0 || n > len(p.points) {
		n = len(p.points)
	}
	p.want = n
	p.fill()
}

// fill takes further points until as many are sampled as were wanted. Of two that replace
// the same text the first is taken.
func (p *pkg) fill() {
	p.sampled = p.sampled[:0]
	type place struct {
		f  *file
		at int
	}
	taken := map[place]bool{}
next:
	for _, pt := range p.points {
		if len(p.sampled) == p.want {
			break
		}
		if pt.dropped {
			continue
		}
		for _, e := range pt.edits {
			if e.end > e.at && taken[place{pt.file, e.at}] {
				continue next
			}
		}
		for _, e := range pt.edits {
			if e.end > e.at {
				taken[place{pt.file, e.at}] = true
			}
		}
		p.sampled = append(p.sampled, pt)
	}
}

// finder collects the points of one declaration.
type finder struct {
	pkg   *pkg
	file  *file
	name  string
	seed  string
	types []string // of the function's results
	seen  map[string]int
}

func (v *finder) results(t *ast.FuncType) {
	v.types = nil
	if t.Results == nil {
		return
	}
	for _, f := range t.Results.List {
		for range max(1, len(f.Names)) {
			v.types = append(v.types, v.file.text(f.Type))
		}
	}
}

// add notes a fault in n.
func (v *finder) add(n ast.Node, change string, edits ...edit) {
	change = strings.Join(strings.Fields(change), " ")
	key := v.name + "|" + change
	v.seen[key]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%s|%s|%s|%d|%s", v.seed, v.pkg.ImportPath, key, v.seen[key], filepath.Base(v.file.path))
	x := h.Sum64() // mixed, as names that differ in the end alone come out near to each other
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	v.pkg.points = append(v.pkg.points, &point{file: v.file, line: v.file.fset.Position(n.Pos()).Line, end: v.file.fset.Position(n.End()).Line,
		change: change, edits: edits, order: x, seq: len(v.pkg.points)})
}

// around encloses n.
func (v *finder) around(n ast.Node, before, after string) []edit {
	at, end := v.file.offset(n.Pos()), v.file.offset(n.End())
	return []edit{{at, at, before, false, end - at}, {end, end, after, true, end - at}}
}

func (v *finder) instead(at token.Pos, old, text string) edit {
	o := v.file.offset(at)
	return edit{o, o + len(old), text, false, 0}
}

func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 70 {
		return string(r[:69]) + "…"
	}
	return s
}

// walk visits n and what is in it, an outer node before its inner ones.
func (v *finder) walk(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			types := v.types
			v.results(n.Type)
			v.walk(n.Body)
			v.types = types
			return false
		case *ast.DeclStmt:
			return n.Decl.(*ast.GenDecl).Tok == token.VAR
		case *ast.ArrayType, *ast.StructType, *ast.InterfaceType, *ast.FuncType:
			return false
		case *ast.BlockStmt:
			v.statements(n.List)
		case *ast.CommClause:
			v.statements(n.Body)
		case *ast.CaseClause:
			v.statements(n.Body)
		case *ast.SwitchStmt:
			if n.Tag == nil {
				for _, c := range n.Body.List {
					for _, x := range c.(*ast.CaseClause).List {
						v.negate("case", x)
					}
				}
			}
		case *ast.IfStmt:
			v.negate("if", n.Cond)
		case *ast.BinaryExpr:
			v.binary(n)
		}
		return true
	})
}

// negate notes that a condition may be the opposite; == and != are for binary.
func (v *finder) negate(word string, x ast.Expr) {
	if b, ok := x.(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ) {
		return
	}
	v.add(x, word+" "+short(v.file.text(x))+": negated", v.around(x, "((", ")!=mutant(#))")...)
}

func (v *finder) binary(b *ast.BinaryExpr) {
	src := short(v.file.text(b))
	op := b.Op.String()
	to := func(other string) string { return src + ": " + op + " to " + other }
	call := func(name string) []edit {
		return append(v.around(b, name+"(mutant(#),", ")"), v.instead(b.OpPos, op, ","))
	}
	switch b.Op {
	case token.EQL:
		v.add(b, to("!="), v.around(b, "((", ")!=mutant(#))")...)
	case token.NEQ:
		v.add(b, to("=="), v.around(b, "((", ")!=mutant(#))")...)
	case token.LSS:
		v.add(b, to("<="), call("mutantLess")...)
	case token.LEQ:
		v.add(b, to("<"), call("mutantAtMost")...)
	case token.GTR:
		v.add(b, to(">="), call("mutantMore")...)
	case token.GEQ:
		v.add(b, to(">"), call("mutantAtLeast")...)
	case token.LAND, token.LOR:
		other := "||"
		if b.Op == token.LOR {
			other = "&&"
		}
		// By De Morgan: both sides and the whole are negated.
		edits := v.around(b, "(", ")!=mutant(#))")
		edits[0].text = "(("
		edits = append(edits, v.around(b.X, "(", ")!=mutant(#)")...)
		edits = append(edits, v.around(b.Y, "(", ")!=mutant(#)")...)
		v.add(b, to(other), edits...)
	case token.ADD:
		if number(b.X) || number(b.Y) {
			v.add(b, to("-"), call("mutantSum")...)
		}
	}
	switch b.Op {
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
		if l, ok := b.Y.(*ast.BasicLit); ok && (l.Value == "0" || l.Value == "1") {
			other := string('0' + '1' - l.Value[0])
			edits := append(v.around(b, "mutantCompare(mutant(#),"+strconv.Quote(op)+",", ","+other+")"), v.instead(b.OpPos, op, ","))
			v.add(b, src+": "+l.Value+" to "+other, edits...)
		}
	}
}

// number reports whether an operand is a number for certain.
func number(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return x.Kind == token.INT || x.Kind == token.FLOAT
	case *ast.CallExpr:
		f, ok := x.Fun.(*ast.Ident)
		return ok && (f.Name == "len" || f.Name == "min" || f.Name == "max")
	}
	return false
}

// statements notes what may be left out or returned otherwise.
func (v *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			c, ok := s.X.(*ast.CallExpr)
			if !ok || harmless(c) {
				continue
			}
			v.add(s, short(v.file.text(s))+": left out", v.around(s, "if !mutant(#) {", "}")...)
		case *ast.AssignStmt:
			if _, ok := s.Lhs[0].(*ast.SelectorExpr); ok && len(s.Lhs) == 1 {
				v.add(s, short(v.file.text(s))+": left out", v.around(s, "if !mutant(#) {", "}")...)
			}
		case *ast.ReturnStmt:
			v.returns(s)
		}
	}
}

// harmless reports whether a call is one whose absence says nothing about the tests: a
// panic that guards a way not taken, locks, which hang, and logging.
func harmless(c *ast.CallExpr) bool {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name == "panic"
	case *ast.SelectorExpr:
		x, _ := f.X.(*ast.Ident)
		return strings.HasSuffix(f.Sel.Name, "ock") || x != nil && x.Name == "slog"
	}
	return false
}

// returns notes what a statement may return in place of a literal.
func (v *finder) returns(s *ast.ReturnStmt) {
	src := v.file.text(s)
	if strings.Contains(src, "\n") || len(s.Results) != len(v.types) || len(s.Results) == 0 {
		return
	}
	// Beside an error, nobody looks at the other results.
	if last := len(s.Results) - 1; last > 0 && v.types[last] == "error" && v.file.text(s.Results[last]) != "nil" {
		return
	}
	for i, x := range s.Results {
		other := ""
		switch x := x.(type) {
		case *ast.BasicLit:
			switch {
			case x.Kind == token.STRING && len(x.Value) > 2:
				other = `""`
			case x.Kind == token.STRING:
				other = `"mutant"`
			case x.Value == "0":
				other = "1"
			case x.Kind == token.INT:
				other = "0"
			}
		case *ast.Ident:
			switch {
			case x.Name == "true":
				other = "false"
			case x.Name == "false":
				other = "true"
			case x.Name == "nil" && v.types[i] == "error":
				other = "errMutant"
			case x.Name == "nil" && v.types[i] == "[]string":
				other = `[]string{"mutant"}`
			}
		}
		if other == "" {
			continue
		}
		var values []string
		for j, y := range s.Results {
			if j == i {
				values = append(values, other)
			} else {
				values = append(values, v.file.text(y))
			}
		}
		at := v.file.offset(s.Pos())
		v.add(s, short(src)+": "+v.file.text(x)+" to "+other, edit{at, at, "if mutant(#) { return " + strings.Join(values, ", ") + " }; ", false, len(src)})
	}
}
