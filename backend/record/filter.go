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

// SyntaxError says what is wrong with a filter, and where.
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

// join returns a node of two, or the one that is there.
func join(op op, a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &node{op: op, a: a, b: b}
}

// finder lends matchers of one search.
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
// [*SyntaxError]. The empty filter lets everything pass.
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
// where none is known. Looking for it first is faster than asking the filter of
// every record.
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

// inUnits are endings by which a field's name says its unit.
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

type filterParser struct {
	text string
	at   int
	// names are what @name may stand for, within the names that are being read.
	names  Names
	within []string
	// before is the text up to spelt without names.
	before string
	spelt  int
	// terms says what terms mean where the filter is not one of records; nil is records.
	terms *termParser
}

// maxNesting bounds parentheses and nots.
const maxNesting = 100

func (p *filterParser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Text: p.text, At: at, What: fmt.Sprintf(format, args...)}
}

func (p *filterParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// wrong returns a mistake in what begins at start. Where the rest of the filter is to be in
// force all the same, it is kept, and what is wrong is left out.
func (p *filterParser) wrong(start, at int, format string, args ...any) (*node, error) {
	if p.terms == nil {
		return nil, p.fail(at, format, args...)
	}
	p.terms.mistake(p.text, start, p.at, fmt.Sprintf(format, args...))
	return nil, nil
}

// word takes a keyword or its sign.
func (p *filterParser) word(word, sign string) bool {
	p.space()
	rest := p.text[p.at:]
	if strings.HasPrefix(rest, sign) {
		p.at += len(sign)
		return true
	}
	if len(rest) >= len(word) && (rest[:len(word)] == word || rest[:len(word)] == strings.ToUpper(word)) &&
		(len(rest) == len(word) || strings.IndexByte(" \t\r\n()", rest[len(word)]) >= 0) {
		p.at += len(word)
		return true
	}
	return false
}

func (p *filterParser) or(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, p.fail(p.at, "this is nested too deeply: at most %d levels", maxNesting)
	}
	a, err := p.and(depth)
	for err == nil && p.word("or", "||") {
		var b *node
		if b, err = p.and(depth); err == nil {
			a = join(opOr, a, b)
		}
	}
	return a, err
}

func (p *filterParser) and(depth int) (*node, error) {
	a, err := p.not(depth)
	for err == nil {
		if !p.word("and", "&&") {
			at := p.at
			if p.at == len(p.text) || p.text[p.at] == ')' || p.word("or", "||") {
				p.at = at
				break
			}
		}
		var b *node
		if b, err = p.not(depth); err == nil {
			a = join(opAnd, a, b)
		}
	}
	return a, err
}

func (p *filterParser) not(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, p.fail(p.at, "this is nested too deeply: at most %d levels", maxNesting)
	}
	if p.word("not", "!") {
		a, err := p.not(depth + 1)
		if a == nil {
			return nil, err
		}
		return &node{op: opNot, a: a}, err
	}
	p.space()
	at := p.at
	switch {
	case at == len(p.text) && p.terms != nil:
		return nil, nil // it is being typed
	case at == len(p.text):
		return nil, p.fail(at, "a condition is missing here: a word, level>=warn, field=value, /regexp/ or (...)")
	case p.text[at] == ')':
		return p.wrong(at, at, "a condition is missing before this )")
	case p.text[at] == '(':
		p.at++
		a, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		p.space()
		if p.at == len(p.text) {
			_, err := p.wrong(at, at, "this ( is not closed")
			return a, err
		}
		p.at++
		return a, nil
	case p.text[at] == '"':
		v, err := p.quoted()
		if err != nil && p.terms != nil {
			return p.wrong(at, at, `the quote is not closed: end it with "`)
		}
		return p.literal(v), err
	case p.text[at] == '/':
		if expr, ok := p.slashed(); ok {
			s, err := Regexp(expr)
			if err != nil {
				return p.wrong(at, at, "%v", err)
			}
			return p.found(s), nil
		}
	}
	if n, err, ok := p.comparison(); ok {
		return n, err
	}
	if n, err, ok := p.named(depth); ok {
		return n, err
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n()", p.text[p.at]) < 0 {
		p.at++
	}
	word := p.text[start:p.at]
	if word == "or" || word == "and" || word == "||" || word == "&&" {
		return p.wrong(start, start, "%s stands between two conditions: quote it to look for the word", word)
	}
	if i := strings.IndexAny(word[:1], "=<>~"); i == 0 && p.terms == nil {
		return nil, p.fail(start, "%s needs a field before it, as in status%s500", word[:1], word[:1])
	}
	return p.literal(word), nil
}

// literal returns the node of a text that is looked for: in a record's in any case unless it
// has a capital, in a row's in any case.
func (p *filterParser) literal(text string) *node {
	if p.terms != nil {
		text = strings.ToLower(text)
	}
	return p.found(Literal(text))
}

