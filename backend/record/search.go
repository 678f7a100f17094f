package record

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// Search is a text or a regular expression to be found in lines. It is not changed
// by use and may be shared; each goroutine takes a [Matcher] of it.
type Search struct {
	// lits are literals of which every line that matches holds at least one; with re
	// nil there is one, and it is the search. Empty: nothing is known.
	lits []literal
	re   *regexp.Regexp
	prog *syntax.Prog
	// exact says that what the automaton says of a line of ASCII is final.
	exact bool
	empty bool // everything matches
}

// Literal returns a search for text in one line. Case counts only where text has a capital
// ("smart case").
func Literal(text string) *Search {
	fold := !strings.ContainsFunc(text, unicode.IsUpper)
	if text == "" {
		return &Search{empty: true}
	}
	if l, ok := newLiteral(text, fold); ok {
		return &Search{lits: []literal{l}}
	}
	s, err := compile("(?i)" + regexp.QuoteMeta(text))
	if err != nil { // not valid UTF-8: bytes are compared
		l, _ := newLiteral(text, false)
		return &Search{lits: []literal{l}}
	}
	return s
}

// Regexp returns a search for a regular expression in the syntax of package regexp, within one
// line: "." and negated classes never reach over a line's end, "^" and "$" are the
// line's. The error says what is wrong with the expression.
func Regexp(expr string) (*Search, error) {
	s, err := compile(expr)
	if err != nil {
		if se, ok := err.(*syntax.Error); ok {
			return nil, fmt.Errorf("the regular expression %q: %s: %q", expr, se.Code, se.Expr)
		}
		return nil, err
	}
	return s, nil
}

func compile(expr string) (*Search, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	tree = tree.Simplify()
	s := &Search{re: re}
	if s.prog, err = syntax.Compile(tree); err != nil {
		return nil, err
	}
	s.exact = true
	for _, in := range s.prog.Inst {
		if in.Op == syntax.InstEmptyWidth {
			s.exact = false
		}
	}
	s.lits = required(tree)
	return s, nil
}

// Places returns where the matches in a line begin and end, in bytes, for
// display. Empty ones are left out.
func (s *Search) Places(line string) (out [][2]int) {
	if s.re != nil {
		for _, m := range s.re.FindAllStringIndex(line, -1) {
			if m[1] > m[0] {
				out = append(out, [2]int{m[0], m[1]})
			}
		}
		return out
	}
	b := []byte(line)
	for i := range s.lits {
		for at := 0; len(s.lits[i].text) > 0; {
			n := s.lits[i].index(b[at:])
			if n < 0 {
				break
			}
			out = append(out, [2]int{at + n, at + n + len(s.lits[i].text)})
			at += n + len(s.lits[i].text)
		}
	}
	return out
}

// Matcher finds a search's matches. It belongs to one goroutine.
type Matcher struct {
	s   *Search
	dfa *dfa
	b   []byte
	// next are where each literal is found next in b, len(b) for nowhere more.
	next []int
}

// Matcher returns a new matcher of the search.
func (s *Search) Matcher() *Matcher {
	m := &Matcher{s: s, next: make([]int, len(s.lits))}
	if s.prog != nil {
		m.dfa = newDFA(s.prog)
	}
	return m
}

// Reset sets the block of lines that the matcher searches. The block is not kept
// beyond the next Reset and not written.
func (m *Matcher) Reset(b []byte) {
	m.b = b
	for i := range m.next {
		m.next[i] = -1
	}
}

// Next returns the first line at or after from, which must be a line's beginning and
// rise from call to call, that holds a match: its place without its line end, and a
// place in it that the match touches. start is -1 when there is none.
func (m *Matcher) Next(from int) (start, end, at int) {
	b := m.b
	for from < len(b) {
		switch {
		case m.s.empty:
			at = from
		case len(m.s.lits) > 0:
			at = m.candidate(from)
		default:
			at = m.dfa.find(b, from)
		}
		if at < 0 || at >= len(b) {
			return -1, -1, -1
		}
		start = bytes.LastIndexByte(b[from:at], '\n') + 1 + from
		end = len(b)
		if n := bytes.IndexByte(b[at:], '\n'); n >= 0 {
			end = at + n
		}
		if m.s.re == nil || m.confirm(b[start:end], len(m.s.lits) == 0) {
			return start, end, at
		}
		from = end + 1
	}
	return -1, -1, -1
}

// Match reports whether text, which may have several lines, holds a match. It
// drops the block of Reset.
func (m *Matcher) Match(text string) bool {
	if m.s.empty {
		return true
	}
	if text == "" {
		return m.s.re != nil && m.s.re.MatchString("")
	}
	m.Reset(unsafe.Slice(unsafe.StringData(text), len(text)))
	start, _, _ := m.Next(0)
	m.b = nil
	return start >= 0
}

