package record

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Filter is a compiled filter. It may be used by several goroutines at once.
type Filter struct {
	spelled string
	root    *node
	text    string
	need    *Search
}

// SyntaxError is a mistake in a filter, with its place.
type SyntaxError struct {
	Text string
	// At is the place in Text, in bytes from 0.
	At int
	// What says what was expected.
	What string
}

// Error implements error. The column counts characters from 1.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("the filter %q, at column %d: %s", e.Text, utf8.RuneCountInString(e.Text[:e.At])+1, e.What)
}

// op is what a node does.
type op uint8

const (
	opAnd op = iota
	opOr
	opNot
	opText  // the text holds what is searched for
	opField // a field compared
	opLevel // the level compared
	opTerm  // a term over other things than records: see [CompileTerms]
)

// relation compares a field with a value.
type relation uint8

const (
	equal relation = iota
	unequal
	less
	atMost
	more
	atLeast
	matches
	differs
)

type node struct {
	op   op
	a, b *node
	// find finds text in opText and, with matches and differs, in opField.
	find *finder
	key  string
	rel  relation
	// value is what a field is compared with, num and kind its quantity where numeric.
	value   string
	num     float64
	kind    kind
	numeric bool
	// inUnits are the key with each of the endings of [inUnits], beside a duration.
	inUnits []string
	level   state.Level
	term    int // index of the test, in opTerm
}

// join returns a node of two, or the one that is not nil.
func join(op op, a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &node{op: op, a: a, b: b}
}

// finder pools matchers of one search.
type finder struct {
	*Search
	pool sync.Pool
}

func newFinder(s *Search) *finder {
	f := &finder{Search: s}
	f.pool.New = func() any { return s.Matcher() }
	return f
}

func (f *finder) match(text string) bool {
	m := f.pool.Get().(*Matcher)
	ok := m.Match(text)
	f.pool.Put(m)
	return ok
}

// Compile reads a filter, in which @name stands for one of [BuiltinFilters]. An error is a
// [*SyntaxError]. Every record passes the empty filter.
func Compile(text string) (*Filter, error) { return CompileWith(text, BuiltinFilters()) }

// CompileWith reads a filter in which @name stands for one of names.
func CompileWith(text string, names Names) (*Filter, error) {
	p := &filterParser{text: text, names: names}
	f := &Filter{text: text}
	p.space()
	if p.at == len(text) {
		return f, nil
	}
	root, err := p.or(0)
	if err == nil && p.at < len(text) {
		err = p.fail(p.at, "there is no ( for this )")
	}
	if err != nil {
		return nil, err
	}
	f.root = root
	f.spelled = p.spelled()
	f.need = need(root)
	return f, nil
}

// String returns the filter as it was written.
func (f *Filter) String() string { return f.text }

// Spelled returns the filter with each @name replaced by what it stood for, so that it can
// be read where the names are not known.
func (f *Filter) Spelled() string { return f.spelled }

// Required returns a search that is found in the text of every record that passes, nil
// where none is known. Searching for it first is faster than matching the filter
// against every record.
func (f *Filter) Required() *Search { return f.need }

// Least returns a level below which no record passes, unknown where none is known.
func (f *Filter) Least() state.Level { return f.root.least() }

func (n *node) least() state.Level {
	switch {
	case n == nil:
	case n.op == opAnd:
		return max(n.a.least(), n.b.least())
	case n.op == opOr:
		return min(n.a.least(), n.b.least())
	case n.op == opLevel && (n.rel == atLeast || n.rel == equal):
		return n.level
	case n.op == opLevel && n.rel == more:
		return min(n.level+1, state.LevelFatal)
	}
	return state.LevelUnknown
}

// Match reports whether a record passes.
func (f *Filter) Match(r state.LogRecord) bool { return f.root == nil || f.root.match(r) }