// found returns the node of a text that is searched for.
func (p *filterParser) found(s *Search) *node {
	if p.terms != nil {
		return &node{op: opTerm, term: p.terms.text(s)}
	}
	return &node{op: opText, find: newFinder(s)}
}

// quoted takes "text", with \" and \\ in it.
func (p *filterParser) quoted() (string, error) {
	start := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return b.String(), nil
		case c == '\\' && p.at+1 < len(p.text) && (p.text[p.at+1] == '"' || p.text[p.at+1] == '\\'):
			p.at++
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(start, `this " is not closed`)
}

// slashed takes /expr/, unless what begins with a slash is a path.
func (p *filterParser) slashed() (string, bool) {
	for i := p.at + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '/':
			if i+1 < len(p.text) && strings.IndexByte(" \t\r\n)", p.text[i+1]) < 0 || i == p.at+1 {
				return "", false
			}
			expr := strings.ReplaceAll(p.text[p.at+1:i], `\/`, "/")
			p.at = i + 1
			return expr, true
		}
	}
	return "", false
}

var relations = []struct {
	sign string
	rel  relation
}{{">=", atLeast}, {"<=", atMost}, {"!=", unequal}, {"!~", differs}, {"=~", matches}, {"==", equal}, {"=", equal}, {"~", matches}, {">", more}, {"<", less}}

// comparison takes field, sign and value; ok is false where there is none.
func (p *filterParser) comparison() (n *node, err error, ok bool) {
	i := p.at
	for i < len(p.text) && keyByte(p.text[i]) {
		i++
	}
	key := p.text[p.at:i]
	if key == "" {
		return nil, nil, false
	}
	for i < len(p.text) && p.text[i] == ' ' {
		i++
	}
	var sign string
	n = &node{op: opField, key: key}
	for _, r := range relations {
		if strings.HasPrefix(p.text[i:], r.sign) {
			sign, n.rel = r.sign, r.rel
			break
		}
	}
	if sign == "" && p.terms != nil && strings.HasPrefix(p.text[i:], ":") && i == p.at+len(key) {
		sign = ":"
	}
	if sign == "" {
		return nil, nil, false
	}
	start := p.at
	p.at = i + len(sign)
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	valueAt := p.at
	switch {
	case p.at < len(p.text) && p.text[p.at] == '"':
		if n.value, err = p.quoted(); err != nil {
			if p.terms != nil {
				_, err = p.wrong(start, start, `the quote is not closed: end it with "`)
			}
			return nil, err, true
		}
	default:
		if p.at < len(p.text) && p.text[p.at] == '/' && (n.rel == matches || n.rel == differs) {
			if expr, ok := p.slashed(); ok {
				n.value = expr
				break
			}
		}
		// A parenthesis that was opened in the value is closed in it: path~^/(a|b).
		depth := 0
	value:
		for ; p.at < len(p.text); p.at++ {
			switch p.text[p.at] {
			case ' ', '\t', '\r', '\n':
				break value
			case '(':
				depth++
			case ')':
				if depth--; depth < 0 {
					break value
				}
			}
		}
		if n.value = p.text[valueAt:p.at]; n.value == "" && p.terms == nil {
			return nil, p.fail(valueAt, "a value is missing behind %s%s", key, sign), true
		}
	}
	if p.terms != nil {
		term, is, wrong := p.terms.compare(key, sign, n.value)
		switch {
		case wrong != "":
			_, err = p.wrong(start, start, "%s", wrong)
			return nil, err, true
		case !is:
			p.at = start
			return nil, nil, false
		}
		return &node{op: opTerm, term: term}, nil, true
	}
	switch {
	case n.rel == matches || n.rel == differs:
		s, err := Regexp(n.value)
		if err != nil {
			return nil, p.fail(valueAt, "%v", err), true
		}
		n.find = newFinder(s)
	case key == "level" || key == "lvl" || key == "severity":
		if n.level = state.ParseLevel(n.value); n.level == state.LevelUnknown {
			return nil, p.fail(valueAt, "%q is no level: expected trace, debug, info, warn, error or fatal", n.value), true
		}
		n.op = opLevel
	default:
		if n.num, n.kind, n.numeric = quantity(n.value); n.kind == seconds {
			for _, u := range inUnits {
				n.inUnits = append(n.inUnits, key+u.suffix)
			}
		}
	}
	return n, nil, true
}

// NeedsLevel reports whether the filter looks at the record's level, so that those
// who would have to read it first can do without.
func (f *Filter) NeedsLevel() bool { return f.root != nil && f.root.needsLevel() }

func (n *node) needsLevel() bool {
	return n != nil && (n.op == opLevel || n.a.needsLevel() || n.b.needsLevel())
}