// confirm reports whether the line matches; dfaSaid is the answer of the automaton.
func (m *Matcher) confirm(line []byte, dfaSaid bool) bool {
	if n := len(line); n > 0 && line[n-1] == '\r' { // "$" stands before a DOS line's end
		line, dfaSaid = line[:n-1], false
	}
	if !dfaSaid && m.dfa.find(line, 0) < 0 {
		return false
	}
	return m.s.exact && ascii(line) || m.s.re.Match(line)
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// candidate returns where the next of the literals is.
func (m *Matcher) candidate(from int) int {
	best := len(m.b)
	for i := range m.next {
		if m.next[i] < from {
			if n := m.s.lits[i].index(m.b[from:]); n >= 0 {
				m.next[i] = from + n
			} else {
				m.next[i] = len(m.b)
			}
		}
		best = min(best, m.next[i])
	}
	return best
}

// literal is a text to be found fast.
type literal struct {
	text []byte // in lower case with fold
	fold bool
	// rare is the place in text of the byte that is rarest in logs, lo and up that
	// byte in both cases; they are equal where it has none.
	rare   int
	lo, up byte
}

// newLiteral fails for a text whose case cannot be ignored by looking at bytes.
func newLiteral(text string, fold bool) (literal, bool) {
	if fold && strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if strings.IndexFunc(text, unicode.IsLetter) >= 0 {
			return literal{}, false
		}
		fold = false
	}
	l := literal{text: []byte(text), fold: fold}
	if fold {
		l.text = bytes.ToLower(l.text)
	}
	best := 1 << 20
	for i, c := range l.text {
		up := c
		if fold && c >= 'a' && c <= 'z' {
			up = c - 0x20
		}
		f := commonness(c)
		if up != c {
			f += commonness(up) + 20
		}
		if f < best {
			best, l.rare, l.lo, l.up = f, i, c, up
		}
	}
	return l, true
}

// commonness orders bytes by how often logs hold them, roughly; only speed depends on it.
func commonness(c byte) int {
	const often = " e0t1aos2in3r-dl4:5c\"p6m7h8,9u./g=fbv_wTyk[]IGEAO"
	if i := strings.IndexByte(often, c); i >= 0 {
		return 200 - 3*i
	}
	if c >= 'A' && c <= 'Z' {
		return 20
	}
	return 10
}

// index returns the literal's first place in b, or -1.
func (l *literal) index(b []byte) int {
	last := len(b) - len(l.text) + l.rare // of the rare byte
	if last < l.rare {
		return -1
	}
	if l.lo == l.up {
		for i := l.rare; i <= last; {
			n := bytes.IndexByte(b[i:last+1], l.lo)
			if n < 0 {
				return -1
			}
			i += n
			if l.here(b[i-l.rare:]) {
				return i - l.rare
			}
			i++
		}
		return -1
	}
	lo, up := -1, -1
	for i := l.rare; i <= last; {
		if lo < i {
			if n := bytes.IndexByte(b[i:last+1], l.lo); n >= 0 {
				lo = i + n
			} else {
				lo = last + 1
			}
		}
		if up < i {
			// No further than to the other case: the rest is searched once that is reached.
			if n := bytes.IndexByte(b[i:min(last, lo)+1], l.up); n >= 0 {
				up = i + n
			} else {
				up = lo
			}
		}
		i = min(lo, up)
		if i > last {
			return -1
		}
		if l.here(b[i-l.rare:]) {
			return i - l.rare
		}
		i++
	}
	return -1
}

// here reports whether b begins with the literal.
func (l *literal) here(b []byte) bool {
	if len(b) < len(l.text) {
		return false
	}
	if !l.fold {
		return string(b[:len(l.text)]) == string(l.text)
	}
	for i, c := range l.text {
		d := b[i]
		if d >= 'A' && d <= 'Z' {
			d += 0x20
		}
		if d != c {
			return false
		}
	}
	return true
}

// maxLiterals bounds the literals of an alternation.
const maxLiterals = 8

// required returns literals of which every match holds at least one, nil for unknown.
func required(re *syntax.Regexp) []literal {
	switch re.Op {
	case syntax.OpLiteral:
		fold := re.Flags&syntax.FoldCase != 0
		for _, r := range re.Rune {
			// "k" and "s" have a third case beyond ASCII, the Kelvin sign and the long s.
			if r == utf8.RuneError || fold && (r >= utf8.RuneSelf || strings.ContainsRune("kKsS", r)) {
				return longestPart(re, fold)
			}
		}
		if l, ok := newLiteral(string(re.Rune), fold); ok {
			return []literal{l}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []literal
		for _, sub := range re.Sub {
			if got := required(sub); better(got, best) {
				best = got
			}
		}
		return best
	case syntax.OpAlternate:
		var all []literal
		for _, sub := range re.Sub {
			got := required(sub)
			if got == nil || len(all)+len(got) > maxLiterals {
				return nil
			}
			all = append(all, got...)
		}
		return all
	}
	return nil
}

// longestPart returns the longest stretch of a literal that can be compared by bytes.
func longestPart(re *syntax.Regexp, fold bool) []literal {
	best := ""
	for _, part := range strings.FieldsFunc(string(re.Rune), func(r rune) bool {
		return r == utf8.RuneError || fold && (r >= utf8.RuneSelf || strings.ContainsRune("kKsS", r))
	}) {
		if len(part) > len(best) {
			best = part
		}
	}
	if best == "" {
		return nil
	}
	l, ok := newLiteral(best, fold)
	if !ok {
		return nil
	}
	return []literal{l}
}

// better prefers literals whose rarest byte is rare in logs, then longer ones. One
// of a single byte or two is better than none, but not than a longer one.
func better(a, b []literal) bool {
	if a == nil || b == nil {
		return a != nil
	}
	cost := func(ls []literal) int {
		sum := 0
		for _, l := range ls {
			c := commonness(l.lo) + 20
			if l.lo != l.up {
				c += commonness(l.up) + 20
			}
			if len(l.text) < 3 {
				c += 200
			}
			sum += c*4 - min(len(l.text), 16)
		}
		return sum
	}
	return cost(a) < cost(b)
}