func (n *node) match(r state.LogRecord) bool {
	switch n.op {
	case opAnd:
		return n.a.match(r) && n.b.match(r)
	case opOr:
		return n.a.match(r) || n.b.match(r)
	case opNot:
		return !n.a.match(r)
	case opText:
		return n.find.match(r.Text)
	case opLevel:
		return r.Level != state.LevelUnknown && compare(n.rel, float64(r.Level), float64(n.level)) || r.Level == state.LevelUnknown && n.rel == unequal
	}
	v, factor, ok := r.Text, 0.0, true
	if n.key != "text" {
		v, factor, ok = n.field(r.Text)
	}
	if !ok { // what is not there differs from everything
		return n.rel == unequal || n.rel == differs
	}
	switch n.rel {
	case matches:
		return n.find.match(v)
	case differs:
		return !n.find.match(v)
	}
	if n.numeric {
		if num, k, ok := quantity(v); ok {
			return n.compareNumber(num, k, v, factor)
		}
		if n.rel != equal && n.rel != unequal {
			return false
		}
	}
	return compare(n.rel, float64(strings.Compare(v, n.value)), 0)
}

// inUnits are endings of field names that are their unit.
var inUnits = []struct {
	suffix string
	factor float64
}{{"_ms", 1e-3}, {"_s", 1}, {"_seconds", 1}, {"_us", 1e-6}, {"_ns", 1e-9}, {"Ms", 1e-3}, {"_millis", 1e-3}, {"_sec", 1}}

// field returns the value compared, and what one of its unit is in seconds, 0 where its
// name does not say. Where a duration is asked for, a name with its unit at the end
// stands in for the name.
func (n *node) field(text string) (v string, factor float64, ok bool) {
	if v, ok = Get(text, n.key); ok {
		for _, u := range inUnits {
			if strings.HasSuffix(n.key, u.suffix) {
				return v, u.factor, true
			}
		}
		return v, 0, true
	}
	for i, key := range n.inUnits {
		if v, ok = get(text, key); ok {
			return v, inUnits[i].factor, true
		}
	}
	return "", 0, false
}

// compareNumber compares quantities. A field without a unit is in that of its name;
// else beside a duration a whole number is taken as milliseconds and one with a
// fraction as seconds, as loggers write them.
func (n *node) compareNumber(num float64, k kind, v string, factor float64) bool {
	switch {
	case k == n.kind || n.kind == plain || k == plain && n.kind == byteSize:
	case k == plain && n.kind == seconds:
		switch {
		case factor != 0:
			num *= factor
		case strings.IndexByte(v, '.') < 0:
			num *= 1e-3
		}
	default:
		return n.rel == unequal
	}
	return compare(n.rel, num, n.num)
}

func compare(rel relation, a, b float64) bool {
	switch rel {
	case equal:
		return a == b
	case unequal:
		return a != b
	case less:
		return a < b
	case atMost:
		return a <= b
	case more:
		return a > b
	case atLeast:
		return a >= b
	}
	return false
}

// need returns what every text that passes holds.
func need(n *node) *Search {
	switch n.op {
	case opAnd:
		a, b := need(n.a), need(n.b)
		if a == nil || b != nil && better(b.lits, a.lits) {
			return b
		}
		return a
	case opText:
		if n.find.empty || len(n.find.lits) == 0 {
			return nil
		}
		return n.find.Search
	case opField:
		// A value of letters is written the same way in JSON, in logfmt and in a column.
		if n.rel == equal && !n.numeric && len(n.value) > 2 && strings.IndexFunc(n.value, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
		}) < 0 {
			if l, ok := newLiteral(n.value, false); ok {
				return &Search{lits: []literal{l}}
			}
		}
	}
	return nil
}

// NeedsLevel reports whether the filter reads the record's level, so that a caller that
// would have to parse it first can omit that.
func (f *Filter) NeedsLevel() bool { return f.root != nil && f.root.needsLevel() }

func (n *node) needsLevel() bool {
	return n != nil && (n.op == opLevel || n.a.needsLevel() || n.b.needsLevel())
}
